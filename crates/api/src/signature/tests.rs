//! Requests signed by AWS's own code, as they are and altered.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;

use super::*;

/// 2026-03-04T05:06:07Z.
const NOW: u64 = 1_772_600_767;
const URL: &str = "http://localhost:4566/2015-03-31/functions/arn%3Aaws%3Alambda%3Ar%3A1%3Afunction%3Af/invocations?Qualifier=%24LATEST&b=a%20b&a";
const BODY: &[u8] = b"{\"a\":1}";

#[derive(Debug)]
struct Ring(Arc<KeyRing>);

impl Keys for Ring {
    fn ring(&self) -> Option<Arc<KeyRing>> {
        Some(Arc::clone(&self.0))
    }
}

fn key() -> Key {
    Key {
        id: "AKIDEXAMPLE".into(),
        secret: "secret/with+signs".into(),
        name: "ann".into(),
        account: None,
        policies: Vec::new(),
        created: Timestamp(0),
    }
}

/// How it is signed.
#[derive(Clone, Copy)]
struct Way {
    secret: &'static str,
    seconds: u64,
    in_query: bool,
    checksum: bool,
    body: &'static [u8],
}

const USUAL: Way =
    Way { secret: "secret/with+signs", seconds: NOW, in_query: false, checksum: false, body: BODY };

fn signed(way: Way) -> Parts {
    let identity =
        aws_credential_types::Credentials::new("AKIDEXAMPLE", way.secret, None, None, "test").into();
    let mut settings = SigningSettings::default();
    if way.in_query {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(60));
    }
    if way.checksum {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("lambda")
        .time(SystemTime::UNIX_EPOCH + Duration::from_secs(way.seconds))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let headers = [("host", "localhost:4566"), ("content-type", "a  b "), ("x-amz-invocation-type", "Event")];
    let signable = SignableRequest::new("POST", URL, headers.into_iter(), SignableBody::Bytes(way.body));
    let (instructions, _) = sign(signable.unwrap(), &parameters).unwrap().into_parts();
    let mut request = http::Request::builder().method("POST").uri(URL);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut request = request.body(()).unwrap();
    instructions.apply_to_request_http1x(&mut request);
    request.into_parts().0
}

fn verify(parts: &Parts, body: &[u8]) -> Result<String, String> {
    let ring: KeyRing = [key()].into_iter().collect();
    let ring = Arc::new(ring);
    let verifier = Verifier::new(Arc::new(Ring(Arc::clone(&ring))));
    let now = Timestamp(NOW * 1_000_000);
    // Twice: derived, and remembered.
    let mut said = Err(String::new());
    for _ in 0..2 {
        said = verifier
            .check(&ring, parts, Some("lambda"), now)
            .and_then(|(key, unread)| unread.check(body).map(|()| key.name.clone()))
            .map_err(|error| error.to_string());
    }
    said
}

#[test]
fn what_aws_signs_is_verified() {
    for way in [USUAL, Way { checksum: true, ..USUAL }, Way { in_query: true, ..USUAL }] {
        assert_eq!(verify(&signed(way), BODY), Ok("ann".into()));
    }
    let empty = Way { body: b"", ..USUAL };
    assert_eq!(verify(&signed(empty), b""), Ok("ann".into()));
}

#[test]
fn what_was_altered_is_not() {
    type Alter = fn(&mut Parts);
    let alterations: [(&str, Alter); 8] = [
        ("method", |parts| parts.method = http::Method::PUT),
        ("path", |parts| parts.uri = URL.replace("%3Af/", "%3Ag/").parse().unwrap()),
        ("query", |parts| parts.uri = URL.replace("LATEST", "LATES").parse().unwrap()),
        ("more query", |parts| parts.uri = format!("{URL}&c=d").parse().unwrap()),
        ("host", |parts| drop(parts.headers.insert("host", "localhost:4567".parse().unwrap()))),
        ("header", |parts| drop(parts.headers.insert("x-amz-invocation-type", "DryRun".parse().unwrap()))),
        ("twice", |parts| {
            parts.headers.append("x-amz-invocation-type", "Event".parse().unwrap());
        }),
        ("unsigned header", |parts| drop(parts.headers.insert("x-amz-log-type", "Tail".parse().unwrap()))),
    ];
    for checksum in [false, true] {
        for (what, alter) in &alterations {
            let mut parts = signed(Way { checksum, ..USUAL });
            alter(&mut parts);
            assert!(verify(&parts, BODY).is_err(), "{what}");
        }
        let parts = signed(Way { checksum, ..USUAL });
        assert!(verify(&parts, b"{\"a\":2}").is_err(), "body");
        let parts = signed(Way { checksum, secret: "secret/with+sign", ..USUAL });
        assert!(
            verify(&parts, BODY)
                .unwrap_err()
                .starts_with("The request signature we calculated does not match")
        );
    }
    // What nobody signs may change on the way.
    let mut parts = signed(USUAL);
    parts.headers.insert("user-agent", "proxy".parse().unwrap());
    assert!(verify(&parts, BODY).is_ok());
}

