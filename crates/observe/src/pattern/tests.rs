//! AWS's own examples, what is invalid and where, and a second, naive reading of terms.

use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, message: &str) -> bool {
    let pattern = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    pattern.matches(message.as_bytes())
}

fn check(pattern: &str, messages: &[(&str, bool)]) {
    for (message, expected) in messages {
        assert_eq!(matches(pattern, message), *expected, "{pattern} of {message}");
    }
}

/// The developer guide's tables of unstructured events.
#[test]
fn terms() {
    let bad = "[ERROR 400] BAD REQUEST";
    let unauthorized = "[ERROR 401] UNAUTHORIZED REQUEST";
    let missing = "[ERROR 419] MISSING ARGUMENTS";
    let invalid = "[ERROR 420] INVALID ARGUMENTS";
    let warning = "[WARN 420] DEPRECATED ARGUMENTS";
    for (pattern, expected) in [
        ("", [true, true, true, true, true]),
        ("  ", [true, true, true, true, true]),
        ("ERROR", [true, true, true, true, false]),
        ("ERROR ARGUMENTS", [false, false, true, true, false]),
        ("?ERROR ?ARGUMENTS", [true, true, true, true, true]),
        ("?WARN ?UNAUTHORIZED", [false, true, false, false, true]),
        ("\"INVALID ARGUMENTS\"", [false, false, false, true, false]),
        ("ERROR -ARGUMENTS", [true, true, false, false, false]),
        ("-ERROR", [false, false, false, false, true]),
        ("-\"MISSING ARGUMENTS\" ERROR", [true, true, false, true, false]),
        // Beside others, optional terms say nothing.
        ("?MISSING ERROR", [true, true, true, true, false]),
        // Case is told apart, and a word is whole.
        ("error", [false, false, false, false, false]),
        ("ARGUMENT", [false, false, false, false, false]),
        ("AUTHORIZED", [false, false, false, false, false]),
        ("%AUTHORIZED%", [false, true, false, false, false]),
        ("%4[12]\\d%", [false, false, true, true, true]),
        ("%^.WARN%", [false, false, false, false, true]),
    ] {
        let found = [bad, unauthorized, missing, invalid, warning].map(|message| matches(pattern, message));
        assert_eq!(found, expected, "{pattern}");
    }
    check("\"a\\\"b\"", &[("say a\"b now", true), ("say ab", false)]);
    check("\"request-id: 7\"", &[("x request-id: 7;", true), ("x request-id: 77", false)]);
    check("\"[ERROR\"", &[("[ERROR 1]", true), ("x[ERROR", true), ("[ERRORS", false)]);
    // AWS's page on everything.
    for everything in ["\" \"", "\"\""] {
        check(everything, &[("word", true), ("two words", true), ("", true)]);
    }
    check("\" \" ERROR -x", &[("word", false), ("ERROR", true), ("ERROR x", false)]);
    check("größe", &[("die größe!", true), ("größen", false)]);
    check("aXa", &[("aXaXa aXa", true), ("aXaXa", false)]);
}

const TRAIL: &str = r#"{
  "eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "arrayKey": ["value", "another value"],
  "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
  "SomeObject": null, "cluster.name": "c"
}"#;

const USER: &str = r#"{
  "user": {"id": 1, "email": "John.Stiles@example.com"},
  "users": [{"id": 2, "email": "John.Doe@example.com"}, {"id": 3, "email": "Jane.Doe@example.com"}],
  "actions": ["GET", "PUT", "DELETE"], "coordinates": [[0, 1, 2], [4, 5, 6], [7, 8, 9]],
  "bandwidth": 75.5, "errorCode": 400, "latency": 1e-2, "flag": true, "off": false, "number": "12"
}"#;

