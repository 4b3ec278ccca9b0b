//! The bundler of the build script, on sources made by the test.

#[path = "../../build/bundle.rs"]
mod bundler;

use std::fs;

use bundler::bundle;

fn sources(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

#[test]
fn own_files_are_followed_once_and_in_order() {
    let dir = sources(&[
        (
            "a.js",
            "'use strict';\nconst b = require('./b');\nvar c = require(\"./c\"); const fs = require('fs'); // end",
        ),
        ("b.js", "const c = require('./c'); loader.require('./nowhere');\n// require('./comment')"),
        ("c.js", "const a = require('./a');"),
        ("unused.js", ""),
    ]);
    let text = bundle(dir.path(), "a").unwrap();
    let at = |name: &str| text.find(&format!("'./{name}': function (module, exports, require) {{")).unwrap();
    assert!(at("a") < at("b") && at("b") < at("c"));
    assert!(!text.contains("unused"));
    assert!(text.contains("// end\n}"), "a line comment does not swallow the brace");
    assert!(text.contains("{'use strict';"), "a file's own strictness is kept");
    assert_eq!(text, bundle(dir.path(), "a").unwrap());
}

#[test]
fn what_is_missing_or_elsewhere_is_named() {
    let dir = sources(&[
        ("a.js", "require('./gone')"),
        ("up.js", "require('../x')"),
        ("deep.js", "require('./x/y')"),
    ]);
    let error = |entry| bundle(dir.path(), entry).unwrap_err();
    assert!(error("g9").starts_with("g9.js cannot be read in runtimes/node"), "{}", error("g9"));
    assert!(error("a").starts_with("gone.js, required by a.js, cannot be read"), "{}", error("a"));
    assert!(error("up").contains("../x"));
    assert!(error("deep").contains("./x/y"));
}
