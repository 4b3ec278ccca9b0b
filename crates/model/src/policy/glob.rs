//! Patterns of policies: `*` stands for any characters, `?` for one. Trying one takes at most the product of
//! the two lengths, and policies bound both.

use std::borrow::Cow;

use super::Context;

/// Whether the whole text fits the pattern.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut read) = (0, 0);
    // Where the last star stands, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            // One character, of however many bytes.
            Some(b'?') => {
                at += 1;
                read += 1;
                while text.get(read).is_some_and(|byte| byte & 0xc0 == 0x80) {
                    read += 1;
                }
            }
            Some(byte) if *byte == text[read] => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((back, taken)) => {
                    star = Some((back, taken + 1));
                    at = back + 1;
                    read = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// The same without regard to case, as actions are compared.
pub(super) fn matches_ignoring_case(pattern: &str, text: &str) -> bool {
    matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
}

/// ARNs fit part by part: a star does not reach over a colon, but in the last part.
pub(super) fn matches_arn(pattern: &str, arn: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.splitn(6, ':'), arn.splitn(6, ':'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if matches(pattern, part) => {}
            _ => return false,
        }
    }
}

/// A policy's text with its variables, `${aws:PrincipalArn}`, put in. `None`: one of them has no value here, or
/// one that would read as a pattern; then nothing fits.
pub(super) fn resolved<'p>(pattern: &'p str, context: &Context) -> Option<Cow<'p, str>> {
    if !pattern.contains("${") {
        return Some(Cow::Borrowed(pattern));
    }
    let mut text = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}')?;
        let [value] = context.get(name)? else { return None };
        if value.contains(['*', '?', '$']) {
            return None;
        }
        text.push_str(before);
        text.push_str(value);
        rest = after;
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("*", "", true),
            ("a", "", false),
            ("a*c", "abbc", true),
            ("a*c", "abbcd", false),
            ("*b*", "abc", true),
            ("a?c", "abc", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("**", "x", true),
            ("a*b*c", "axbxbxc", true),
            ("a*b*c", "axcxb", false),
            ("arn:aws:lambda:*:function:f", "arn:aws:lambda:r:1:function:f", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
        // A pattern made to be tried for ever.
        assert!(!matches(&format!("{}c", "a*".repeat(200)), &"a".repeat(2000)));
        assert!(matches_ignoring_case("lambda:Invoke*", "LAMBDA:invokefunction"));
        assert!(matches_arn("arn:aws:s3:::b*", "arn:aws:s3:::bucket:x"));
        assert!(matches_arn("arn:aws:sns:*:1:t", "arn:aws:sns:r:1:t"));
        assert!(!matches_arn("arn:aws:sns:*:t", "arn:aws:sns:r:1:t"), "a star stays in its part");
        assert!(!matches_arn("*", "arn:aws:sns:r:1:t"));
    }
}
