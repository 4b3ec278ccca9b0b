//! Records of every format there has been. Every past format is read for ever, and only what needs a newer one is written in it. A fixture is
//! never changed: a new format gets one of its own.

use lambkin_model::catalog::{CatalogRead, Head};
use lambkin_model::iam::{ManagedPolicy, Role};
use lambkin_model::layer::{Layer, LayerVersion, UsedLayer};
use lambkin_model::record::Records as _;
use lambkin_model::url::AuthType;
use lambkin_model::version::Version;
use lambkin_store::{Kinds, Store, StoreConfig};
use rusqlite::{Connection, params};
use serde_json::Value;

use crate::support::key;

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The format that it is written in.
fn format(head: &Head) -> Value {
    value(&head.encode())["format"].clone()
}

/// A store that was left with these records.
struct Kept {
    store: Store,
    _directory: tempfile::TempDir,
}

impl Kept {
    fn new(kinds: impl Fn() -> Kinds, records: &[(&str, &[u8])]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let open = || Store::open(directory.path(), StoreConfig { kinds: kinds(), ..StoreConfig::default() });
        drop(open().unwrap());
        let file = Connection::open(directory.path().join("catalog.sqlite")).unwrap();
        for (key, record) in records {
            file.execute("INSERT INTO records VALUES (?1, 1, ?2)", params![key, record]).unwrap();
        }
        drop(file);
        Self { store: open().unwrap(), _directory: directory }
    }
}

#[test]
fn reads_heads_of_format_1() {
    let fixture = include_bytes!("../fixtures/head-1.json");
    let head = Head::decode(fixture).unwrap();
    assert_eq!(&*head.key.name, "hello");
    assert_eq!(head.aliases["live"].version, Version::Published(2));
    assert_eq!(head.serving.as_deref().unwrap().configuration.runtime.to_string(), "nodejs8.10");
    // Nothing in it was passed over.
    assert_eq!(value(&head.encode()), value(fixture));

    let kept = Kept::new(Kinds::default, &[("head/000000000000/us-east-1/hello", fixture)]);
    assert_eq!(kept.store.catalog().head(&key("hello")).unwrap().record, head);
}

/// Only what needs the newer format is written in it.
#[test]
fn reads_heads_of_format_2() {
    let fixture = include_bytes!("../fixtures/head-2.json");
    let mut head = Head::decode(fixture).unwrap();
    assert_eq!(head.reserved_concurrency, Some(5));
    assert_eq!(value(&head.encode()), value(fixture));
    head.reserved_concurrency = None;
    assert_eq!(format(&head), 1);
}

#[test]
fn reads_heads_of_format_3() {
    let fixture = include_bytes!("../fixtures/head-3.json");
    let mut head = Head::decode(fixture).unwrap();
    assert_eq!(head.event_invoke["$LATEST"].maximum_event_age, Some(3600));
    let dead_letter = "arn:aws:sqs:us-east-1:000000000000:dead";
    assert_eq!(head.latest.configuration.dead_letter.as_deref(), Some(dead_letter));
    assert!(head.recursion_allowed);
    assert_eq!(value(&head.encode()), value(fixture));
    // Each of the three needs it, and nothing else does.
    head.event_invoke.clear();
    head.recursion_allowed = false;
    assert_eq!(format(&head), 3);
    head.latest.configuration.dead_letter = None;
    assert_eq!(format(&head), 2);
    head.recursion_allowed = true;
    assert_eq!(format(&head), 3);
}

#[test]
fn reads_heads_of_format_4() {
    let fixture = include_bytes!("../fixtures/head-4.json");
    let mut head = Head::decode(fixture).unwrap();
    assert!(head.policies["$LATEST"].document.has("sns"));
    assert_eq!(value(&head.encode()), value(fixture));
    head.policies.clear();
    assert_eq!(format(&head), 3);
    let provisioned = r#"{"requested":2,"last_modified":1767323045678901}"#;
    head.provisioned.insert("1".into(), serde_json::from_str(provisioned).unwrap());
    assert_eq!(format(&head), 4);
    assert_eq!(Head::decode(&head.encode()).unwrap(), head);
    let newer = String::from_utf8_lossy(fixture).replacen('4', "6", 1);
    assert!(Head::decode(newer.as_bytes()).unwrap_err().contains("format 6 is newer"));
}

