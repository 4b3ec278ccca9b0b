//! The name of a zip entry as a path below the package, or why it is none.
//!
//! Deliberately not here: the file system. Two names that are one path there are found when the
//! second is made.

/// Deeper packages are refused: every open level costs a descriptor while it is unpacked. Real
/// `node_modules` trees stay below 50.
const DEPTH: usize = 200;
/// Linux's `PATH_MAX`: nothing longer can be opened by a handler.
const LENGTH: usize = 4095;

/// The components of an entry's name. `./a//b` is `a/b`, as tools write it; empty for `./` alone.
pub(crate) fn components(name: &[u8]) -> Result<Vec<&str>, String> {
    let refuse = |why: &str| Err(format!("entry `{}` {why}", name[..name.len().min(256)].escape_ascii()));
    // Names that are not UTF-8 are code page 437 by the letter of the format, and anything at all in
    // practice: whoever reads them otherwise than the packer did gets other files.
    let Ok(text) = std::str::from_utf8(name) else {
        return refuse("has a name that is not UTF-8");
    };
    if text.is_empty() {
        return refuse("has no name");
    }
    if text.len() > LENGTH {
        return refuse("has a name of more than 4095 bytes");
    }
    if text.contains('\0') {
        return refuse("has a NUL in its name");
    }
    if text.contains('\\') {
        return refuse("has a backslash in its name");
    }
    if text.starts_with('/') {
        return refuse("has an absolute path");
    }
    let bytes = text.as_bytes();
    if bytes[0].is_ascii_alphabetic() && bytes.get(1) == Some(&b':') {
        return refuse("has a drive letter in its name");
    }
    let components: Vec<&str> =
        text.split('/').filter(|component| !component.is_empty() && *component != ".").collect();
    if components.contains(&"..") {
        return refuse("leaves the package");
    }
    if components.len() > DEPTH {
        return refuse("is too deep");
    }
    Ok(components)
}

#[cfg(test)]
mod tests {
    use super::components;

    #[test]
    fn takes_paths_below_the_package_only() {
        for (name, expected) in [
            ("index.js", Some("index.js")),
            ("./a//b.js", Some("a/b.js")),
            ("a/", Some("a")),
            ("./", Some("")),
            ("a/...", Some("a/...")),
            ("grüße.js", Some("grüße.js")),
            ("", None),
            ("../a", None),
            ("a/../b", None),
            ("a/..", None),
            ("/etc/passwd", None),
            ("//a", None),
            ("a\\b", None),
            ("..\\a", None),
            ("C:a", None),
            ("c:/a", None),
            ("a\0.js", None),
        ] {
            assert_eq!(
                components(name.as_bytes()).ok().map(|path| path.join("/")).as_deref(),
                expected,
                "{name:?}"
            );
        }
        assert!(components(b"\xff.js").is_err());
        assert!(components("a/".repeat(200).as_bytes()).is_ok());
        assert!(components("a/".repeat(201).as_bytes()).is_err());
        assert!(components("a".repeat(4096).as_bytes()).is_err());
    }
}
