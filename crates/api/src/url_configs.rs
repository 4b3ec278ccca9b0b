//! The operations on function URLs: AWS's documents (aws-behaviour 56).
//!
//! Deliberately not here: what is answered at a URL (`urls`).

use http::StatusCode;
use lambkin_control::{CreateUrl, UpdateUrl};
use lambkin_model::Error;
use lambkin_model::name::{FunctionKey, LATEST};
use lambkin_model::url::{AuthType, Cors, FunctionUrl, InvokeMode};
use serde::Serialize;

use crate::Api;
use crate::api::Call;
use crate::node::Node;
use crate::page::Page;
use crate::reply::{Reply, empty, json};

/// Most URLs of one page, whatever `MaxItems` asks for.
const PAGE: usize = 50;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct UrlDocument<'a> {
    function_url: String,
    function_arn: String,
    auth_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cors: Option<CorsDocument<'a>>,
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoke_mode: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CorsDocument<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_credentials: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_headers: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_methods: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_origins: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expose_headers: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<u32>,
}

impl<'a> From<&'a Cors> for CorsDocument<'a> {
    fn from(cors: &'a Cors) -> Self {
        Self {
            allow_credentials: cors.allow_credentials,
            allow_headers: cors.allow_headers.as_deref(),
            allow_methods: cors.allow_methods.as_deref(),
            allow_origins: cors.allow_origins.as_deref(),
            expose_headers: cors.expose_headers.as_deref(),
            max_age: cors.max_age,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListDocument<'a> {
    function_url_configs: Vec<UrlDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

impl Api {
    pub(crate) async fn create_function_url_config(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = call.reference(&input)?;
        let request = CreateUrl {
            auth_type: auth_type(&input)?.unwrap_or(AuthType::None),
            invoke_mode: invoke_mode(&input)?,
            cors: cors(&input).flatten(),
        };
        drop(input);
        let url = self.control.create_url(&reference, request).await?;
        let qualifier = reference.qualifier.as_deref().unwrap_or(LATEST);
        let document = self.url_document(&reference.key, qualifier, &url);
        Ok(json(StatusCode::CREATED, &UrlDocument { last_modified_time: None, ..document }))
    }

    pub(crate) async fn update_function_url_config(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = call.reference(&input)?;
        let request = UpdateUrl {
            auth_type: auth_type(&input)?,
            invoke_mode: invoke_mode(&input)?,
            cors: cors(&input),
        };
        drop(input);
        let url = self.control.update_url(&reference, request).await?;
        let qualifier = reference.qualifier.as_deref().unwrap_or(LATEST);
        Ok(json(StatusCode::OK, &self.url_document(&reference.key, qualifier, &url)))
    }

    pub(crate) fn get_function_url_config(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        let reference = call.reference(input)?;
        let url = self.control.url(&reference)?;
        let qualifier = reference.qualifier.as_deref().unwrap_or(LATEST);
        Ok(json(StatusCode::OK, &self.url_document(&reference.key, qualifier, &url).with_mode(&url)))
    }

    pub(crate) fn list_function_url_configs(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        let key = call.unqualified(input)?;
        let page = Page::asked(input, PAGE)?;
        let mut urls = self.control.urls(&key, page.after(), page.wanted())?;
        let next_marker = page.cut(&mut urls, |(qualifier, _)| qualifier.clone());
        let function_url_configs = urls
            .iter()
            .map(|(qualifier, url)| self.url_document(&key, qualifier, url).with_mode(url))
            .collect();
        Ok(json(StatusCode::OK, &ListDocument { function_url_configs, next_marker }))
    }

    pub(crate) async fn delete_function_url_config(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = call.reference(&input)?;
        drop(input);
        self.control.delete_url(&reference).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }
}

impl Api {
    fn url_document<'u>(&self, key: &FunctionKey, qualifier: &str, url: &'u FunctionUrl) -> UrlDocument<'u> {
        UrlDocument {
            function_url: self.address_of(&key.region, &url.id),
            function_arn: if qualifier == LATEST { key.arn() } else { key.qualified_arn(qualifier) },
            auth_type: url.auth_type.as_str(),
            cors: url.cors.as_ref().map(CorsDocument::from),
            creation_time: url.created.iso(),
            last_modified_time: Some(url.last_modified.iso()),
            invoke_mode: url.invoke_mode.map(InvokeMode::as_str),
        }
    }
}

impl UrlDocument<'_> {
    /// Looking it up says the mode, whether or not somebody chose it.
    fn with_mode(self, url: &FunctionUrl) -> Self {
        Self { invoke_mode: Some(url.invoke_mode.unwrap_or(InvokeMode::Buffered).as_str()), ..self }
    }
}

fn auth_type(input: &Node<'_>) -> Result<Option<AuthType>, Error> {
    input
        .text("AuthType")
        .map(|word| AuthType::parse(word).ok_or_else(|| unknown("AuthType", word)))
        .transpose()
}

fn invoke_mode(input: &Node<'_>) -> Result<Option<InvokeMode>, Error> {
    let word = input.text("InvokeMode");
    word.map(|word| InvokeMode::parse(word).ok_or_else(|| unknown("InvokeMode", word))).transpose()
}

/// The service model's enumerations say so before.
fn unknown(member: &str, word: &str) -> Error {
    Error::InvalidParameterValue(format!("lambkin does not know {word} ({member})."))
}

/// `None`: not given; `Some(None)`: given, and nothing in it.
fn cors(input: &Node<'_>) -> Option<Option<Cors>> {
    let given = input.get("Cors")?;
    let texts = |member: &str| match given.get(member) {
        Some(Node::List(items)) => Some(items.iter().map(ToString::to_string).collect()),
        _ => None,
    };
    let cors = Cors {
        allow_credentials: given.get("AllowCredentials").map(|_| given.boolean("AllowCredentials")),
        allow_headers: texts("AllowHeaders"),
        allow_methods: texts("AllowMethods"),
        allow_origins: texts("AllowOrigins"),
        expose_headers: texts("ExposeHeaders"),
        max_age: given.integer("MaxAge").and_then(|seconds| u32::try_from(seconds).ok()),
    };
    Some((cors != Cors::default()).then_some(cors))
}
