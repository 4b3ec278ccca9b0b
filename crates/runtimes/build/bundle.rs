//! Puts an entry of the bootstrap and the own files it requires into one file: each file becomes
//! `function (module, exports, require)` in a table, and a small ES5 loader runs them.
//!
//! Own files are the ones required as `require('./name')` with a literal; any other name goes to
//! Node.js's own `require`. Files lie flat in one directory, so a name means the same everywhere.
//! The order is that of the first `require`, so the same sources always give the same bytes.

use std::fmt::Write as _;
use std::path::Path;

/// The bundle of `<directory>/<entry>.js`, or what is wrong with the sources.
pub(crate) fn bundle(directory: &Path, entry: &str) -> Result<String, String> {
    let mut files = Vec::new();
    visit(directory, entry, None, &mut files)?;
    let mut text = String::from(LOADER_HEAD);
    let _ = writeln!(text, "  own('./{entry}');\n}})(require, {{");
    for (index, (name, source)) in files.iter().enumerate() {
        let comma = if index + 1 == files.len() { "" } else { "," };
        // The line end before the brace: a file may end in a line comment.
        let _ = writeln!(
            text,
            "'./{name}': function (module, exports, require) {{{}\n}}{comma}",
            source.trim_end()
        );
    }
    text.push_str("});\n");
    Ok(text)
}

/// ES5, because Node.js 4 reads it too. A file in a circle sees what its partner has exported so
/// far, as with Node.js's own `require`.
const LOADER_HEAD: &str = "'use strict';
(function (node, files) {
  var made = {};
  function own(name) {
    if (!Object.prototype.hasOwnProperty.call(files, name)) {
      return node(name);
    }
    if (!made[name]) {
      made[name] = { exports: {} };
      files[name](made[name], made[name].exports, own);
    }
    return made[name].exports;
  }
";

fn visit(
    directory: &Path,
    name: &str,
    wanted_by: Option<&str>,
    files: &mut Vec<(String, String)>,
) -> Result<(), String> {
    if files.iter().any(|(known, _)| known == name) {
        return Ok(());
    }
    let path = directory.join(format!("{name}.js"));
    let source = std::fs::read_to_string(&path).map_err(|error| {
        let why = wanted_by.map(|by| format!(", required by {by}.js,")).unwrap_or_default();
        format!("{name}.js{why} cannot be read in runtimes/node: {error}")
    })?;
    let required = own_requires(&source).map_err(|error| format!("{name}.js: {error}"))?;
    files.push((name.to_owned(), source));
    for next in required {
        visit(directory, &next, Some(name), files)?;
    }
    Ok(())
}

/// Names of the own files that a source requires, in order. Whole-line comments do not count.
fn own_requires(source: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for line in source.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("//") || trimmed.starts_with('*') || trimmed.starts_with("/*") {
            continue;
        }
        for (at, word) in line.match_indices("require(") {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '.')) {
                continue;
            }
            let mut rest = line[at + word.len()..].chars();
            let Some(quote @ ('\'' | '"')) = rest.next() else { continue };
            let literal = rest.as_str().split(quote).next().unwrap_or_default();
            let Some(name) = literal.strip_prefix("./") else {
                if literal.starts_with('.') {
                    return Err(format!("`{literal}` is not beside it; own files lie in one directory"));
                }
                continue;
            };
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
                return Err(format!("`{literal}` is not of the form ./name (no folder, no extension)"));
            }
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
