//! The SDK through a script in npm's place that makes a package of each name in `package.json`.

use std::fs;

use lambkin_model::runtime::{RuntimeProvider, Sdk};

use super::{NODE, Place, need, runtime, runtimes, text};
use crate::RuntimesConfig;
use crate::sdk::COMMON_V3;

/// Like npm: what `package.json` names, and refuses names with `nope`.
const INSTALL: &str = r#"
if grep -q nope package.json; then
  name=$(grep -o '@[a-z/-]*nope' package.json)
  echo "npm error code E404" >&2
  echo "npm error 404  '$name@<=3' is not in this registry." >&2
  exit 1
fi
for name in $(grep -o '"[@a-z0-9/-]*": "[<*0-9]' package.json | cut -d'"' -f2); do
  [ -e "node_modules/$name" ] && continue
  mkdir -p "node_modules/$name" && echo "{\"name\":\"$name\"}" > "node_modules/$name/package.json"
done
echo notes > node_modules/.package-lock.json
"#;

fn config(place: &Place) -> RuntimesConfig {
    RuntimesConfig { node_dir: Some(place.node_dir(NODE)), npm: Some(place.npm(INSTALL)), ..place.config() }
}

#[tokio::test]
async fn exactly_what_is_missing_is_installed_once() {
    let place = Place::new();
    let runtimes = runtimes(config(&place));
    let s3 = need(&["@aws-sdk/client-s3"]);
    let installed = runtimes.ensure(s3.clone()).await.unwrap();
    let package = installed.modules.join("@aws-sdk/client-s3/package.json");
    assert!(package.is_file());
    let calls = place.npm_calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    for part in ["install --no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix "] {
        assert!(calls[0].contains(part), "{calls:?}");
    }
    let before = fs::canonicalize(&package).unwrap();

    // A further one joins the first; who runs on the first tree keeps it.
    let both = need(&["@aws-sdk/client-s3", "@aws-sdk/lib-dynamodb", "@smithy/types"]);
    assert_eq!(runtimes.installed(&both), None);
    runtimes.ensure(both.clone()).await.unwrap();
    assert!(before.is_file() && package.is_file());
    assert_ne!(fs::canonicalize(&package).unwrap(), before);
    let tree = fs::canonicalize(&installed.modules).unwrap();
    let project = fs::read_to_string(tree.with_file_name("package.json")).unwrap();
    assert!(project.contains("\"@aws-sdk/client-s3\": \"<=3.1169.0\""), "{project}");
    assert!(project.contains("\"@aws-sdk/client-dynamodb\": \"<=3.1169.0\""), "its companion: {project}");
    assert!(project.contains("\"@smithy/types\": \"*\""), "{project}");
    assert!(runtimes.installed(&both).is_some());

    // Offline afterwards.
    let offline = super::runtimes(RuntimesConfig { npm: None, ..config(&place) });
    offline.ensure(both).await.unwrap();
    offline.ensure(s3).await.unwrap();
    assert_eq!(place.npm_calls().len(), 2);
}

#[tokio::test]
async fn what_the_runtime_would_not_have_is_not_installed() {
    let place = Place::new();
    let runtimes = runtimes(config(&place));
    let odd = need(&["aws-sdk", "lodash", "@aws-sdk/../../x", "@aws-sdk/"]);
    runtimes.ensure(odd.clone()).await.unwrap();
    assert!(runtimes.installed(&odd).is_some());
    assert_eq!(place.npm_calls().len(), 0);
}

#[tokio::test]
async fn a_package_that_does_not_exist_does_not_keep_the_others_away() {
    let place = Place::new();
    let runtimes = runtimes(config(&place));
    let some = need(&["@aws-sdk/client-nope", "@aws-sdk/client-sqs"]);
    let installed = runtimes.ensure(some.clone()).await.unwrap();
    assert!(installed.modules.join("@aws-sdk/client-sqs/package.json").is_file());
    assert!(runtimes.installed(&some).is_some(), "it is not asked for again");
    // Alone it proves nothing about the registry.
    let text = text(runtimes.ensure(need(&["@aws-sdk/other-nope"])).await.unwrap_err());
    assert!(text.contains("@aws-sdk/other-nope") && text.contains("E404"), "{text}");
}

#[tokio::test]
async fn without_npm_the_error_says_what_to_do() {
    let place = Place::new();
    for npm in [None, Some(place.path("no-such-npm"))] {
        let runtimes = runtimes(RuntimesConfig { npm, ..config(&place) });
        let text = text(runtimes.ensure(need(&["@aws-sdk/client-s3"])).await.unwrap_err());
        assert!(text.contains("npm") && text.contains("@aws-sdk/client-s3"), "{text}");
        assert!(text.contains("install npm"), "{text}");
    }
}

#[tokio::test]
async fn the_common_packages_come_in_one_go() {
    let place = Place::new();
    let runtimes = runtimes(config(&place));
    runtimes.install_sdk(runtime()).await.unwrap();
    assert_eq!(runtime().sdk(), Sdk::V3);
    assert_eq!(place.npm_calls().len(), 1);
    let installed = runtimes.ensure(need(&COMMON_V3)).await.unwrap();
    assert_eq!(place.npm_calls().len(), 1);
    assert!(installed.modules.join("@aws-sdk/credential-providers").is_dir());
}
