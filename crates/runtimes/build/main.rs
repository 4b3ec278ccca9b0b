//! Build script: makes one bootstrap file per generation out of `runtimes/node/` and leaves it in
//! `OUT_DIR`, from where `src/bootstrap.rs` embeds it. The rule itself is in `bundle.rs`.
//!
//! Deliberately not here: minifying, transpiling, anything that needs Node.js. lambkin builds with
//! Rust alone, and what a stack trace shows is the source as written.

mod bundle;

use std::path::PathBuf;

/// An entry per generation, by `Generation::as_str()`.
const ENTRIES: [&str; 4] = ["g1", "g1b", "g2", "g3"];

fn main() {
    // Not `env!`: where build artefacts are shared, this may have been compiled for another working copy.
    let manifest =
        PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let sources = manifest.join("../../runtimes/node");
    println!("cargo:rerun-if-changed={}", sources.display());
    println!("cargo:rerun-if-changed=build");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for entry in ENTRIES {
        match bundle::bundle(&sources, entry) {
            Ok(text) => std::fs::write(out.join(format!("{entry}.js")), text).expect("OUT_DIR is writable"),
            Err(error) => {
                eprintln!("the bootstrap `{entry}` cannot be put together: {error}");
                std::process::exit(1);
            }
        }
    }
}
