//! Hostile packages (sandbox.md, threat 28), built by hand: no writer of zip files makes these.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::*;

const MEGABYTE: usize = 1 << 20;

/// One entry as its headers say, true or not.
#[derive(Clone)]
struct Raw {
    name: Vec<u8>,
    /// Unix mode; the upper half of the external attributes.
    mode: u32,
    flags: u16,
    method: u16,
    crc: u32,
    claimed: u32,
    extra: Vec<u8>,
    stored: Vec<u8>,
}

impl Raw {
    fn file(name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            mode: REGULAR | 0o644,
            flags: 0,
            method: 0,
            crc: crc(content),
            claimed: u32::try_from(content.len()).unwrap(),
            extra: Vec::new(),
            stored: content.to_vec(),
        }
    }

    fn deflated(name: &str, content: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        Self { method: 8, stored: encoder.finish().unwrap(), ..Self::file(name, content) }
    }

    fn link(name: &str, target: &str) -> Self {
        Self { mode: LINK | 0o777, ..Self::file(name, target.as_bytes()) }
    }

    /// A file that PKWARE's field for Unix calls another name of `target`.
    fn hard_link(name: &str, target: &str, content: &[u8]) -> Self {
        let mut extra = vec![0x0d, 0];
        extra.extend(u16::try_from(12 + target.len()).unwrap().to_le_bytes());
        extra.extend([0; 12]);
        extra.extend(target.as_bytes());
        Self { extra, ..Self::file(name, content) }
    }

    fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    fn flags(self, flags: u16) -> Self {
        Self { flags, ..self }
    }

    fn method(self, method: u16) -> Self {
        Self { method, ..self }
    }

    fn claims(self, claimed: u32) -> Self {
        Self { claimed, ..self }
    }

    fn header(&self, out: &mut Vec<u8>) {
        out.extend(20_u16.to_le_bytes());
        out.extend(self.flags.to_le_bytes());
        out.extend(self.method.to_le_bytes());
        out.extend([0, 0, 0x21, 0x58]);
        out.extend(self.crc.to_le_bytes());
        out.extend(u32::try_from(self.stored.len()).unwrap().to_le_bytes());
        out.extend(self.claimed.to_le_bytes());
        out.extend(u16::try_from(self.name.len()).unwrap().to_le_bytes());
        out.extend(u16::try_from(self.extra.len()).unwrap().to_le_bytes());
    }
}

fn crc(content: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    crc.sum()
}

fn zip(entries: &[Raw]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let start = u32::try_from(zip.len()).unwrap();
        zip.extend(b"PK\x03\x04");
        entry.header(&mut zip);
        zip.extend(&entry.name);
        zip.extend(&entry.extra);
        zip.extend(&entry.stored);
        directory.extend(b"PK\x01\x02\x14\x03");
        entry.header(&mut directory);
        directory.extend([0; 6]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(start.to_le_bytes());
        directory.extend(&entry.name);
        directory.extend(&entry.extra);
    }
    let (at, size) = (zip.len(), directory.len());
    zip.extend(directory);
    let count = u16::try_from(entries.len()).unwrap_or(u16::MAX);
    end(&mut zip, count, size, at);
    zip
}

fn end(zip: &mut Vec<u8>, count: u16, size: usize, at: usize) {
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend(count.to_le_bytes());
    zip.extend(count.to_le_bytes());
    zip.extend(u32::try_from(size).unwrap().to_le_bytes());
    zip.extend(u32::try_from(at).unwrap().to_le_bytes());
    zip.extend([0, 0]);
}

/// What became of a package: every path below its directory with its content, or the refusal.
type Result = std::result::Result<BTreeMap<String, String>, CodeError>;

fn unpacked_within(zip: &[u8], limits: Limits) -> Result {
    let outside = tempfile::tempdir().unwrap();
    let task = outside.path().join("d/task");
    std::fs::create_dir_all(&task).unwrap();
    let answer = unpack(&Bytes::copy_from_slice(zip), File::open(&task).unwrap().into(), limits);
    // Whatever it was, nothing came to be beside the package's own directory.
    for (directory, only) in [(outside.path().to_owned(), "d"), (outside.path().join("d"), "task")] {
        let there: Vec<_> =
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(there, [only]);
    }
    answer?;
    let mut found = BTreeMap::new();
    collect(&task, "", &mut found);
    Ok(found)
}

