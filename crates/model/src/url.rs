//! Function URLs: what one is, and what its CORS configuration says of a request.
//!
//! Deliberately not here: who may call one (`policy::url_access`), and HTTP's headers.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Characters of an id.
pub const ID_CHARACTERS: usize = 32;

/// The URL of a function or of one of its aliases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionUrl {
    /// First label of its host: 32 lower-case letters and digits, the same for as long as it is there.
    pub id: String,
    /// Who may call it, as far as its function's policy lets them.
    pub auth_type: AuthType,
    /// How the answer comes; `None`: nobody said, which is buffered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoke_mode: Option<InvokeMode>,
    /// What browsers are told of other origins; `None`: the function tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub last_modified: Timestamp,
}

/// AWS's `AuthType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthType {
    /// Everybody, unsigned.
    #[serde(rename = "NONE")]
    None,
    /// Who signs.
    #[serde(rename = "AWS_IAM")]
    AwsIam,
}

impl AuthType {
    /// AWS's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::AwsIam => "AWS_IAM",
        }
    }

    /// Reads AWS's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::None, Self::AwsIam].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// AWS's `InvokeMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InvokeMode {
    /// The whole answer at once.
    #[serde(rename = "BUFFERED")]
    Buffered,
    /// As the function writes it.
    #[serde(rename = "RESPONSE_STREAM")]
    ResponseStream,
}

impl InvokeMode {
    /// AWS's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Buffered => "BUFFERED",
            Self::ResponseStream => "RESPONSE_STREAM",
        }
    }

    /// Reads AWS's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Buffered, Self::ResponseStream].into_iter().find(|mode| mode.as_str() == word)
    }
}

/// AWS's `Cors`. What was not given is `None`, so that it is answered as it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cors {
    /// Cookies and `Authorization` may come along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_credentials: Option<bool>,
    /// Headers that a page may send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_headers: Option<Vec<String>>,
    /// Methods that a page may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_methods: Option<Vec<String>>,
    /// Whose pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_origins: Option<Vec<String>>,
    /// Headers that a page may read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expose_headers: Option<Vec<String>>,
    /// For how long, in seconds, a browser need not ask again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
}

impl Cors {
    /// `Access-Control-Allow-Origin` for this origin; `None`: its pages get nothing.
    ///
    /// To a browser `*` means nobody where credentials come along, so there the origin itself is said.
    #[must_use]
    pub fn origin<'o>(&self, origin: &'o str) -> Option<&'o str> {
        let all = self.allow_origins.as_deref().unwrap_or_default();
        if all.iter().any(|allowed| allowed == "*") {
            return Some(if self.credentials() { origin } else { "*" });
        }
        let fits = |allowed: &String| match allowed.strip_suffix('*') {
            // `https://*`
            Some(before) => origin.starts_with(before),
            None => allowed.eq_ignore_ascii_case(origin),
        };
        all.iter().any(fits).then_some(origin)
    }

    /// Whether credentials may come along.
    #[must_use]
    pub fn credentials(&self) -> bool {
        self.allow_credentials == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (allowed, credentials, origin, expected) in [
            (&["*"][..], false, "https://a.example", Some("*")),
            (&["*"], true, "https://a.example", Some("https://a.example")),
            (&["https://a.example"], false, "https://a.example", Some("https://a.example")),
            (&["https://A.example"], false, "https://a.example", Some("https://a.example")),
            (&["https://a.example"], false, "https://a.example.evil", None),
            (&["https://a.example"], false, "http://a.example", None),
            (&["https://a.example"], false, "null", None),
            (&["https://*"], false, "https://a.example", Some("https://a.example")),
            (&["https://*"], false, "http://a.example", None),
            (&["http://x", "http://y:1"], false, "http://y:1", Some("http://y:1")),
            (&[], false, "https://a.example", None),
        ] {
            let cors = Cors {
                allow_origins: Some(allowed.iter().map(ToString::to_string).collect()),
                allow_credentials: Some(credentials),
                ..Cors::default()
            };
            assert_eq!(cors.origin(origin), expected, "{allowed:?} {origin}");
        }
    }

    #[test]
    fn words() {
        for kind in [AuthType::None, AuthType::AwsIam] {
            assert_eq!(AuthType::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for mode in [InvokeMode::Buffered, InvokeMode::ResponseStream] {
            assert_eq!(InvokeMode::parse(mode.as_str()), Some(mode));
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.as_str());
        }
        assert_eq!((AuthType::parse("none"), InvokeMode::parse("")), (None, None));
    }

    #[test]
    fn a_record_says_what_was_given() {
        let json =
            r#"{"id":"i","auth_type":"NONE","cors":{"allow_origins":["*"]},"created":1,"last_modified":2}"#;
        let url: FunctionUrl = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&url).unwrap(), json);
    }
}
