//! What the tests of the store make use of.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Write};
use std::time::Duration;

use bytes::Bytes;
use lambkin_model::catalog::Head;
use lambkin_model::code::{Code, CodeSha256};
use lambkin_model::function::{Configuration, FunctionVersion, LastUpdate, State};
use lambkin_model::name::{DEFAULT_ACCOUNT, FunctionKey, LATEST};
use lambkin_model::runtime::Runtime;
use lambkin_model::time::Timestamp;

/// Longer than anything takes here on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) fn key(name: &str) -> FunctionKey {
    FunctionKey { account: DEFAULT_ACCOUNT.into(), region: "us-east-1".into(), name: name.into() }
}

pub(crate) fn head(name: &str, mark: u64) -> Head {
    let latest = FunctionVersion {
        version: LATEST.into(),
        configuration: Configuration {
            variables: Some(BTreeMap::from([("GREETING".into(), "hello".into())])),
            ..Configuration::new(
                Runtime::all().last().expect("a runtime"),
                "arn:aws:iam::000000000000:role/r".into(),
                "index.handler".into(),
            )
        },
        code: Code { sha256: CodeSha256([7; 32]), size: 276, sdk_packages: BTreeSet::new(), directory: None },
        revision_id: "7f2c9d6a-0b3e-4e58-8f0d-5d1f3b2a9c40".into(),
        last_modified: Timestamp(1_767_323_045_678_901),
        state: State::Active,
        last_update: Some(LastUpdate::Successful),
    };
    let identity = "2d9c1a0e-55a7-4d2a-9b1c-0a4d6f5e7b21".into();
    Head { next_version: mark, ..Head::new(key(name), identity, latest) }
}

pub(crate) fn zip_of(files: &[(&str, &[u8])]) -> Bytes {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).expect("into memory");
        writer.write_all(content).expect("into memory");
    }
    writer.finish().expect("into memory").into_inner().into()
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}