fn collect(directory: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
        if kind.is_dir() {
            found.insert(format!("{name}/"), format!("{mode:o}"));
            collect(&entry.path(), &format!("{name}/"), found);
        } else if kind.is_symlink() {
            found.insert(name, format!("-> {}", std::fs::read_link(entry.path()).unwrap().display()));
        } else {
            let content = std::fs::read(entry.path()).unwrap();
            found.insert(name, format!("{mode:o} {}", String::from_utf8_lossy(&content)));
        }
    }
}

fn unpacked(zip: &[u8]) -> Result {
    unpacked_within(zip, Limits { written: 4 * MEGABYTE as u64, entries: 100 })
}

fn shown(found: Result) -> String {
    let found = found.unwrap();
    found.iter().map(|(path, content)| format!("{path} {content}")).collect::<Vec<_>>().join(", ")
}

#[test]
fn keeps_what_good_packages_hold() {
    let file = |name: &str| Raw::file(name, b"x");
    for (entries, expected) in [
        (vec![file("a.js")], "a.js 644 x"),
        (vec![Raw::deflated("a/b.js", b"yy")], "a/ 755, a/b.js 644 yy"),
        (vec![file("a/").mode(DIRECTORY | 0o700), file("a/b")], "a/ 755, a/b 644 x"),
        (vec![file("a/b"), Raw::file("a/", b"")], "a/ 755, a/b 644 x"),
        (vec![Raw::file("empty/", b"")], "empty/ 755"),
        (vec![file("./a"), file("b//c")], "a 644 x, b/ 755, b/c 644 x"),
        (vec![file("grüße")], "grüße 644 x"),
        // Executable bits stay, special bits go, and what lambkin has to read is readable.
        (vec![file("a").mode(REGULAR | 0o755)], "a 755 x"),
        (vec![file("a").mode(REGULAR | 0o6755)], "a 755 x"),
        (vec![file("a").mode(REGULAR | 0o111)], "a 511 x"),
        (vec![file("a").mode(REGULAR | 0o600)], "a 600 x"),
        (vec![file("a").mode(0)], "a 644 x"),
        // Links that stay inside, before or after what they name, or to nothing.
        (
            vec![Raw::link("node_modules/.bin/t", "../t/cli.js"), file("node_modules/t/cli.js")],
            "node_modules/ 755, node_modules/.bin/ 755, node_modules/.bin/t -> ../t/cli.js, \
             node_modules/t/ 755, node_modules/t/cli.js 644 x",
        ),
        (vec![Raw::link("a", "b")], "a -> b"),
    ] {
        assert_eq!(shown(unpacked(&zip(&entries))), expected);
    }
    let mut prefixed = b"#!/bin/sh\nexit 0\n".to_vec();
    prefixed.extend(zip(&[file("a")]));
    assert_eq!(shown(unpacked(&prefixed)), "a 644 x", "data before the zip");
    let mut commented = zip(&[file("a")]);
    let length = commented.len();
    commented[length - 2] = 5;
    commented.extend(b"hello");
    assert_eq!(shown(unpacked(&commented)), "a 644 x", "a comment after it");
}

/// A hard link has no permissions of its own to stop it: a package never makes one, it has the file's content.
#[test]
fn a_hard_link_is_a_file_of_its_own() {
    for target in ["first", "/etc/passwd", "../../secret"] {
        let zip = zip(&[Raw::file("first", b"1"), Raw::hard_link("second", target, b"2")]);
        assert_eq!(shown(unpacked(&zip)), "first 644 1, second 644 2", "{target}");
        let task = tempfile::tempdir().unwrap();
        let directory = File::open(task.path()).unwrap().into();
        unpack(&Bytes::from(zip), directory, Limits { written: 100, entries: 2 }).unwrap();
        assert_eq!(std::fs::metadata(task.path().join("second")).unwrap().nlink(), 1, "{target}");
    }
}

