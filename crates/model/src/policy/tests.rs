use serde_json::json;

use super::{
    Access, Context, Decision, Denial, Document, Identity, Kind, Permission, Principal, authorize, decide,
    url_access,
};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";
const OWNER: &str = "000000000000";
const USER: Principal<'_> =
    Principal::Aws { account: OWNER, arn: "arn:aws:iam::000000000000:user/ann", role: None };
const STRANGER: Principal<'_> =
    Principal::Aws { account: "111111111111", arn: "arn:aws:iam::111111111111:user/bob", role: None };
const SNS: Principal<'_> = Principal::Service("sns.amazonaws.com");

fn identity(statements: serde_json::Value) -> Document {
    let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    Document::read(&text, Kind::Identity).unwrap()
}

fn resource(statements: serde_json::Value) -> Document {
    let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    Document::read(&text, Kind::Resource).unwrap()
}

#[test]
fn identities() {
    let invoke = json!({ "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": FUNCTION });
    for (name, statements, action, on, expected) in [
        ("exact", json!([invoke]), "lambda:InvokeFunction", FUNCTION, Decision::Allowed),
        ("one statement alone", invoke.clone(), "lambda:InvokeFunction", FUNCTION, Decision::Allowed),
        ("another action", json!([invoke]), "lambda:GetFunction", FUNCTION, Decision::Silent),
        ("case of actions", json!([invoke]), "LAMBDA:invokefunction", FUNCTION, Decision::Allowed),
        (
            "case of resources",
            json!([invoke]),
            "lambda:InvokeFunction",
            &FUNCTION.to_uppercase(),
            Decision::Silent,
        ),
        ("a version", json!([invoke]), "lambda:InvokeFunction", &format!("{FUNCTION}:1"), Decision::Silent),
        (
            "wildcards",
            json!([{ "Effect": "Allow", "Action": ["sqs:*", "lambda:Get*"], "Resource": ["arn:aws:lambda:*:*:function:?"] }]),
            "lambda:GetFunction",
            FUNCTION,
            Decision::Allowed,
        ),
        (
            "everything",
            json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }]),
            "a:B",
            "*",
            Decision::Allowed,
        ),
        (
            "denial wins wherever it stands",
            json!([{ "Effect": "Deny", "Action": "lambda:Invoke*", "Resource": "*" }, { "Effect": "Allow", "Action": "*", "Resource": "*" }]),
            "lambda:InvokeFunction",
            FUNCTION,
            Decision::Denied,
        ),
        (
            "all but",
            json!([{ "Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:lambda:*:*:function:secret*" }]),
            "lambda:InvokeFunction",
            FUNCTION,
            Decision::Allowed,
        ),
        (
            "of all but, these",
            json!([{ "Effect": "Allow", "NotAction": "iam:*", "Resource": "*" }]),
            "iam:GetRole",
            "*",
            Decision::Silent,
        ),
        (
            "an operation on nothing in particular is not on an ARN",
            json!([{ "Effect": "Allow", "Action": "lambda:ListFunctions", "Resource": FUNCTION }]),
            "lambda:ListFunctions",
            "*",
            Decision::Silent,
        ),
    ] {
        let said = decide([&identity(statements)], &USER, action, on, &Context::default());
        assert_eq!(said, expected, "{name}");
    }
}

#[test]
fn principals() {
    let role = Principal::Aws {
        account: OWNER,
        arn: "arn:aws:sts::000000000000:assumed-role/r/f",
        role: Some("arn:aws:iam::000000000000:role/r"),
    };
    for (named, principal, expected) in [
        (json!("*"), Principal::Anonymous, Decision::Allowed),
        (json!({ "AWS": "*" }), STRANGER, Decision::Allowed),
        (json!({ "Service": "sns.amazonaws.com" }), SNS, Decision::Allowed),
        (json!({ "Service": ["s3.amazonaws.com", "sns.amazonaws.com"] }), SNS, Decision::Allowed),
        (json!({ "Service": "s3.amazonaws.com" }), SNS, Decision::Silent),
        (json!({ "AWS": OWNER }), USER, Decision::Delegated),
        (json!({ "AWS": "arn:aws:iam::000000000000:root" }), USER, Decision::Delegated),
        (json!({ "AWS": "arn:aws:iam::000000000000:root" }), STRANGER, Decision::Silent),
        (json!({ "AWS": "arn:aws:iam::000000000000:root" }), SNS, Decision::Silent),
        (json!({ "AWS": [OWNER, "arn:aws:iam::000000000000:user/ann"] }), USER, Decision::Allowed),
        (json!({ "AWS": "arn:aws:iam::000000000000:role/r" }), role, Decision::Allowed),
        (json!({ "AWS": "arn:aws:sts::000000000000:assumed-role/r/f" }), role, Decision::Allowed),
        (json!({ "AWS": "arn:aws:iam::000000000000:role/s" }), role, Decision::Silent),
    ] {
        let statement =
            json!({ "Effect": "Allow", "Principal": named, "Action": "lambda:*", "Resource": FUNCTION });
        let document = resource(json!([statement]));
        let said = decide([&document], &principal, "lambda:InvokeFunction", FUNCTION, &Context::default());
        assert_eq!(said, expected, "{named} {principal:?}");
    }
}