#[test]
fn reads_roles_and_policies() {
    let (role, policy) =
        (include_bytes!("../fixtures/role-1.json"), include_bytes!("../fixtures/managed-policy-1.json"));
    let kept = Kept::new(
        || Kinds::default().with::<Role>().with::<ManagedPolicy>(),
        &[
            ("role/000000000000/aws-global/worker", role),
            ("managed-policy/000000000000/aws-global/own", policy),
        ],
    );
    let (roles, policies) = (kept.store.records::<Role>().all(), kept.store.records::<ManagedPolicy>().all());
    assert_eq!(roles[0].record.arn(), "arn:aws:iam::000000000000:role/service/Worker");
    assert!(policies[0].record.document().is_some());
    assert_eq!(serde_json::to_value(&roles[0].record).unwrap(), value(role)["record"]);
    assert_eq!(serde_json::to_value(&policies[0].record).unwrap(), value(policy)["record"]);
}

#[test]
fn reads_layers() {
    let (layer, version) =
        (include_bytes!("../fixtures/layer-1.json"), include_bytes!("../fixtures/layer-version-1.json"));
    let kept = Kept::new(
        || Kinds::default().with::<Layer>().with::<LayerVersion>(),
        &[
            ("layer/000000000000/us-east-1/tools", layer),
            ("layer-version/000000000000/us-east-1/tools!18446744073709551608", version),
        ],
    );
    let layers = kept.store.records::<Layer>().all();
    let versions = kept.store.records::<LayerVersion>().all();
    let name = &versions[0].record.name;
    assert_eq!(name.to_string(), "arn:aws:lambda:us-east-1:000000000000:layer:tools:7");
    assert_eq!(name.record_key(), versions[0].record.key);
    assert_eq!(serde_json::to_value(&layers[0].record).unwrap(), value(layer)["record"]);
    assert_eq!(serde_json::to_value(&versions[0].record).unwrap(), value(version)["record"]);

    // A function that uses one holds its content, which an older lambkin would lose.
    let mut head = Head::decode(include_bytes!("../fixtures/head-1.json")).unwrap();
    let used = UsedLayer { arn: name.to_string(), code: versions[0].record.code.clone() };
    head.latest.configuration.layers = vec![used];
    assert_eq!(format(&head), 4);
    assert_eq!(Head::decode(&head.encode()).unwrap(), head);
}

#[test]
fn reads_urls_of_format_4() {
    let fixture = include_bytes!("../fixtures/head-4-urls.json");
    let mut head = Head::decode(fixture).unwrap();
    assert_eq!(head.urls["live"].auth_type, AuthType::AwsIam);
    assert_eq!(value(&head.encode()), value(fixture));
    head.urls.clear();
    assert_eq!(format(&head), 3, "nothing else needs it");
}

#[test]
fn reads_heads_of_format_5() {
    let fixture = include_bytes!("../fixtures/head-5.json");
    let mut head = Head::decode(fixture).unwrap();
    let scaling = |number| head.scaling(Version::Published(number));
    assert_eq!((scaling(1).min, scaling(1).max, scaling(3).max), (Some(1), Some(4), Some(0)));
    assert_eq!(value(&head.encode()), value(fixture));
    head.scaling.clear();
    assert_eq!(format(&head), 4, "nothing else needs it");
}

#[test]
fn reads_versions_and_aliases_of_format_4() {
    let fixture = include_bytes!("../fixtures/head-4-versions.json");
    let mut head = Head::decode(fixture).unwrap();
    let live = &head.aliases["live"];
    assert_eq!((live.version, live.description.as_str()), (Version::Published(1), "what people see"));
    assert_eq!(live.pick(|| 0.05), Version::Published(3));
    assert_eq!(value(&head.encode()), value(fixture));
    let newer = String::from_utf8_lossy(fixture).replacen('4', "6", 1);
    assert!(Head::decode(newer.as_bytes()).unwrap_err().contains("format 6 is newer"));

    // A head names its bodies.
    let body = include_bytes!("../fixtures/version-1.json");
    let key = "version/000000000000/us-east-1/5a0f7c11-1c2d-4d3e-9f40-8b7a6c5d4e3f";
    let kept = Kept::new(Kinds::default, &[(key, body)]);
    let stored = kept.store.catalog().version(&head.record_key(1).unwrap()).unwrap();
    assert_eq!(stored.record.version.configuration.description, "the first");
    assert_eq!(stored.record.function_key(), head.key);

    // Both need the format, and nothing else does.
    let aliases = std::mem::take(&mut head.aliases);
    assert_eq!(format(&head), 4);
    head.versions.clear();
    assert_eq!(format(&head), 3);
    head.aliases = aliases;
    assert_eq!(format(&head), 4);
    head.aliases.remove("live");
    assert_eq!(format(&head), 3);
}
