//! Build script: has npm build the web console (`console/`), and leaves its files, compressed, and a table of
//! them in `OUT_DIR`, from where `src/console.rs` embeds them.
//!
//! Release builds do it; others leave the console out unless `LAMBKIN_CONSOLE=1` asks for it, so that a check does
//! not wait for npm. Where npm is missing or fails the build says so and goes on: `/console` then says why.

mod npm;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// What the console is built from, below `console/`.
const SOURCES: [&str; 8] = [
    "blueprints",
    "index.html",
    "package.json",
    "package-lock.json",
    "public",
    "src",
    "tsconfig.json",
    "vite.config.ts",
];

/// How to go on where npm did not build it. A changed variable has cargo run this script again.
const REMEDY: &str = "With npm and Node.js 20.19 or later here, build with LAMBKIN_CONSOLE=1";

/// Bytes of the console in the binary.
const MOST: u64 = 1_500_000;

fn main() {
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-env-changed=LAMBKIN_CONSOLE");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let (absent, files) = match built(&out) {
        Ok(files) => (String::new(), files),
        Err(reason) => (reason, Vec::new()),
    };
    let mut table = format!("const ABSENT: &str = {absent:?};\nstatic FILES: &[(&str, &[u8])] = &[\n");
    for (name, path) in files {
        writeln!(table, "    ({name:?}, include_bytes!({:?})),", path.display()).expect("a String takes it");
    }
    table.push_str("];\n");
    fs::write(out.join("console.rs"), table).expect("OUT_DIR is writable");
}

/// The console's files by name, compressed; or why there are none.
fn built(out: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let asked = env::var("LAMBKIN_CONSOLE").ok().map(|asked| asked != "0");
    if !asked.unwrap_or_else(|| env::var("PROFILE").is_ok_and(|profile| profile == "release")) {
        return Err("debug builds leave it out. Build with --release, or with LAMBKIN_CONSOLE=1.".into());
    }
    let console = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../console");
    for source in SOURCES {
        println!("cargo:rerun-if-changed={}", console.join(source).display());
    }
    let pages = out.join("console");
    if let Err(reason) = npm::build("npm", &console, &pages) {
        println!("cargo:warning=lambkin is built without its web console: {reason}");
        println!(
            "cargo:warning={REMEDY}; everything else works. LAMBKIN_CONSOLE=0 leaves it out without a warning"
        );
        if asked == Some(true) {
            // What is never there is looked for again in each build: whoever asks in so many words wants another try.
            println!("cargo:rerun-if-changed={}", out.join("another-try").display());
        }
        return Err(format!("{reason}. {REMEDY}."));
    }
    let compressed = out.join("console-gz");
    if compressed.exists() {
        fs::remove_dir_all(&compressed).map_err(|error| error.to_string())?;
    }
    let mut files = Vec::new();
    compress(&pages, "", &compressed, &mut files).map_err(|error| error.to_string())?;
    files.sort();
    let total: u64 =
        files.iter().filter_map(|(_, path)| fs::metadata(path).ok()).map(|file| file.len()).sum();
    assert!(
        total <= MOST,
        "the console has {total} bytes, compressed; {MOST} are the most that the binary takes"
    );
    Ok(files)
}

fn compress(from: &Path, prefix: &str, to: &Path, files: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name().into_string().expect("vite names files in ASCII");
        let (path, key) = (to.join(&name), format!("{prefix}{name}"));
        if entry.file_type()?.is_dir() {
            compress(&entry.path(), &format!("{key}/"), &path, files)?;
            continue;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&fs::read(entry.path())?)?;
        fs::write(&path, encoder.finish()?)?;
        files.push((key, path));
    }
    Ok(())
}