#[test]
fn conditions() {
    let context = Context::default()
        .with("aws:SourceArn", "arn:aws:sns:us-east-1:000000000000:t")
        .with("aws:SourceAccount", OWNER)
        .with("aws:SourceIp", "10.1.2.3")
        .with("aws:SecureTransport", "false")
        .with("aws:CurrentTime", "2026-03-04T05:06:07Z")
        .with("s3:max-keys", "10");
    for (condition, holds) in [
        (json!({ "StringEquals": { "AWS:SourceAccount": OWNER } }), true),
        (json!({ "StringEquals": { "aws:sourceaccount": ["1", OWNER] } }), true),
        (json!({ "StringEquals": { "aws:SourceAccount": "1" } }), false),
        (json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } }), false),
        (json!({ "StringEqualsIfExists": { "aws:PrincipalOrgID": "o-1" } }), true),
        (json!({ "StringNotEquals": { "aws:PrincipalOrgID": "o-1" } }), true),
        (json!({ "StringNotEquals": { "aws:SourceAccount": ["1", OWNER] } }), false),
        (json!({ "StringEqualsIgnoreCase": { "aws:SecureTransport": "FALSE" } }), true),
        (json!({ "StringLike": { "aws:SourceAccount": "0*" } }), true),
        (json!({ "StringNotLike": { "aws:SourceAccount": "0*" } }), false),
        (json!({ "ArnLike": { "AWS:SourceArn": "arn:aws:sns:*:*:t" } }), true),
        (json!({ "ArnEquals": { "AWS:SourceArn": "arn:aws:sns:us-east-1:000000000000:?" } }), true),
        (json!({ "ArnLike": { "AWS:SourceArn": "arn:aws:sns:*:t" } }), false),
        (json!({ "ArnNotLike": { "AWS:SourceArn": "arn:aws:sqs:*:*:*" } }), true),
        (json!({ "Bool": { "aws:SecureTransport": false } }), true),
        (json!({ "Bool": { "aws:SecureTransport": "true" } }), false),
        (json!({ "NumericLessThan": { "s3:max-keys": 11 } }), true),
        (json!({ "NumericGreaterThanEquals": { "s3:max-keys": "10" } }), true),
        (json!({ "NumericNotEquals": { "s3:max-keys": "10" } }), false),
        (json!({ "DateLessThan": { "aws:CurrentTime": "2026-03-04T06:00:00+00:00" } }), true),
        (json!({ "DateGreaterThan": { "aws:CurrentTime": "2026-03-05" } }), false),
        (json!({ "IpAddress": { "aws:SourceIp": ["192.168.0.0/16", "10.0.0.0/8"] } }), true),
        (json!({ "IpAddress": { "aws:SourceIp": "::/0" } }), false),
        (json!({ "IpAddress": { "aws:SourceIp": "0.0.0.0/0" } }), true),
        (json!({ "NotIpAddress": { "aws:SourceIp": "10.1.2.3" } }), false),
        (json!({ "Null": { "aws:PrincipalOrgID": true } }), true),
        (json!({ "Null": { "aws:SourceArn": "true" } }), false),
        (json!({ "ForAnyValue:StringEquals": { "aws:TagKeys": "a" } }), false),
        (json!({ "ForAllValues:StringEquals": { "aws:TagKeys": "a" } }), true),
        (json!({ "StringLike": { "aws:SourceArn": "arn:aws:sns:*:${aws:SourceAccount}:*" } }), true),
        (json!({ "StringLike": { "aws:SourceArn": "*${aws:username}*" } }), false),
        // All of them must hold.
        (
            json!({ "StringEquals": { "aws:SourceAccount": OWNER }, "Bool": { "aws:SecureTransport": "true" } }),
            false,
        ),
    ] {
        let document = resource(json!([
            { "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", "Condition": condition }
        ]));
        let said = decide([&document], &SNS, "lambda:InvokeFunction", FUNCTION, &context);
        assert_eq!(said == Decision::Allowed, holds, "{condition}");
    }
}

