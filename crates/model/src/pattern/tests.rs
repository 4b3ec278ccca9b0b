//! Tables: the operators as AWS's documentation of EventBridge, Lambda and SNS shows them, and refusals
//! as recorded from SNS.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{FilterPolicy, Pattern, PatternError, Scope, Typed};

fn check(table: &[(&str, &str, bool)]) {
    for (pattern, event, wanted) in table {
        let parsed = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(parsed.matches(&event), *wanted, "{pattern} on {event}");
    }
}

#[test]
fn each_operator() {
    check(&[
        (r#"{"a":["x","y"]}"#, r#"{"a":"y"}"#, true),
        (r#"{"a":["x","y"]}"#, r#"{"a":"X"}"#, false),
        (r#"{"a":["x"],"b":[1]}"#, r#"{"a":"x"}"#, false),
        (r#"{"a":["x"],"b":[1]}"#, r#"{"a":"x","b":1,"c":2}"#, true),
        (r#"{"a":[""]}"#, r#"{"a":""}"#, true),
        (r#"{"a":[""]}"#, r#"{"a":null}"#, false),
        (r#"{"a":[null]}"#, r#"{"a":null}"#, true),
        (r#"{"a":[null]}"#, r"{}", false),
        (r#"{"a":[true]}"#, r#"{"a":true}"#, true),
        (r#"{"a":[true]}"#, r#"{"a":"true"}"#, false),
        (r#"{"a":[300]}"#, r#"{"a":300.0}"#, true),
        (r#"{"a":[300]}"#, r#"{"a":"300"}"#, false),
        (r#"{"a":[123456789012345678]}"#, r#"{"a":123456789012345679}"#, false),
        (r#"{"a":[{"prefix":"us-"}]}"#, r#"{"a":"us-east-1"}"#, true),
        (r#"{"a":[{"prefix":"us-"}]}"#, r#"{"a":"US-east-1"}"#, false),
        (r#"{"a":[{"prefix":"1"}]}"#, r#"{"a":12}"#, false),
        (r#"{"a":[{"prefix":{"equals-ignore-case":"EventB"}}]}"#, r#"{"a":"EVENTBRIDGE"}"#, true),
        (r#"{"a":[{"suffix":".png"}]}"#, r#"{"a":"b.png"}"#, true),
        (r#"{"a":[{"suffix":".png"}]}"#, r#"{"a":"b.PNG"}"#, false),
        (r#"{"a":[{"suffix":{"equals-ignore-case":".png"}}]}"#, r#"{"a":"b.PNG"}"#, true),
        (r#"{"a":[{"equals-ignore-case":"aLiCe"}]}"#, r#"{"a":"Alice"}"#, true),
        (r#"{"a":[{"equals-ignore-case":"aLiCe"}]}"#, r#"{"a":"Alic"}"#, false),
        (r#"{"a":[{"anything-but":"x"}]}"#, r#"{"a":"y"}"#, true),
        (r#"{"a":[{"anything-but":"x"}]}"#, r#"{"a":"x"}"#, false),
        (r#"{"a":[{"anything-but":"x"}]}"#, r#"{"a":7}"#, true),
        (r#"{"a":[{"anything-but":"x"}]}"#, r"{}", false),
        (r#"{"a":[{"anything-but":["x","y"]}]}"#, r#"{"a":"y"}"#, false),
        (r#"{"a":[{"anything-but":[100,200]}]}"#, r#"{"a":200.0}"#, false),
        (r#"{"a":[{"anything-but":[100,200]}]}"#, r#"{"a":201}"#, true),
        (r#"{"a":[{"anything-but":{"prefix":"us-"}}]}"#, r#"{"a":"us-1"}"#, false),
        (r#"{"a":[{"anything-but":{"prefix":["us-","eu-"]}}]}"#, r#"{"a":"eu-1"}"#, false),
        (r#"{"a":[{"anything-but":{"suffix":".png"}}]}"#, r#"{"a":"a.jpg"}"#, true),
        (r#"{"a":[{"anything-but":{"equals-ignore-case":["INIT","stop"]}}]}"#, r#"{"a":"Stop"}"#, false),
        (r#"{"a":[{"anything-but":{"wildcard":"*/lib/*"}}]}"#, r#"{"a":"/usr/lib/x"}"#, false),
        (r#"{"a":[{"anything-but":{"wildcard":"*/lib/*"}}]}"#, r#"{"a":"/usr/bin/x"}"#, true),
        (r#"{"a":[{"numeric":["=",3.018e2]}]}"#, r#"{"a":301.8}"#, true),
        (r#"{"a":[{"numeric":[">",0,"<=",5]}]}"#, r#"{"a":5}"#, true),
        (r#"{"a":[{"numeric":[">",0,"<=",5]}]}"#, r#"{"a":0}"#, false),
        (r#"{"a":[{"numeric":[">=",0,"<",5]}]}"#, r#"{"a":0}"#, true),
        (r#"{"a":[{"numeric":["<",10]}]}"#, r#"{"a":-6000000000}"#, false),
        (r#"{"a":[{"numeric":["<",10]}]}"#, r#"{"a":"9"}"#, false),
        (r#"{"a":[{"exists":true}]}"#, r#"{"a":null}"#, true),
        (r#"{"a":[{"exists":true}]}"#, r#"{"a":{"b":1}}"#, false),
        (r#"{"a":[{"exists":false}]}"#, r#"{"a":{"b":1}}"#, true),
        (r#"{"a":[{"exists":false}]}"#, r#"{"a":1}"#, false),
        (r#"{"a":{"b":[{"exists":false}]}}"#, r"{}", true),
        (r#"{"a":[{"exists":false},"x"]}"#, r#"{"a":"x"}"#, true),
        (r#"{"a":[{"cidr":"10.0.0.0/24"}]}"#, r#"{"a":"10.0.0.255"}"#, true),
        (r#"{"a":[{"cidr":"10.0.0.0/24"}]}"#, r#"{"a":"10.0.1.0"}"#, false),
        (r#"{"a":[{"cidr":"10.0.0.7/32"}]}"#, r#"{"a":"10.0.0.7"}"#, true),
        (r#"{"a":[{"cidr":"0.0.0.0/0"}]}"#, r#"{"a":"200.0.0.7"}"#, true),
        (r#"{"a":[{"cidr":"2001:db8::/32"}]}"#, r#"{"a":"2001:db8:1::7"}"#, true),
        (r#"{"a":[{"cidr":"2001:db8::/32"}]}"#, r#"{"a":"10.0.0.1"}"#, false),
        (r#"{"a":["::1"]}"#, r#"{"a":"0:0:0:0:0:0:0:1"}"#, true),
        (r#"{"a":[{"wildcard":"dir/*/log.*"}]}"#, r#"{"a":"dir/a/b/log.txt"}"#, true),
        (r#"{"a":[{"wildcard":"dir/*/log.*"}]}"#, r#"{"a":"dir/log.txt"}"#, false),
        (r#"{"a":[{"wildcard":"a*a"}]}"#, r#"{"a":"a"}"#, false),
        (r#"{"a":[{"wildcard":"*"}]}"#, r#"{"a":""}"#, true),
        (r#"{"a":[{"wildcard":"1\\*2\\\\"}]}"#, r#"{"a":"1*2\\"}"#, true),
        (r#"{"a":[{"wildcard":"1\\*2"}]}"#, r#"{"a":"1x2"}"#, false),
    ]);
}

#[test]
fn arrays_and_nesting() {
    let people = r#"{"e":[{"f":"John","l":"Doe"},{"f":"Anna","l":"Smith"},{"f":"Peter","l":"Jones"}]}"#;
    let nested = r#"{"e":[[{"f":"John","l":"Doe"},{"f":"Anna","l":"Smith"}],[{"f":"Peter","l":"Jones"}]]}"#;
    check(&[
        (r#"{"a":["y"]}"#, r#"{"a":["x","y"]}"#, true),
        (r#"{"a":["z"]}"#, r#"{"a":["x","y"]}"#, false),
        (r#"{"a":["x"]}"#, r#"{"a":[]}"#, false),
        (r#"{"a":[{"exists":false}]}"#, r#"{"a":[]}"#, true),
        (r#"{"a":[{"anything-but":"x"}]}"#, r#"{"a":["x","y"]}"#, true),
        (r#"{"e":{"f":["Anna"]}}"#, people, true),
        (r#"{"e":{"f":["Anna"],"l":["Smith"]}}"#, people, true),
        (r#"{"e":{"f":["Anna"],"l":["Jones"]}}"#, people, false),
        (r#"{"e":{"f":["Anna"]}}"#, nested, true),
        (r#"{"e":{"f":["Anna"],"l":["Doe"]}}"#, nested, false),
        // Also where the two come from different members of the pattern.
        (r#"{"e":{"f":["Anna"]},"$or":[{"e":{"l":["Jones"]}},{"x":[1]}]}"#, people, false),
        (r#"{"e":{"f":["Anna"]},"$or":[{"e":{"l":["Smith"]}},{"x":[1]}]}"#, people, true),
        (r#"{"e":{"f":["Anna"],"m":[{"exists":false}]}}"#, people, true),
        (r#"{"e":{"f":["Anna"],"m":[{"exists":false}]}}"#, r#"{"e":[{"f":"Anna"},{"m":1}]}"#, false),
        (r#"{"a":{"b":{"c":[1]}}}"#, r#"{"a":{"b":{"c":1}}}"#, true),
        (r#"{"a":{"b":{"c":[1]}}}"#, r#"{"a":{"b":1}}"#, false),
        // Recorded from SNS: a dot is as good as a level.
        (r#"{"a":{"b":[1]}}"#, r#"{"a.b":1}"#, true),
        (r#"{"a.b":[1]}"#, r#"{"a":{"b":1}}"#, true),
        (r#"{"a":{"b":{"c":[1]}}}"#, r#"{"a.b.c":1}"#, true),
        (r#"{"a":{"b":{"c":[1]}}}"#, r#"{"a.b":{"c":1}}"#, true),
        (r#"{"a":{"b":{"c":[1]}}}"#, r#"{"a":{"b.c":1}}"#, true),
        (r#"{"a":{"b":[1],"c":[2]}}"#, r#"{"a":{"b":1},"a.c":2}"#, true),
        (r#"{"a":{"b":[2]}}"#, r#"{"a":{"b":1},"a.b":2}"#, true),
        (r#"{"a":{"b":[{"exists":false}]}}"#, r#"{"a.b":1}"#, false),
    ]);
    assert!(!Pattern::parse(r#"{"a":[{"exists":false}]}"#).unwrap().matches(&json!([])));
}

#[test]
fn or() {
    let parallel =
        r#"{"$or":[{"m":["CPU","Read"]},{"n":["EC2"]}],"d":{"$or":[{"s":["cw"]},{"t":["Alarm"]}]}}"#;
    let inside = r#"{"s":["cw"],"$or":[{"m":["CPU"]},{"t":["T"],"n":["EC2"],"$or":[{"i":[1]},{"j":[2]}]}]}"#;
    check(&[
        (parallel, r#"{"m":"Read","d":{"t":"Alarm"}}"#, true),
        (parallel, r#"{"n":"EC2","d":{"s":"cw"}}"#, true),
        (parallel, r#"{"n":"EC2","d":{"s":"x"}}"#, false),
        (inside, r#"{"s":"cw","m":"CPU"}"#, true),
        (inside, r#"{"s":"cw","t":"T","n":"EC2"}"#, false),
        (inside, r#"{"s":"cw","t":"T","n":"EC2","j":2}"#, true),
        (inside, r#"{"m":"CPU"}"#, false),
        // Where it is no alternative it is a name.
        (r#"{"$or":{"a":["x"]}}"#, r#"{"$or":{"a":"x"}}"#, true),
        (r#"{"$or":["x","y"]}"#, r#"{"$or":"y"}"#, true),
        (r#"{"$or":[{"prefix":"a"},{"numeric":["=",1]}]}"#, r#"{"$or":"abc"}"#, true),
    ]);
}

/// What is not a pattern; also what Lambda answers with `Invalid filter pattern definition.`.
#[test]
fn refused() {
    for text in [
        "",
        "[]",
        "\"a\"",
        "{}",
        r#"{"a":"x"}"#,
        r#"{"a":[]}"#,
        r#"{"a":{}}"#,
        r#"{"a":[["x"]]}"#,
        r#"{"a":[{}]}"#,
        r#"{"a":[{"eventSource":["x"]}]}"#,
        r#"{"a":[{"prefix":"a","suffix":"b"}]}"#,
        r#"{"a":[{"prefix":{"wildcard":"b"}}]}"#,
        r#"{"a":[{"anything-but":null}]}"#,
        r#"{"a":[{"anything-but":["a",1]}]}"#,
        r#"{"a":[{"anything-but":[]}]}"#,
        r#"{"a":[{"anything-but":{"prefix":""}}]}"#,
        r#"{"a":[{"anything-but":{"numeric":["=",1]}}]}"#,
        r#"{"a":[{"numeric":["=",5000000001]}]}"#,
        r#"{"a":[{"cidr":"10.0.0.0"}]}"#,
        r#"{"a":[{"cidr":"10.0.0.0/33"}]}"#,
        r#"{"a":[{"cidr":"10.0.0/24"}]}"#,
        r#"{"a":[{"wildcard":"a**b"}]}"#,
        r#"{"a":[{"wildcard":"a\\b"}]}"#,
        r#"{"$or":[{"a":["b"]}]}"#,
    ] {
        assert!(Pattern::parse(text).is_err(), "{text}");
    }
    // Ten times two alternatives are 1024 ways.
    let or = |name: &str| format!(r#"{{"$or":[{{"{name}":["1"]}},{{"{name}x":["2"]}}]}}"#);
    let text = |count: usize| {
        let members: Vec<_> = (0..count).map(|at| format!(r#""m{at}":{}"#, or(&format!("n{at}")))).collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(Pattern::parse(&text(9)).is_ok());
    assert_eq!(Pattern::parse(&text(10)).unwrap_err(), PatternError::TooComplex { limit: 1000 });
    assert_eq!(Pattern::parse(&text(60)).unwrap_err(), PatternError::TooComplex { limit: 1000 });
}

/// Recorded from SNS: what it says behind `Invalid parameter: Attributes Reason: FilterPolicy: `, and the column.
/// (Recordings of 2024 have the policy where those of 2025 have `REDACTED`.)
#[test]
fn refusals_of_sns() {
    let table = [
        (r#"{"key":[["value"]]}"#, "Match value must be String, number, true, false, or null", 10),
        (r#"{"key": [{"wrong-operator": true}]}"#, "Unrecognized match type wrong-operator", 31),
        (r#"{"key":[{"suffix":"value","prefix":"value2"}]}"#, "Only one key allowed in match expression", 37),
        (r#"{"key":[{"suffix":100}]}"#, "suffix match pattern must be a string", 22),
        (r#"{"key":[{"suffix":null}]}"#, "suffix match pattern must be a string", 23),
        (r#"{"key":{"suffix":"value"}}"#, "\"suffix\" must be an object or an array", 19),
        (r#"{"key":[{"suffix":[]}]}"#, "suffix match pattern must be a string", 20),
        (r#"{"key":[{"suffix":["test","test2"]}]}"#, "suffix match pattern must be a string", 20),
        (r#"{"key":{"not-an-operator":"value"}}"#, "\"not-an-operator\" must be an object or an array", 28),
        (r#"{"key":[{"numeric":[]}]}"#, "Invalid member in numeric match: ]", 22),
        (r#"{"key":[{"numeric":["operator"]}]}"#, "Unrecognized numeric range operator: operator", 32),
        (r#"{"key":[{"numeric":[1,"<="]}]}"#, "Invalid member in numeric match: 1", 22),
        (r#"{"key":[{"numeric":["=","000"]}]}"#, "Value of equals must be numeric", 26),
        (r#"{"key":[{"numeric":[">="]}]}"#, "Value of >= must be numeric", 26),
        (r#"{"key":[{"numeric":["<",100,">",10]}]}"#, "Too many elements in numeric expression", 30),
        (r#"{"key":[{"numeric":[">=",1,">",2]}]}"#, "Bad numeric range operator: >", 31),
        (r#"{"key":[{"numeric":[">",3,"<",1]}]}"#, "Bottom must be less than top", 33),
        (r#"{"key":[{"numeric":[">",20,"<="]}]}"#, "Value of <= must be numeric", 33),
        (r#"{"key":[{"numeric":[">",20,30]}]}"#, "Bad value in numeric range: 30", 30),
        (r#"{"key":[{"numeric":[">",20,"test"]}]}"#, "Bad numeric range operator: test", 34),
        (r#"{"key":[{"numeric":[">","20","<","30"]}]}"#, "Value of > must be numeric", 26),
        (r#"{"key":[{"numeric":[">",20,"<","30"]}]}"#, "Value of < must be numeric", 33),
        (r#"{"key":[{"numeric":[">",20,"<",30,"<",50]}]}"#, "Too many terms in numeric range expression", 36),
        (r#"{"key":[{"exists":null}]}"#, "exists match pattern must be either true or false.", 23),
        (r#"{"key":[{"exists":"no"}]}"#, "exists match pattern must be either true or false.", 20),
        (
            r#"{"key":[{"anything-but":{"wrong-operator":null}}]}"#,
            "Unsupported anything-but pattern: wrong-operator",
            47,
        ),
        (r#"{"key":[{"anything-but":{"suffix":"test"}}]}"#, "Unsupported anything-but pattern: suffix", 36),
        (r#"{"key":[{"anything-but":{"exists":false}}]}"#, "Unsupported anything-but pattern: exists", 40),
        (r#"{"key":[{"anything-but":{"prefix":false}}]}"#, "prefix match pattern must be a string", 40),
    ];
    for (text, reason, column) in table {
        let wanted = format!(
            "Attributes Reason: FilterPolicy: {reason}\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: {column}]"
        );
        let said = FilterPolicy::parse(text, Scope::MessageBody, "Attributes Reason: ").unwrap_err();
        assert_eq!(said, wanted);
    }
    let said = FilterPolicy::parse(r#"{"key_a":"value_one"}"#, Scope::MessageAttributes, "").unwrap_err();
    assert!(said.starts_with("FilterPolicy: \"key_a\" must be an object or an array\n at "), "{said}");
    assert!(said.ends_with("; line: 1, column: 11]"), "{said}");
}

#[test]
fn limits_of_sns() {
    let values = |count: usize| (0..count).map(|at| format!("value{at}")).collect::<Vec<_>>();
    let complex = "FilterPolicy: Filter policy is too complex";
    let nested = "Filter policy scope MessageAttributes does not support nested filter policy";
    let keys = "FilterPolicy: Filter policy can not have more than 5 keys";
    // (4 × 6) + (4 × 4 × 4) + (4 × 4 × 4) = 152, and with one value less 4 × 5 + 64 + 64 = 148.
    let or = |first: usize| {
        json!({"source": values(4), "$or": [
            {"metricName": values(first)},
            {"metricType": values(4), "$or": [{"metricId": values(4)}, {"spaceId": values(4)}]},
        ]})
    };
    let body = Scope::MessageBody;
    let attributes = Scope::MessageAttributes;
    let table = [
        (json!({"key": values(150)}), attributes, Ok(())),
        (json!({"key": values(151)}), attributes, Err(complex)),
        (json!({"key1": values(100), "key2": values(51)}), attributes, Err(complex)),
        (or(5), attributes, Ok(())),
        (or(6), attributes, Err(complex)),
        (json!({"object": {"key": [{"prefix": "auto-"}]}}), attributes, Err(nested)),
        (json!({"object": {"key": [{"prefix": "auto-"}]}}), body, Ok(())),
        // 4 × 3 × 3 × 2 × 3 × 1 = 216
        (json!({"a": {"b": {"c": values(4)}}, "d": {"e": values(3)}, "f": values(3)}), body, Err(complex)),
        (
            json!({"a": ["1"], "b": ["1"], "c": ["1"], "d": ["1"], "e": ["1"], "f": ["1"]}),
            attributes,
            Err(keys),
        ),
        (
            json!({"a": {"b": ["1"], "c": ["1"], "d": ["1"], "e": ["1"], "f": ["1"], "g": ["1"]}}),
            body,
            Ok(()),
        ),
    ];
    for (policy, scope, wanted) in table {
        let said = FilterPolicy::parse(&policy.to_string(), scope, "").map(|_| ());
        assert_eq!(said, wanted.map_err(str::to_owned), "{policy}");
    }
    let wild = FilterPolicy::parse(r#"{"a":[{"wildcard":"*"}]}"#, attributes, "").unwrap_err();
    assert!(wild.starts_with("FilterPolicy: Unrecognized match type wildcard\n"), "{wild}");
    assert!(
        FilterPolicy::parse("{", attributes, "").unwrap_err().starts_with("FilterPolicy: failed to parse")
    );
}

/// The examples of SNS's documentation.
#[test]
fn attributes_of_sns() {
    let table = [
        (r#"["rugby","tennis"]"#, "String", "rugby", true),
        (r#"["rugby","tennis"]"#, "String.Array", r#"["rugby", "tennis"]"#, true),
        (r#"["rugby","tennis"]"#, "String", "baseball", false),
        (r#"["rugby","tennis"]"#, "String.Array", r#"["baseball"]"#, false),
        (r#"[{"anything-but":["rugby","tennis"]}]"#, "String", "baseball", true),
        (r#"[{"anything-but":["rugby","tennis"]}]"#, "String.Array", r#"["rugby","baseball"]"#, true),
        (r#"[{"anything-but":["rugby","tennis"]}]"#, "String.Array", r#"["rugby"]"#, false),
        (r#"[{"anything-but":{"prefix":"order-"}}]"#, "String", "order-1", false),
        (r#"[{"equals-ignore-case":"Tennis"}]"#, "String", "TENNIS", true),
        (r#"[{"cidr":"10.0.0.0/24"}]"#, "String", "10.0.0.7", true),
        (r#"[{"prefix":"bas"}]"#, "String", "baseball", true),
        (r#"[{"suffix":"ball"}]"#, "String", "baseball", true),
        (r#"[{"numeric":["=",301.5]}]"#, "Number", "3.015e2", true),
        (r#"[{"numeric":[">",0,"<=",150]}]"#, "Number", "150", true),
        (r#"[{"numeric":[">",0,"<=",150]}]"#, "Number", "151", false),
        (r#"[{"numeric":[">",0,"<=",150]}]"#, "String", "100", false),
        (r#"[{"anything-but":[100,500]}]"#, "Number.Array", "[100, 50]", true),
        (r#"[{"anything-but":[100,500]}]"#, "Number", "100", false),
        (r#"[{"exists":true}]"#, "String", "", true),
        (r#"[{"exists":true}]"#, "Binary", "", false),
        (r#"[{"exists":false}]"#, "Binary", "", true),
        (r#"["rugby"]"#, "String.Array", "rugby", false),
        (r#"[true]"#, "String.Array", "[true]", true),
    ];
    for (policy, data_type, text, wanted) in table {
        let parsed =
            FilterPolicy::parse(&format!(r#"{{"a":{policy}}}"#), Scope::MessageAttributes, "").unwrap();
        let said = parsed.matches([Typed { name: "a", data_type, text }], b"");
        assert_eq!(said, wanted, "{policy} on {data_type} {text}");
    }
    // Recorded: neither null nor anything-but passes where there is no attribute.
    let policy = r#"{"attr1":[null,{"anything-but":"whatever"}]}"#;
    let policy = FilterPolicy::parse(policy, Scope::MessageAttributes, "").unwrap();
    assert!(!policy.matches([], b"{\"attr1\":null}"));
}

#[test]
fn bodies_of_sns() {
    let policy = FilterPolicy::parse(r#"{"a":{"b":[1]}}"#, Scope::MessageBody, "").unwrap();
    for (body, wanted) in
        [(r#"{"a":{"b":1}}"#, true), (r#"{"a":{"b":2}}"#, false), ("text", false), ("[]", false), ("", false)]
    {
        let attribute = Typed { name: "a", data_type: "String", text: "x" };
        assert_eq!(policy.matches([attribute], body.as_bytes()), wanted, "{body}");
    }
}

/// Neither an event nor a pattern makes the walk deeper than the stack.
#[test]
fn deep_names() {
    let dots = "a.".repeat(100_000);
    let deep = |inner: String| {
        (0..120).fold(inner, |inner, _| format!(r#"{{"{dots}":{inner}}}"#, dots = "a.".repeat(50)))
    };
    let pattern = Pattern::parse(&format!(r#"{{"{dots}":["x"]}}"#)).unwrap();
    assert!(pattern.matches(&json!({dots.as_str(): "x"})));
    let pattern = Pattern::parse(&deep(r#"["x"]"#.into())).unwrap();
    assert!(pattern.matches(&serde_json::from_str(&deep(r#""x""#.into())).unwrap()));
}

/// Time of a wildcard grows with the text, not with a power of its stars.
#[test]
fn wildcards_are_linear() {
    let stars = format!(r#"{{"a":[{{"wildcard":"{}b"}}]}}"#, "*a".repeat(500));
    let pattern = Pattern::parse(&stars).unwrap();
    let began = std::time::Instant::now();
    assert!(!pattern.matches(&json!({"a": "a".repeat(1_000_000)})));
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
}

proptest! {
    /// Nothing that is text panics, and what is read twice is read alike.
    #[test]
    fn any_text(text in ".{0,60}", inner in "[{}\\[\\]\",:a\\\\*0-9$or]{0,40}") {
        let _ = Pattern::parse(&text);
        let _ = Pattern::parse(&format!("{{\"a\":[{inner}]}}"));
    }

    /// A wildcard that was made from a text matches it.
    #[test]
    fn wildcards_match_what_they_are_made_from(parts in proptest::collection::vec("[a-c]{1,3}", 1..6)) {
        let text = parts.concat();
        let wild = parts.join("*");
        let pattern = Pattern::parse(&json!({"a": [{"wildcard": wild}]}).to_string()).unwrap();
        let joined = json!({"a": text});
        prop_assert!(pattern.matches(&joined));
        let spread = json!({"a": parts.join("--")});
        prop_assert!(pattern.matches(&spread));
    }
}

/// Recorded from SNS.
#[test]
fn what_is_no_json() {
    for (text, wanted) in [
        (
            "{invalid}",
            "Unexpected character ('i' (code 105)): was expecting double-quote to start field name\n at ",
        ),
        (
            "invalid",
            "Unrecognized token 'invalid': was expecting (JSON String, Number, Array, Object or token ",
        ),
    ] {
        let said = FilterPolicy::parse(text, Scope::MessageAttributes, "").unwrap_err();
        assert!(said.starts_with(&format!("FilterPolicy: failed to parse JSON. {wanted}")), "{said}");
    }
}
