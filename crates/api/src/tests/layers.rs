//! Layers from outside: documents, lists, policies, and what functions may use of them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambkin_model::catalog::Head;
use lambkin_model::code::{Code, CodeSha256};
use lambkin_model::layer::UsedLayer;
use serde_json::{Value, json};

use super::fakes::{Answer, Server};
use super::{FUNCTIONS, create, created, refused};

const LAYERS: &str = "/2018-10-31/layers";
const ARN: &str = "arn:aws:lambda:eu-west-1:000000000000:layer";

async fn publish(server: &Server, layer: &str, content: &str, more: &Value) -> Answer {
    let mut body = json!({ "Content": { "ZipFile": STANDARD.encode(content) } });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    let path = format!("{LAYERS}/{layer}/versions");
    server.ask("POST", &path, "", body.to_string().as_bytes()).await
}

async fn get(server: &Server, path: &str) -> Answer {
    server.ask("GET", &format!("{LAYERS}{path}"), "", b"").await
}

fn numbers(answer: &Answer) -> Vec<u64> {
    let versions = answer.body()["LayerVersions"].as_array().unwrap().clone();
    versions.iter().map(|version| version["Version"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn versions_are_published_listed_and_deleted() {
    let server = Server::start().await;
    let more = json!({ "Description": "d", "CompatibleRuntimes": ["nodejs22.x", "nodejs20.x"],
        "CompatibleArchitectures": ["arm64"], "LicenseInfo": "MIT" });
    let answer = publish(&server, "l", "PK1", &more).await;
    assert_eq!(answer.status, 201, "{}", answer.body());
    let mut first = answer.body();
    let location = first["Content"]["Location"].take();
    assert!(location.as_str().unwrap().contains("/_lambkin/code/"), "{location}");
    let expected = json!({
        "Content": { "Location": null, "CodeSize": 3,
            "CodeSha256": lambkin_model::code::CodeSha256::of(b"PK1").base64() },
        "LayerArn": format!("{ARN}:l"), "LayerVersionArn": format!("{ARN}:l:1"), "Version": 1,
        "Description": "d", "CreatedDate": "2026-01-02T03:04:05.678+0000", "LicenseInfo": "MIT",
        "CompatibleRuntimes": ["nodejs22.x", "nodejs20.x"], "CompatibleArchitectures": ["arm64"],
    });
    assert_eq!(first, expected);
    for path in ["/l/versions/1", &format!("?find=LayerVersion&Arn={ARN}:l:1")] {
        let mut found = get(&server, path).await.body();
        found["Content"]["Location"].take();
        assert_eq!(found, expected, "{path}");
    }
    // By its ARN too; what was not given is not there.
    let second = publish(&server, &format!("{ARN}:l"), "PK2", &json!({})).await.body();
    assert_eq!((second["Version"].as_u64(), second["Description"].as_str()), (Some(2), Some("")));
    for member in ["CompatibleRuntimes", "CompatibleArchitectures", "LicenseInfo"] {
        assert!(second.get(member).is_none(), "{member}");
    }
    publish(&server, "other", "PK", &json!({ "CompatibleRuntimes": ["nodejs20.x"] })).await;
    publish(&server, "l", "PK3", &json!({ "CompatibleArchitectures": ["x86_64"] })).await;
    for (query, expected) in [
        ("", vec![3, 2, 1]),
        ("?CompatibleRuntime=nodejs20.x", vec![1]),
        ("?CompatibleRuntime=nodejs18.x", vec![]),
        ("?CompatibleArchitecture=x86_64", vec![3]),
        ("?CompatibleRuntime=nodejs20.x&CompatibleArchitecture=x86_64", vec![]),
    ] {
        assert_eq!(numbers(&get(&server, &format!("/l/versions{query}")).await), expected, "{query}");
    }
    let page = get(&server, "/l/versions?MaxItems=2").await;
    assert_eq!(numbers(&page), [3, 2]);
    let marker = page.body()["NextMarker"].as_str().unwrap().to_owned();
    let rest = get(&server, &format!("/l/versions?MaxItems=2&Marker={marker}")).await;
    assert_eq!((numbers(&rest), rest.body().get("NextMarker")), (vec![1], None));
    refused(
        &get(&server, "/l/versions?Marker=_").await,
        400,
        "InvalidParameterValueException",
        "Invalid Marker",
    );

    // Numbers are not given twice, and a layer without versions is in no list.
    for version in [3, 2] {
        let path = format!("{LAYERS}/l/versions/{version}");
        for _ in 0..2 {
            assert_eq!(server.ask("DELETE", &path, "", b"").await.status, 204);
        }
    }
    let layers = get(&server, "").await.body()["Layers"].clone();
    let listed: Vec<_> = layers.as_array().unwrap().iter().map(|layer| &layer["LayerName"]).collect();
    assert_eq!(listed, ["l", "other"]);
    assert_eq!(layers[0]["LatestMatchingVersion"]["LayerVersionArn"], format!("{ARN}:l:1"));
    assert_eq!(publish(&server, "l", "PK4", &json!({})).await.body()["Version"], 4);
    let page = get(&server, "?MaxItems=1&CompatibleRuntime=nodejs20.x").await.body();
    assert_eq!(page["Layers"][0]["LatestMatchingVersion"]["Version"], 1);
    let path = format!("?MaxItems=1&Marker={}", page["NextMarker"].as_str().unwrap());
    let page = get(&server, &path).await.body();
    assert_eq!((page["Layers"][0]["LayerName"].as_str(), page.get("NextMarker")), (Some("other"), None));
    server.ask("DELETE", &format!("{LAYERS}/other/versions/1"), "", b"").await;
    assert_eq!(get(&server, "").await.body()["Layers"].as_array().unwrap().len(), 1);

    let nothing = "The resource you requested does not exist.";
    for path in [
        "/l/versions/3",
        "/no/versions/1",
        &format!("?find=LayerVersion&Arn={ARN}:l:2"),
        &format!("?find=LayerVersion&Arn={}:l:1", ARN.replace("eu-west-1", "us-east-1")),
        &format!("/{}:l/versions/1", ARN.replace("000000000000", "111111111111")),
    ] {
        refused(&get(&server, path).await, 404, "ResourceNotFoundException", nothing);
    }
    let least = "Layer Version Cannot be less than 1.";
    refused(&get(&server, "/l/versions/0").await, 400, "InvalidParameterValueException", least);
    let unusable = "Could not unzip uploaded file. Please check your file, then try to upload again.";
    refused(&publish(&server, "l", "no", &json!({})).await, 400, "InvalidParameterValueException", unusable);
}

#[tokio::test]
async fn policies_come_and_go() {
    let server = Server::start().await;
    publish(&server, "l", "PK", &json!({})).await;
    let path = format!("{LAYERS}/l/versions/1/policy");
    let none = "No policy is associated with the given resource.";
    refused(&get(&server, "/l/versions/1/policy").await, 404, "ResourceNotFoundException", none);
    let add = async |sid: &str, query: &str, more: Value| {
        let mut body = json!({ "StatementId": sid, "Action": "lambda:GetLayerVersion", "Principal": "*" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.ask("POST", &format!("{path}{query}"), "", body.to_string().as_bytes()).await
    };
    let answer = add("a", "", json!({ "OrganizationId": "o-1234567890" })).await;
    assert_eq!(answer.status, 201, "{}", answer.body());
    let statement: Value = serde_json::from_str(answer.body()["Statement"].as_str().unwrap()).unwrap();
    assert_eq!(
        statement,
        json!({ "Sid": "a", "Effect": "Allow", "Principal": "*", "Action": "lambda:GetLayerVersion",
            "Resource": format!("{ARN}:l:1"),
            "Condition": { "StringEquals": { "aws:PrincipalOrgID": "o-1234567890" } } })
    );
    let policy = get(&server, "/l/versions/1/policy").await.body();
    let document: Value = serde_json::from_str(policy["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(document["Statement"], json!([statement]));
    let revision = policy["RevisionId"].as_str().unwrap().to_owned();
    assert_eq!(answer.body()["RevisionId"], json!(revision));
    let exists = "The statement id (a) provided already exists. Please provide a new statement id, or remove the existing statement.";
    refused(&add("a", "", json!({})).await, 409, "ResourceConflictException", exists);
    assert_eq!(add("b", &format!("?RevisionId={revision}"), json!({})).await.status, 201);
    let changed = "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the latest Revision Id";
    let old = format!("?RevisionId={revision}");
    refused(&add("c", &old, json!({})).await, 412, "PreconditionFailedException", changed);
    let remove =
        async |sid: &str, query: &str| server.ask("DELETE", &format!("{path}/{sid}{query}"), "", b"").await;
    refused(&remove("a", &old).await, 412, "PreconditionFailedException", changed);
    assert_eq!(remove("a", "").await.status, 204);
    let gone = "Statement a is not found in resource policy.";
    refused(&remove("a", "").await, 404, "ResourceNotFoundException", gone);
    assert_eq!(remove("b", "").await.status, 204);
    refused(&get(&server, "/l/versions/1/policy").await, 404, "ResourceNotFoundException", none);
    let unknown = format!("Layer version {ARN}:l:2 does not exist.");
    refused(&get(&server, "/l/versions/2/policy").await, 404, "ResourceNotFoundException", &unknown);
    let answer = server.ask("DELETE", &format!("{LAYERS}/l/versions/2/policy/a"), "", b"").await;
    refused(&answer, 404, "ResourceNotFoundException", &unknown);
}

#[tokio::test]
async fn functions_use_what_is_there_and_fits() {
    let server = Server::start().await;
    for (layer, content) in [
        ("a", "PK10"),
        ("a", "PK20"),
        ("b", "PK262143999"),
        ("c", "PK262143998"),
        ("d", "PK1"),
        ("e", "PK1"),
        ("f", "PKx"),
    ] {
        assert_eq!(publish(&server, layer, content, &json!({})).await.status, 201);
    }
    let arns = |layers: &[&str]| json!({ "Layers": layers.iter().map(|layer| format!("{ARN}:{layer}")).collect::<Vec<_>>() });
    // Of the function's own package the fake says that it has one byte.
    for (layers, status, text) in [
        (arns(&["a:3"]), 400, format!("Layer version {ARN}:a:3 does not exist.")),
        (arns(&["no:1"]), 400, format!("Layer version {ARN}:no:1 does not exist.")),
        (
            arns(&["a:1", "d:1", "a:2"]),
            400,
            format!(
                "Two different versions of the same layer are not allowed to be referenced in the same function. {ARN}:a:1 and {ARN}:a:2 are versions of the same layer."
            ),
        ),
        (
            arns(&["a:1", "b:1", "c:1", "d:1", "e:1", "f:1"]),
            400,
            "Cannot reference more than 5 layers.".into(),
        ),
        (
            json!({ "Layers": [format!("{}:a:1", ARN.replace("eu-west-1", "us-east-1"))] }),
            400,
            "Layers are not in the same region as the function. Layers are expected to be in region eu-west-1.".into(),
        ),
        (
            arns(&["c:1", "a:1"]),
            400,
            "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is 262144009 bytes.".into(),
        ),
        (
            arns(&["f:1"]),
            400,
            format!("lambkin does not run external extensions yet ({ARN}:f:1 has one in extensions/)."),
        ),
    ] {
        let answer = server.ask("POST", FUNCTIONS, "", &create("f", &layers)).await;
        refused(&answer, status, "InvalidParameterValueException", &text);
    }
    let foreign = ARN.replace("000000000000", "111111111111");
    let answer = server
        .ask("POST", FUNCTIONS, "", &create("f", &json!({ "Layers": [format!("{foreign}:a:1")] })))
        .await;
    assert_eq!(answer.error().0, 403, "{:?}", answer.body());

    let answer = server.ask("POST", FUNCTIONS, "", &create("f", &arns(&["b:1"]))).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body());
    assert_eq!(answer.body()["Layers"], json!([{ "Arn": format!("{ARN}:b:1"), "CodeSize": 11 }]));
    server.settle("f").await;
    // A larger package does not fit beside it.
    let code = |zip: &str, dry: bool| json!({ "ZipFile": STANDARD.encode(zip), "DryRun": dry }).to_string();
    let larger = "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is 262144001 bytes.";
    for dry in [true, false] {
        let answer = server.ask("PUT", &format!("{FUNCTIONS}/f/code"), "", code("PK2", dry).as_bytes()).await;
        refused(&answer, 400, "InvalidParameterValueException", larger);
    }
    let configure = async |body: &Value| {
        let path = format!("{FUNCTIONS}/f/configuration");
        server.ask("PUT", &path, "", body.to_string().as_bytes()).await
    };
    // Used ones stay when they are deleted, and cannot be used anew.
    server.ask("DELETE", &format!("{LAYERS}/b/versions/1"), "", b"").await;
    let kept = configure(&json!({ "Timeout": 7 })).await.body();
    assert_eq!(kept["Layers"][0]["Arn"], format!("{ARN}:b:1"));
    server.settle("f").await;
    let deleted = format!("Layer version {ARN}:b:1 does not exist.");
    refused(&configure(&arns(&["b:1"])).await, 400, "InvalidParameterValueException", &deleted);
    let changed = configure(&arns(&["d:1", "a:2"])).await.body();
    assert_eq!(
        changed["Layers"],
        json!([{ "Arn": format!("{ARN}:d:1"), "CodeSize": 3 }, { "Arn": format!("{ARN}:a:2"), "CodeSize": 4 }])
    );
    server.settle("f").await;
    let none = configure(&json!({ "Layers": [] })).await.body();
    assert!(none.get("Layers").is_none());
}

/// Code and layers that two clients change at once are weighed together, whichever comes first.
#[tokio::test]
async fn what_changes_at_once_must_fit_together() {
    type Change = fn(&mut Head);
    const LARGE: &str = "PK262143999";
    fn code() -> Code {
        let (sha256, size) = (CodeSha256::of(LARGE.as_bytes()), LARGE.len() as u64);
        Code { sha256, size, sdk_packages: [].into(), directory: None }
    }
    fn its_layers(head: &mut Head) {
        let arn = format!("{ARN}:large:1");
        head.latest.configuration.layers = vec![UsedLayer { arn, code: code() }];
    }
    fn its_code(head: &mut Head) {
        head.latest.code = code();
    }
    let rows: [(&str, Value, Change); 2] = [
        ("code", json!({ "ZipFile": STANDARD.encode("PK2") }), its_layers),
        ("configuration", json!({ "Layers": [format!("{ARN}:two:1")] }), its_code),
    ];
    for (path, body, change) in rows {
        let server = Server::start().await;
        for (layer, content) in [("large", LARGE), ("two", "PK2")] {
            assert_eq!(publish(&server, layer, content, &json!({})).await.status, 201);
        }
        created(&server, "f").await;
        let catalog = Arc::clone(&server.catalog);
        server.packages.after_look(move || {
            catalog.meddle(|mut head| {
                change(&mut head);
                Some(head)
            });
        });
        let path = format!("{FUNCTIONS}/f/{path}");
        let answer = server.ask("PUT", &path, "", body.to_string().as_bytes()).await;
        let larger = "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is 262144001 bytes.";
        refused(&answer, 400, "InvalidParameterValueException", larger);
    }
}