#[test]
fn clocks() {
    for (seconds, in_query, expected) in [
        (NOW - 300, false, ""),
        (NOW + 300, false, ""),
        (
            NOW - 301,
            false,
            "Signature expired: 20260304T050106Z is now earlier than 20260304T050107Z (20260304T050607Z - 5 min.)",
        ),
        (
            NOW + 301,
            false,
            "Signature not yet current: 20260304T051108Z is still later than 20260304T051107Z (20260304T050607Z + 5 min.)",
        ),
        (NOW - 60, true, ""),
        (NOW - 61, true, "Signature expired: 20260304T050606Z is now earlier than 20260304T050607Z"),
    ] {
        let said = verify(&signed(Way { seconds, in_query, ..USUAL }), BODY).err().unwrap_or_default();
        assert_eq!(said, expected);
    }
}

#[test]
fn markers_of_payloads() {
    let with = |value: &'static str| {
        let mut parts = signed(Way { checksum: true, ..USUAL });
        parts.headers.insert("x-amz-content-sha256", value.parse().unwrap());
        verify(&parts, BODY).unwrap_err()
    };
    assert!(with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD").contains("signed in chunks"));
    assert!(with(UNSIGNED).contains("does not match"), "only who signed it may say so");
    assert!(with("").contains("does not match"));
}

#[test]
fn malformed_headers_are_refused_in_words() {
    const DATE: &str = "20260304T050607Z";
    const SCOPE: &str = "AKIDEXAMPLE/20260304/us-east-1/lambda/aws4_request";
    let with = |credential: &str| {
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature=0")
    };
    for (header, date, complaint) in [
        ("x".to_owned(), DATE, "Unsupported AWS 'algorithm': 'x'"),
        ("Bearer token".to_owned(), DATE, "Unsupported AWS 'algorithm': 'Bearer'"),
        ("AWS4-HMAC-SHA256".to_owned(), DATE, "requires 'Credential'"),
        ("AWS4-HMAC-SHA256 Credential".to_owned(), DATE, "not a valid key=value pair"),
        (format!("AWS4-HMAC-SHA256 Credential={SCOPE}, Signature=0"), DATE, "requires 'SignedHeaders'"),
        (format!("AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host"), DATE, "requires 'Signature'"),
        (format!("{}, Signature=1", with(SCOPE)), DATE, "two 'Signature' parameters"),
        (with("AKIDEXAMPLE"), DATE, "exactly 5 slash-delimited elements"),
        (with("/////"), DATE, "exactly 5 slash-delimited elements"),
        (
            with("AKIDEXAMPLE/20260304/us-east-1/lambda/aws5"),
            DATE,
            "valid terminator: 'aws4_request', not 'aws5'",
        ),
        (with("AKIDEXAMPLE/20260304/us-east-1/sqs/aws4_request"), DATE, "correct service: 'lambda'"),
        (with("AKIDEXAMPLE/20260303/us-east-1/lambda/aws4_request"), DATE, "'20260303' != '20260304'"),
        (
            with("OTHER/20260304/us-east-1/lambda/aws4_request"),
            DATE,
            "security token included in the request is invalid",
        ),
        (with(SCOPE), "now", "Got 'now'"),
        (with(SCOPE), "20269999T999999Z", "Got '20269999T999999Z'"),
        (with(SCOPE), "", "Got ''"),
        (with(SCOPE).replace("host;", ""), DATE, "'Host' or ':authority' must be"),
        (with(SCOPE).replace("host;", "host;nothing;"), DATE, "not in the request"),
        (with(SCOPE).replace("host;", "host;;"), DATE, "not in the request"),
        (with(SCOPE).replace("Signature=0", "Signature="), DATE, "does not match"),
    ] {
        let request = http::Request::builder().uri("http://localhost/").header("host", "localhost");
        let request = request.header("authorization", &header).header("x-amz-date", date).body(()).unwrap();
        let said = verify(&request.into_parts().0, b"").unwrap_err();
        assert!(said.contains(complaint), "{header}: {said}");
    }
    for query in [
        "X-Amz-Signature=0",
        "X-Amz-Signature=0&X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "X-Amz-Signature=0&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=604801",
        "X-Amz-Signature=0&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=-1",
        "X-Amz-Signature=%ff&X-Amz-Algorithm=%00",
    ] {
        let request = http::Request::builder().uri(format!("http://localhost/?{query}")).header("host", "h");
        assert!(verify(&request.body(()).unwrap().into_parts().0, b"").is_err(), "{query}");
    }
}