#[test]
fn refuses_hostile_entries() {
    let file = |name: &str| Raw::file(name, b"x");
    for (what, entries, why) in [
        ("up", vec![file("../a")], "leaves the package"),
        ("up in the middle", vec![file("a/../../b")], "leaves the package"),
        ("absolute", vec![file("/tmp/a")], "absolute"),
        ("backslash", vec![file("..\\a")], "backslash"),
        ("drive", vec![file("C:/a")], "drive letter"),
        ("NUL", vec![file("a\0b")], "NUL"),
        ("not UTF-8", vec![Raw::file(b"\xff\xfe", b"x")], "not UTF-8"),
        ("no name", vec![file("")], "no name"),
        ("the package itself", vec![file(".")], "the package's own name"),
        ("long component", vec![file(&"a".repeat(300))], "does not take"),
        ("too deep", vec![file(&"a/".repeat(300))], "too deep"),
        ("same name", vec![file("a"), file("a")], "same name"),
        ("same path", vec![file("a/b"), file("a/./b")], "twice"),
        ("file, then directory", vec![file("a"), file("a/b")], "twice, or a file and a directory"),
        ("directory, then file", vec![file("a/b"), file("a")], "twice, or a file and a directory"),
        (
            "file and directory entry",
            vec![file("a"), Raw::file("a/", b"")],
            "twice, or a file and a directory",
        ),
        ("link up", vec![Raw::link("a", "../b")], "leaves the package"),
        ("link out", vec![Raw::link("a", "/etc/passwd")], "leaves the package"),
        ("link to nothing", vec![Raw::link("a", "")], "no usable target"),
        ("link with NUL", vec![Raw::link("a", "b\0c")], "no usable target"),
        ("long link", vec![Raw::link("a", &"b/".repeat(3000))], "no usable target"),
        ("link to itself", vec![Raw::link("a", "a")], "too many links"),
        ("write through a link", vec![Raw::link("a", "/tmp"), file("a/b")], "leaves the package"),
        ("write through an inner link", vec![file("d/x"), Raw::link("a", "d"), file("a/b")], "twice"),
        ("write through a link made later", vec![file("a/b"), Raw::link("a", "d")], "twice"),
        ("write to a link", vec![Raw::link("a", "d"), file("a")], "same name"),
        ("write to a link by another name", vec![Raw::link("a", "d"), file("./a")], "twice"),
        ("link below a link", vec![Raw::link("a", "d"), Raw::link("a/b", "c")], "twice"),
        (
            "links that leave together",
            vec![Raw::link("d/e/up", "../.."), Raw::link("a", "d/e/up/../etc")],
            "leaves the package",
        ),
        ("device", vec![file("a").mode(0o020_666)], "neither"),
        ("block device", vec![file("a").mode(0o060_666)], "neither"),
        ("fifo", vec![file("a").mode(0o010_666)], "neither"),
        ("socket", vec![file("a").mode(0o140_666)], "neither"),
        ("link that is a directory", vec![Raw::link("a/", "b")], "neither"),
        ("encrypted", vec![file("a").flags(1)], "Password"),
        ("other method", vec![file("a").method(12)], "method"),
        ("wrong checksum", vec![Raw { crc: 7, ..file("a") }], "checksum"),
        ("claims more", vec![file("a").claims(1000)], "not of the size"),
        ("claims less", vec![Raw::file("a", b"xxxx").claims(2)], "broken"),
        ("deflated, claims less", vec![Raw::deflated("a", &[0; 100_000]).claims(10)], "broken"),
        ("deflated, claims more", vec![Raw::deflated("a", b"xx").claims(1000)], "not of the size"),
        ("not deflated", vec![Raw::file("a", b"garbage").method(8)], "broken"),
    ] {
        match unpacked(&zip(&entries)) {
            Err(CodeError::Unusable(reason)) => {
                assert!(reason.to_lowercase().contains(&why.to_lowercase()), "{what}: {reason}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn counts_what_is_written() {
    let limits = Limits { written: MEGABYTE as u64, entries: 1000 };
    let zeros = vec![0; MEGABYTE];
    let exact = zip(&[Raw::deflated("a", &zeros)]);
    assert!(exact.len() < 2000 && unpacked_within(&exact, limits).is_ok());
    for (what, entries) in [
        ("one bomb", vec![Raw::deflated("a", &vec![0; MEGABYTE + 1])]),
        (
            "many small bombs",
            (0..100).map(|index| Raw::deflated(&format!("{index}"), &zeros[..20_000])).collect(),
        ),
        ("a byte over", vec![Raw::deflated("a", &zeros), Raw::file("b", b"x")]),
        ("a link over", vec![Raw::deflated("a", &zeros), Raw::link("b", "a")]),
    ] {
        assert_eq!(unpacked_within(&zip(&entries), limits), Err(CodeError::UnzippedTooLarge), "{what}");
    }
    // The header says ten bytes: it is not believed, and no more than that is written.
    let lying = zip(&[Raw::deflated("a", &vec![0; 8 * MEGABYTE]).claims(10)]);
    assert!(matches!(unpacked_within(&lying, limits), Err(CodeError::Unusable(_))));
    // Many entries that share one entry's bytes (a "better zip bomb") are counted one by one.
    let bomb = Raw::deflated("0", &vec![0; MEGABYTE / 4]);
    let mut shared = zip(std::slice::from_ref(&bomb));
    let at = 30 + 1 + bomb.stored.len();
    shared.truncate(at);
    for index in 0..8_u8 {
        shared.extend(b"PK\x01\x02\x14\x03");
        let named = Raw { name: vec![b'0' + index], ..bomb.clone() };
        named.header(&mut shared);
        shared.extend([0; 6]);
        shared.extend((named.mode << 16).to_le_bytes());
        shared.extend(0_u32.to_le_bytes());
        shared.extend(&named.name);
    }
    let size = shared.len() - at;
    end(&mut shared, 8, size, at);
    assert!(unpacked_within(&shared, limits).is_err());
}

#[test]
fn bounds_entries_and_what_they_imply() {
    let limits = Limits { written: 1000, entries: 100 };
    let many = |count: usize| (0..count).map(|index| Raw::file(format!("{index}"), b"")).collect::<Vec<_>>();
    assert!(unpacked_within(&zip(&many(100)), limits).is_ok());
    let refused = |zip: &[u8]| match unpacked_within(zip, limits) {
        Err(CodeError::Unusable(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&zip(&many(101))), "it has more than 100 entries");
    // Three entries that imply 297 directories.
    let deep: Vec<Raw> = ["a", "b", "c"].map(|name| Raw::file(format!("{name}/").repeat(99), b"")).into();
    assert_eq!(refused(&zip(&deep)), "it has more than 100 files and directories");
}

/// A million entries are refused by what the end record claims, before any of them is read.
#[test]
fn a_million_entries_cost_nothing() {
    let mut bomb = zip(&[Raw::file("a", b"")]);
    bomb.truncate(bomb.len() - 22);
    let size = bomb.len() - 31;
    let at = bomb.len() as u64;
    bomb.extend(b"PK\x06\x06");
    bomb.extend(44_u64.to_le_bytes());
    bomb.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bomb.extend(1_000_000_u64.to_le_bytes());
    bomb.extend(1_000_000_u64.to_le_bytes());
    bomb.extend((size as u64).to_le_bytes());
    bomb.extend(31_u64.to_le_bytes());
    bomb.extend(b"PK\x06\x07\0\0\0\0");
    bomb.extend(at.to_le_bytes());
    bomb.extend(1_u32.to_le_bytes());
    end(&mut bomb, u16::MAX, size, 31);
    assert_eq!(
        unpacked_within(&bomb, Limits::default()),
        Err(CodeError::Unusable("it has more than 100000 entries".into()))
    );
}

#[test]
fn refuses_what_is_no_zip_or_not_all_of_one() {
    let whole = zip(&[Raw::file("a.js", b"exports.handler = 1"), Raw::deflated("b.js", &[b'x'; 5000])]);
    assert!(unpacked(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(
            matches!(unpacked(&whole[..length]), Err(CodeError::Unusable(_))),
            "the first {length} bytes"
        );
    }
    for other in [&b"not a zip"[..], &[0; 5000], &zip(&[])] {
        assert!(matches!(unpacked(other), Err(CodeError::Unusable(_))));
    }
}

/// Any byte may be any other: it is unpacked or refused, and never the disk's fault.
#[test]
fn damage_is_never_a_panic() {
    let whole = zip(&[
        Raw::file("a.js", b"exports.handler = 1"),
        Raw::deflated("d/b.js", &[b'x'; 500]),
        Raw::link("l", "a.js"),
    ]);
    for at in 0..whole.len() {
        for change in [1, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= change;
            if let Err(error) = unpacked(&damaged) {
                assert!(
                    matches!(error, CodeError::Unusable(_) | CodeError::UnzippedTooLarge),
                    "{at}: {error}"
                );
            }
        }
    }
}