/// The developer guide's examples of JSON, and their neighbours.
#[test]
fn json() {
    for (pattern, expected) in [
        (r#"{ $.eventType = "UpdateTrail" }"#, true),
        (r#"{ $.eventType = UpdateTrail }"#, true),
        (r#"{$.eventType="UpdateTrail"}"#, true),
        (r#"{ $.eventType = "updatetrail" }"#, false),
        (r#"{ $.eventType = "*Trail" }"#, true),
        (r#"{ $.eventType = Up*il }"#, true),
        (r#"{ $.eventType = %Trail% }"#, true),
        (r#"{ $.eventType != "CreateTrail" }"#, true),
        (r#"{ $.eventType != "UpdateTrail" }"#, false),
        (r#"{ $.sourceIPAddress != 123.123.* }"#, true),
        (r#"{ $.sourceIPAddress = 111.111.* }"#, true),
        (r#"{ $.sourceIPAddress = 111.111.111.111 }"#, true),
        (r#"{ $.arrayKey[0] = "value" }"#, true),
        (r#"{ $.arrayKey[1] = "value" }"#, false),
        (r#"{ $.arrayKey[*] = "another value" }"#, true),
        (r#"{ $.objectList[1].id = 2 }"#, true),
        (r#"{ $.objectList[*].id = 2 }"#, true),
        (r#"{ $.objectList[1].id = 3 }"#, false),
        (r#"{ $.objectList[2].id = 3 }"#, false),
        (r#"{ $.SomeObject IS NULL }"#, true),
        (r#"{ $.SomeObject EXISTS }"#, true),
        (r#"{ $.SomeOtherObject IS NULL }"#, false),
        (r#"{ $.SomeOtherObject NOT EXISTS }"#, true),
        (r#"{ $.SomeObject NOT EXISTS }"#, false),
        (r#"{ $.missing != "x" }"#, false),
        (r#"{ $.['cluster.name'] = "c" }"#, true),
        (r#"{ $["cluster.name"] = "c" }"#, true),
    ] {
        assert_eq!(matches(pattern, TRAIL), expected, "{pattern}");
    }
    for (pattern, expected) in [
        ("{ $.bandwidth > 75 }", true),
        ("{ $.bandwidth > 75.5 }", false),
        ("{ $.bandwidth >= 75.5 }", true),
        ("{ $.latency < 1 }", true),
        ("{ $.latency = 0.01 }", true),
        ("{ $.errorCode = 400 }", true),
        ("{ $.errorCode = 4e2 }", true),
        ("{ $.errorCode = 4* }", true),
        ("{ $.errorCode != 400 }", false),
        ("{ $.errorCode <= 399 }", false),
        ("{ $.flag IS TRUE }", true),
        ("{ $.flag IS FALSE }", false),
        ("{ $.off IS FALSE }", true),
        ("{ $.user IS TRUE }", false),
        ("{ $.number = 12 }", true),
        ("{ $.number > 11 }", false),
        (r#"{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }"#, true),
        (r#"{ ($.user.id = 2) && ($.users[0].email = "nonmatch") }"#, false),
        (r#"{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }"#, false),
        (
            r#"{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = "nonmatch" && $.actions[2] = "nonmatch" }"#,
            true,
        ),
        (
            r#"{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = "nonmatch") && $.actions[2] = "nonmatch" }"#,
            false,
        ),
        ("{ $.coordinates[0][1] = 1 }", true),
        ("{ $.coordinates[*][*] = 9 }", true),
        ("{ $.coordinates[*][*] = 10 }", false),
    ] {
        assert_eq!(matches(pattern, USER), expected, "{pattern}");
    }
    check(
        "{ $.a = 1 }",
        &[("plain", false), ("{\"a\":1", false), (" {\"a\":1} ", true), ("[{\"a\":1}]", false)],
    );
    check("{ $[0].a = 1 }", &[("[{\"a\":1}]", true)]);
    // A text may be written with escapes.
    check(r#"{ $.a = "xyz" }"#, &[(r#"{"a":"\u0078yz"}"#, true)]);
}

/// The developer guide's access log, and counts that do not fit.
#[test]
fn between_spaces() {
    let log = r#"127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534"#;
    for (pattern, expected) in [
        ("[ip, server, username, timestamp, request, status_code, bytes]", true),
        ("[ip, server, username, timestamp, request, status_code]", false),
        ("[ip, server, username, timestamp, request, status_code = 404, bytes]", true),
        ("[ip, server, username, timestamp, request, status_code = 4*, bytes > 1000]", true),
        ("[ip, server, username, timestamp, request, status_code = 4*, bytes > 1534]", false),
        ("[ip, server, username, timestamp, request = *html*, status_code = 4*, bytes]", true),
        ("[ip, server, username, timestamp, request = %\\.html%, status_code, bytes]", true),
        ("[ip, ..., status_code = 404, bytes]", true),
        ("[..., status_code = 4*, bytes]", true),
        ("[..., bytes > 1535]", false),
        ("[ip = 127.*, ...]", true),
        ("[ip != 127.*, ...]", false),
        ("[...]", true),
        ("[..., request = *.html*, status_code = 4*,]", true),
        ("[..., request = *.html*, status_code = 5*,]", false),
        ("[,,,,,,]", true),
        ("[ , , ]", false),
        ("[ip,server=\"Prod\",...]", true),
        ("[..., status_code = 200 || status_code = 404, bytes]", true),
        ("[..., status_code > 400 && status_code < 500, bytes]", true),
        ("[..., (status_code = 200 || status_code = 404) && status_code != 404, bytes]", false),
        ("[ip, server, username, timestamp = *2000*, ...]", true),
    ] {
        assert_eq!(matches(pattern, log), expected, "{pattern}");
    }
    check("[w1=ERROR, w2]", &[("ERROR 419", true), ("WARN 419", false), ("ERROR 419 x", false)]);
    check("[w1!=ERROR && w1!=WARN, w2]", &[("INFO 1", true), ("ERROR 1", false), ("WARN 1", false)]);
    check("[a, b]", &[("\"unclosed x", true), ("[x] y", true), ("", false), ("  a   b  ", true)]);
}

#[test]
fn what_is_invalid_says_where() {
    for (pattern, expected) in [
        ("a \"b", "the closing \" is missing at position 4"),
        ("foo:bar", "invalid character ':' in term 'foo:bar', which wants quotes at position 4"),
        ("ä é-x", "invalid character '-' in term 'é-x', which wants quotes at position 4"),
        ("- a", "a term is expected at position 2"),
        ("?\"\"", "a term is empty at position 2"),
        ("[]", "a field is expected at position 2"),
        ("\"a\"b", "a space is expected between terms at position 4"),
        ("%a(b)%", "'(' is not supported in a regular expression at position 3"),
        ("%a!%", "'!' is not supported in a regular expression at position 3"),
        ("%ab", "the closing % is missing at position 2"),
        ("%a% %b% %c%", "there are more than two regular expressions at position 10"),
        ("{ $.a = }", "a value is expected at position 9"),
        ("{ $.a }", "one of = != < <= > >= is expected at position 7"),
        ("{ a = 1 }", "a selector that begins with $ is expected at position 3"),
        ("{ $.a = 1", "'}' is expected at position 10"),
        ("{ $.a = 1 } x", "'x' after the end at position 13"),
        ("{ $.a > \"x\" }", "a number is expected at position 9"),
        ("{ $.a IS GOOD }", "TRUE, FALSE or NULL is expected at position 10"),
        ("{ $.a[x] = 1 }", "an index, * or a name in quotes is expected at position 7"),
        ("{ ($.a = 1 }", "')' is expected at position 12"),
        ("[a, b", "',' or ']' is expected at position 6"),
        ("[a, ..., b, ...]", "there is a second ... at position 16"),
        ("[a > x]", "a number is expected at position 6"),
        ("[= a]", "a field's name is expected at position 2"),
    ] {
        let said = Pattern::parse(pattern).map(drop).unwrap_err().to_string();
        assert_eq!(said, format!("Invalid filter pattern: {expected}"), "{pattern}");
    }
    let deep = format!("{{ {}$.a = 1{} }}", "(".repeat(5000), ")".repeat(5000));
    assert!(Pattern::parse(&deep).unwrap_err().reason.contains("too many parentheses"));
    assert!(Pattern::parse("%[%").unwrap_err().reason.contains("not valid"));
    assert!(Pattern::parse("%[0-9]{900}{900}%").unwrap_err().reason.contains("too large"));
}

/// Whole words, looked for at every place.
fn naive(message: &str, term: &str) -> bool {
    let word = |each: Option<char>| each.is_some_and(|each| each.is_alphanumeric() || each == '_');
    message.match_indices(|_: char| true).map(|(at, _)| at).any(|at| {
        message[at..].starts_with(term)
            && !(word(message[..at].chars().next_back()) && word(term.chars().next()))
            && !(word(message[at + term.len()..].chars().next()) && word(term.chars().next_back()))
    })
}

proptest! {
    #[test]
    fn terms_as_a_naive_reader_has_them(
        message in "[ab -]{0,14}",
        all in prop::collection::vec("[ab]{1,3}", 0..3),
        phrase in prop::option::of("[ab -]{1,4}"),
        none in prop::collection::vec("[ab]{1,3}", 0..2),
        any in prop::collection::vec("[ab]{1,3}", 0..3),
    ) {
        let mut parts: Vec<String> = all.clone();
        parts.extend(phrase.iter().map(|phrase| format!("\"{phrase}\"")));
        parts.extend(none.iter().map(|term| format!("-{term}")));
        let alone = parts.is_empty();
        parts.extend(any.iter().map(|term| format!("?{term}")));
        let has = |term: &String| naive(&message, term);
        let expected = all.iter().all(has)
            && phrase.iter().all(|phrase| phrase.trim().is_empty() || has(phrase))
            && !none.iter().any(has)
            && (!alone || any.is_empty() || any.iter().any(has));
        prop_assert_eq!(matches(&parts.join(" "), &message), expected);
    }

    /// A block's words never hide a message that matches.
    #[test]
    fn what_a_pattern_needs_is_in_what_it_matches(
        message in "(\\{\"a\":\"[a-c_0-9 \\\\n-]{0,6}\"\\}|[a-c0-9\"\\[\\] =-]{0,12})",
        pattern in "(\\{ \\$\\.a = \"[a-c0-9 -]{1,5}\" \\}|\"[a-c0-9 =-]{1,5}\"( -a)?|\\[w=[a-c0-9]{1,5}, \\.\\.\\.\\]|\\?[a-c0-9]{3,5} \\?[a-c]{3})",
    ) {
        let pattern = Pattern::parse(&pattern).unwrap();
        if pattern.matches(message.as_bytes()) {
            let mut words = crate::store::words::Gatherer::default();
            words.add(message.as_bytes());
            let escapes = message.contains('\\');
            prop_assert!(crate::store::words::may_have(&words.filter(), escapes, pattern.need()));
            prop_assert!(pattern.may_match(message.as_bytes()));
        }
    }

    #[test]
    fn reading_ends_whatever_comes(pattern in "(?s)[\\[{%\"$.*=a-c 0-9!&|()?,'\\]}-]{0,40}", message in "(?s).{0,40}") {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            let _ = pattern.matches(message.as_bytes());
        }
    }
}
