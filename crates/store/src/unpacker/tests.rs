use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;

use super::*;

/// Says this, whatever it is given; or does it.
#[derive(Debug)]
struct Says(Option<&'static str>);

impl Unpacker for Says {
    fn unpack(&self, zip: File, directory: &Path) -> io::Result<Vec<u8>> {
        match self.0 {
            Some("cannot") => Err(io::Error::other("no process")),
            Some(text) => Ok(text.into()),
            None => Ok(unpack_here(zip, File::open(directory)?.into())),
        }
    }
}

fn asked(says: Option<&'static str>, zip: &[u8]) -> String {
    let place = tempfile::tempdir().unwrap();
    let (file, directory) = (place.path().join("package.zip"), place.path().join("task"));
    std::fs::write(&file, zip).unwrap();
    std::fs::create_dir(&directory).unwrap();
    match unpack_by(&Says(says), &file, &directory) {
        Ok(unpacked) => {
            let text = std::fs::read_to_string(directory.join("lib/index.js")).unwrap_or_default();
            format!("{} {} {:?} {text}", unpacked.made, unpacked.written, unpacked.sdk_packages)
        }
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn both_ends_agree() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("lib/index.js", SimpleFileOptions::default()).unwrap();
    zip.write_all(b"require('@aws-sdk/client-s3')").unwrap();
    let zip = zip.finish().unwrap().into_inner();
    assert_eq!(asked(None, &zip), r#"2 29 {"@aws-sdk/client-s3"} require('@aws-sdk/client-s3')"#);
    assert!(asked(None, b"no zip").starts_with("Unusable("));
}

#[test]
fn an_answer_is_not_believed() {
    let ended = r#"Unusable("what unpacked it ended without an answer")"#;
    for (says, expected) in [
        (r#"{"Unpacked":{"sdk_packages":["aws-sdk"],"made":1,"written":2}}"#, r#"1 2 {"aws-sdk"} "#),
        (r#"{"Unusable":"why"}"#, r#"Unusable("why")"#),
        (r#""TooLarge""#, "UnzippedTooLarge"),
        (r#"{"Unavailable":"full"}"#, r#"Unavailable("full")"#),
        ("", ended),
        ("{", ended),
        (r#""Unheard""#, ended),
        // Names that npm would be asked for.
        (r#"{"Unpacked":{"sdk_packages":["@aws-sdk/../left-pad"],"made":1,"written":2}}"#, ended),
        (r#"{"Unpacked":{"sdk_packages":["left-pad"],"made":1,"written":2}}"#, ended),
        (r#"{"Unpacked":{"sdk_packages":[],"made":1,"written":262144001}}"#, ended),
    ] {
        assert_eq!(asked(Some(says), b"any"), expected, "{says}");
    }
    assert_eq!(
        asked(Some("cannot"), b"any"),
        r#"Unavailable("packages cannot be unpacked here: no process")"#
    );
}
