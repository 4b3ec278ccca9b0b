//! Which packages of the AWS SDK some JavaScript refers to: `aws-sdk` (version 2) and
//! `@aws-sdk/<name>` (version 3) as whole quoted words. They are installed beside the runtime
//! where the package does not carry them.
//!
//! Deliberately not here: a JavaScript parser. A word in a comment costs an unneeded install and
//! nothing else; a name put together at run time is not seen.

use std::collections::BTreeSet;

/// Bytes of one file that are looked at.
const FILE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of all files of a package that are looked at.
const PACKAGE_BYTES: usize = 32 * 1024 * 1024;
/// Longest specifier that is read to its closing quote.
const SPECIFIER_BYTES: usize = 256;

/// The packages named by module specifiers in `source`: `'aws-sdk/clients/s3'` gives `aws-sdk`,
/// `"@aws-sdk/client-s3"` gives itself. Quotes are `'`, `"` or `` ` ``.
#[must_use]
pub fn sdk_references(source: &[u8]) -> BTreeSet<String> {
    const WORD: &[u8] = b"aws-sdk";
    let mut found = BTreeSet::new();
    let mut from = 0;
    while let Some(start) = find(source, WORD, from) {
        from = start + WORD.len();
        let scoped = start.checked_sub(1).is_some_and(|at| source[at] == b'@');
        let Some(quote) = start.checked_sub(1 + usize::from(scoped)).map(|at| source[at]) else { continue };
        if !matches!(quote, b'\'' | b'"' | b'`') {
            continue;
        }
        let rest = &source[from..source.len().min(from + SPECIFIER_BYTES)];
        let Some(length) = rest.iter().position(|byte| *byte == quote) else { continue };
        let Some(path) = subpath(&rest[..length]) else { continue };
        match (scoped, path.split('/').next()) {
            (false, _) => {
                found.insert("aws-sdk".to_owned());
            }
            (true, Some(name)) if is_package_name(name) => {
                found.insert(format!("@aws-sdk/{name}"));
            }
            (true, _) => {}
        }
    }
    found
}

/// What follows the word up to the quote, without its slash: empty, or a path of plain characters.
fn subpath(text: &[u8]) -> Option<&str> {
    if text.is_empty() {
        return Some("");
    }
    let path = text.strip_prefix(b"/")?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./~@".contains(byte);
    if !path.iter().all(plain) {
        return None;
    }
    std::str::from_utf8(path).ok()
}

/// Whether it is one of those that are installed beside the runtime.
pub(crate) fn is_sdk_package(name: &str) -> bool {
    name == "aws-sdk" || name.strip_prefix("@aws-sdk/").is_some_and(is_package_name)
}

fn is_package_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    name.bytes().all(plain) && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    // The first byte alone is rarer to match than a window is to compare.
    let mut at = from;
    while let Some(next) = haystack.get(at..)?.iter().position(|byte| *byte == needle[0]) {
        at += next;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Collects what a package refers to and what it carries, entry by entry.
#[derive(Debug)]
pub(crate) struct SdkScan {
    referred: BTreeSet<String>,
    carried: BTreeSet<String>,
    left: usize,
}

impl Default for SdkScan {
    fn default() -> Self {
        Self { referred: BTreeSet::new(), carried: BTreeSet::new(), left: PACKAGE_BYTES }
    }
}

impl SdkScan {
    /// Notes an entry, and says how many bytes of its beginning `file` wants to see.
    pub(crate) fn entry(&mut self, path: &[&str]) -> usize {
        let mut own = true;
        // Where a layer's own modules are: they may count on the runtime's SDK.
        let layer = match path {
            ["nodejs", "node_modules", ..] => Some(1),
            ["nodejs", _, "node_modules", ..] => Some(2),
            _ => None,
        };
        for (at, component) in path.iter().enumerate() {
            if *component == "node_modules" {
                own = own && layer == Some(at);
                let mut package = path[at + 1..].iter().copied();
                match (package.next(), package.next()) {
                    (Some("aws-sdk"), _) => {
                        self.carried.insert("aws-sdk".to_owned());
                    }
                    (Some("@aws-sdk"), Some(name)) => {
                        self.carried.insert(format!("@aws-sdk/{name}"));
                    }
                    _ => {}
                }
            }
        }
        let source = path
            .last()
            .and_then(|name| name.rsplit_once('.'))
            .is_some_and(|(_, extension)| ["js", "mjs", "cjs"].contains(&extension));
        if own && source { FILE_BYTES.min(self.left) } else { 0 }
    }

    pub(crate) fn file(&mut self, beginning: &[u8]) {
        self.left = self.left.saturating_sub(beginning.len());
        self.referred.append(&mut sdk_references(beginning));
    }

    /// What is referred to and not carried.
    pub(crate) fn missing(&self) -> BTreeSet<String> {
        self.referred.difference(&self.carried).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_specifiers_in_any_quotes() {
        for (source, expected) in [
            ("const AWS = require('aws-sdk');", "aws-sdk"),
            ("import AWS from \"aws-sdk\";", "aws-sdk"),
            ("import S3 from 'aws-sdk/clients/s3.js'", "aws-sdk"),
            ("await import(`@aws-sdk/client-s3`)", "@aws-sdk/client-s3"),
            ("require(\"@aws-sdk/client-s3/dist-cjs/x.js\")", "@aws-sdk/client-s3"),
            (
                "import{S3}from'@aws-sdk/client-s3';import{b}from\"@aws-sdk/lib-dynamodb\"",
                "@aws-sdk/client-s3 @aws-sdk/lib-dynamodb",
            ),
            ("'aws-sdk' + \"@aws-sdk/client-sqs\"", "@aws-sdk/client-sqs aws-sdk"),
            ("// see aws-sdk or @aws-sdk/client-s3", ""),
            ("'aws-sdk-mock'", ""),
            ("'my-aws-sdk'", ""),
            ("'@other/aws-sdk'", ""),
            ("'@aws-sdk'", ""),
            ("'@aws-sdk/'", ""),
            ("'@aws-sdk/../x'", ""),
            ("'aws-sdk\"", ""),
            ("'aws-sdk/${name}'", ""),
            ("aws-sdk", ""),
            ("@aws-sdk/client-s3'", ""),
            ("'aws-sdk", ""),
            ("", ""),
        ] {
            let found: Vec<String> = sdk_references(source.as_bytes()).into_iter().collect();
            assert_eq!(found.join(" "), expected, "{source}");
        }
    }

    #[test]
    fn reports_what_is_not_carried() {
        let mut scan = SdkScan::default();
        assert_eq!(scan.entry(&["index.mjs"]), FILE_BYTES);
        scan.file(b"import '@aws-sdk/client-s3'; import '@aws-sdk/client-sqs'; import 'aws-sdk'");
        assert_eq!(scan.entry(&["node_modules", "@aws-sdk", "client-s3", "package.json"]), 0);
        assert_eq!(scan.entry(&["lib", "node_modules", "aws-sdk", "index.js"]), 0);
        assert_eq!(scan.entry(&["README.md"]), 0);
        // A layer's own modules are looked at, what they brought is not.
        for layer in [&["nodejs", "node_modules"] as &[_], &["nodejs", "node22", "node_modules"]] {
            assert_eq!(scan.entry(&[layer, &["mine", "index.js"]].concat()), FILE_BYTES);
            assert_eq!(scan.entry(&[layer, &["mine", "node_modules", "other", "index.js"]].concat()), 0);
        }
        assert_eq!(scan.missing().into_iter().collect::<Vec<_>>(), ["@aws-sdk/client-sqs"]);
    }
}