#[test]
fn both_sides() {
    let context = Context::default();
    let yes = [identity(json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }]))];
    let no = [identity(json!([{ "Effect": "Deny", "Action": "*", "Resource": "*" }]))];
    let other = [identity(json!([{ "Effect": "Allow", "Action": "sqs:*", "Resource": "*" }]))];
    let of = |principal: serde_json::Value, effect: &str| {
        resource(json!([{ "Effect": effect, "Principal": principal, "Action": "*", "Resource": FUNCTION }]))
    };
    let (all, ann) =
        (of(json!("*"), "Allow"), of(json!({ "AWS": "arn:aws:iam::000000000000:user/ann" }), "Allow"));
    let (root, closed) = (of(json!({ "AWS": OWNER }), "Allow"), of(json!("*"), "Deny"));
    let action = "lambda:InvokeFunction";
    let silent = || Err(Denial::NotByIdentity(action.into()));
    for (name, principal, identity, policy, expected) in [
        ("owner without policies", USER, Identity::Unrestricted, None, Ok(())),
        ("allowed by its own", USER, Identity::Documents(&yes), None, Ok(())),
        ("denied by its own", USER, Identity::Documents(&no), Some(&all), Err(Denial::ByIdentity)),
        ("nobody says", USER, Identity::Documents(&other), None, silent()),
        ("the resource names it", USER, Identity::Documents(&other), Some(&ann), Ok(())),
        ("the resource names its account", USER, Identity::Documents(&other), Some(&root), silent()),
        ("the resource denies", USER, Identity::Unrestricted, Some(&closed), Err(Denial::ByResource)),
        (
            "a stranger needs both",
            STRANGER,
            Identity::Unrestricted,
            None,
            Err(Denial::NotByResource(action.into())),
        ),
        ("a stranger has both", STRANGER, Identity::Unrestricted, Some(&all), Ok(())),
        ("a stranger without its own", STRANGER, Identity::Documents(&other), Some(&all), silent()),
        ("nobody in particular", Principal::Anonymous, Identity::None, Some(&all), Ok(())),
        ("a service", SNS, Identity::None, None, Err(Denial::NotByResource(action.into()))),
    ] {
        let access = Access {
            principal,
            identity,
            action,
            resource: FUNCTION,
            owner: OWNER,
            policy,
            context: &context,
        };
        assert_eq!(authorize(&access), expected, "{name}");
    }
    assert_eq!(
        silent().unwrap_err().to_string(),
        "because no identity-based policy allows the lambda:InvokeFunction action"
    );
}

#[test]
fn function_urls() {
    let url = Permission {
        sid: "a",
        action: "lambda:InvokeFunctionUrl",
        principal: "*",
        url_auth_type: Some("NONE"),
        ..Permission::default()
    };
    let invoke = Permission {
        sid: "b",
        action: "lambda:InvokeFunction",
        principal: "*",
        via_url: Some(true),
        ..Permission::default()
    };
    let one = Document::with(None, url.statement(FUNCTION).unwrap()).unwrap();
    let both = Document::with(Some(&one), invoke.statement(FUNCTION).unwrap()).unwrap();
    let ask = |policy: &Document, auth_type: &str| {
        let (nobody, none) = (Principal::Anonymous, Identity::None);
        url_access(nobody, none, Some(policy), FUNCTION, OWNER, auth_type, Context::default()).is_ok()
    };
    assert!(ask(&both, "NONE"));
    assert!(!ask(&both, "AWS_IAM"), "a statement for open URLs opens no other");
    assert!(!ask(&one, "NONE"), "both actions are needed");
    // Invoke itself is not opened by what is for the URL.
    let said = decide([&both], &Principal::Anonymous, "lambda:InvokeFunction", FUNCTION, &Context::default());
    assert_eq!(said, Decision::Silent);
}

#[test]
fn statements() {
    let permission = |principal| Permission {
        sid: "s",
        action: "lambda:InvokeFunction",
        principal,
        ..Permission::default()
    };
    let plain = r#"{"Sid":"s","Effect":"Allow","Principal":PRINCIPAL,"Action":"lambda:InvokeFunction","Resource":"R"}"#;
    for (principal, named) in [
        ("sns.amazonaws.com", r#"{"Service":"sns.amazonaws.com"}"#),
        ("111111111111", r#"{"AWS":"arn:aws:iam::111111111111:root"}"#),
        ("arn:aws:iam::111111111111:role/r", r#"{"AWS":"arn:aws:iam::111111111111:role/r"}"#),
        ("*", r#""*""#),
    ] {
        let statement = permission(principal).statement("R").unwrap().to_string();
        assert_eq!(statement, plain.replace("PRINCIPAL", named));
    }
    let full = Permission {
        source_arn: Some("arn:aws:sns:us-east-1:000000000000:t"),
        source_account: Some(OWNER),
        event_source_token: Some("token"),
        organization: Some("o-1234567890"),
        ..permission("sns.amazonaws.com")
    };
    assert_eq!(
        full.statement("R").unwrap()["Condition"],
        json!({
            "StringEquals": {
                "AWS:SourceAccount": OWNER,
                "lambda:EventSourceToken": "token",
                "aws:PrincipalOrgID": "o-1234567890",
            },
            "ArnLike": { "AWS:SourceArn": "arn:aws:sns:us-east-1:000000000000:t" },
        })
    );
    for wrong in [
        permission("nobody"),
        Permission { url_auth_type: Some("NONE"), ..permission("*") },
        Permission { via_url: Some(true), action: "lambda:InvokeFunctionUrl", ..permission("*") },
    ] {
        assert!(wrong.statement("R").is_err(), "{wrong:?}");
    }
}

#[test]
fn documents_change() {
    let permission = |sid| Permission { sid, action: "lambda:*", principal: "*", ..Permission::default() };
    let one = Document::with(None, permission("a").statement("R").unwrap()).unwrap();
    assert!(one.text().starts_with(r#"{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"a","#));
    let two = Document::with(Some(&one), permission("b").statement("R").unwrap()).unwrap();
    assert!(two.has("a") && two.has("b"));
    assert!(Document::with(Some(&two), permission("b").statement("R").unwrap()).is_err(), "an id twice");
    assert_eq!(two.without("b"), Some(one.clone()));
    assert_eq!(one.without("a"), None);
    let written = serde_json::to_string(&two).unwrap();
    assert_eq!(serde_json::from_str::<Document>(&written).unwrap(), two);
}

#[test]
fn what_would_not_act_is_refused() {
    let allow = json!({ "Effect": "Allow", "Action": "lambda:*", "Resource": "*" });
    let with = |member: &str, value: serde_json::Value| {
        let mut statement = allow.clone();
        statement[member] = value;
        json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
    };
    for (text, kind, complaint) in [
        ("{".to_owned(), Kind::Identity, "not JSON"),
        ("[]".to_owned(), Kind::Identity, "not a JSON object"),
        (r#"{"Version":"2012-10-17"}"#.to_owned(), Kind::Identity, "no Statement"),
        (r#"{"Version":"2011","Statement":[]}"#.to_owned(), Kind::Identity, "Version"),
        (r#"{"Statements":[]}"#.to_owned(), Kind::Identity, "unknown element: Statements"),
        (with("Effect", json!("allow")), Kind::Identity, "Effect"),
        (with("Efect", json!("Allow")), Kind::Identity, "invalid element: Efect"),
        (with("Action", json!([])), Kind::Identity, "Action"),
        (with("Action", json!("Invoke")), Kind::Identity, "vendor"),
        (with("NotAction", json!("lambda:Invoke")), Kind::Identity, "NotAction"),
        (with("Principal", json!("*")), Kind::Identity, "principal"),
        (with("Sid", json!("a")), Kind::Resource, "no Principal"),
        (with("Principal", json!("me")), Kind::Resource, "Invalid principal"),
        (with("Principal", json!({ "AWS": "arn:aws:iam::1:user/*" })), Kind::Resource, "Invalid principal"),
        (with("Principal", json!({ "Federated": "x" })), Kind::Resource, "Federated"),
        (with("Principal", json!("*")), Kind::Trust, "Resource"),
        (
            with("Condition", json!({ "StringEqual": { "a:b": "c" } })),
            Kind::Identity,
            "StringEqual is not known",
        ),
        (with("Condition", json!({ "ForSome:StringEquals": { "a:b": "c" } })), Kind::Identity, "not known"),
        (with("Condition", json!({ "NumericEquals": { "a:b": "c" } })), Kind::Identity, "does not take"),
        (
            with("Condition", json!({ "IpAddress": { "a:b": "10.0.0.0/33" } })),
            Kind::Identity,
            "does not take",
        ),
        (with("Condition", json!({ "DateEquals": { "a:b": "yesterday" } })), Kind::Identity, "does not take"),
        (with("Condition", json!({ "StringEquals": { "a:b": {} } })), Kind::Identity, "no valid values"),
        (
            format!("{{\"Statement\":[{}]}}", vec![allow.to_string(); 257].join(",")),
            Kind::Identity,
            "Statement",
        ),
    ] {
        let error = Document::read(&text, kind).unwrap_err();
        assert!(error.contains(complaint), "{text}: {error}");
    }
}
