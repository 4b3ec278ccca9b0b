//! The operations on aliases: from a checked input to the control plane, and from its answer to AWS's documents
//! (aws-behaviour 50).
//!
//! Deliberately not here: what an alias may be (`control`), and where its invocations go (`invoke`).

use std::collections::BTreeMap;

use http::StatusCode;
use lambkin_control::{CreateAlias, UpdateAlias};
use lambkin_model::Error;
use lambkin_model::alias::Alias;
use lambkin_model::name::FunctionKey;
use serde::Serialize;

use crate::Api;
use crate::api::Call;
use crate::functions::owned;
use crate::node::Node;
use crate::page::Page;
use crate::reply::{Reply, empty, json};

/// Most aliases of one page, whatever `MaxItems` asks for.
const PAGE: usize = 50;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AliasDocument<'a> {
    alias_arn: String,
    name: &'a str,
    function_version: String,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    routing_config: Option<RoutingDocument>,
    revision_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RoutingDocument {
    additional_version_weights: BTreeMap<String, f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListDocument<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    aliases: Vec<AliasDocument<'a>>,
}

impl<'a> AliasDocument<'a> {
    fn new(key: &FunctionKey, name: &'a str, alias: &'a Alias) -> Self {
        Self {
            alias_arn: key.qualified_arn(name),
            name,
            function_version: alias.version.to_string(),
            description: &alias.description,
            routing_config: alias.additional.map(|additional| RoutingDocument {
                additional_version_weights: [(additional.version.to_string(), additional.weight.share())]
                    .into(),
            }),
            revision_id: &alias.revision_id,
        }
    }
}

impl Api {
    pub(crate) async fn create_alias(&self, call: &Call<'_>, input: Node<'_>) -> Result<Reply, Error> {
        let (key, name) = (call.unqualified(&input)?, owned(&input, "Name").unwrap_or_default());
        let request = CreateAlias {
            version: owned(&input, "FunctionVersion").unwrap_or_default(),
            description: owned(&input, "Description").unwrap_or_default(),
            weights: weights(&input).unwrap_or_default(),
        };
        drop(input);
        let alias = self.control.create_alias(&key, &name, request).await?;
        Ok(json(StatusCode::CREATED, &AliasDocument::new(&key, &name, &alias)))
    }

    pub(crate) async fn update_alias(&self, call: &Call<'_>, input: Node<'_>) -> Result<Reply, Error> {
        let (key, name) = (call.unqualified(&input)?, owned(&input, "Name").unwrap_or_default());
        let request = UpdateAlias {
            version: owned(&input, "FunctionVersion"),
            description: owned(&input, "Description"),
            weights: weights(&input),
            revision_id: owned(&input, "RevisionId"),
        };
        drop(input);
        let alias = self.control.update_alias(&key, &name, request).await?;
        Ok(json(StatusCode::OK, &AliasDocument::new(&key, &name, &alias)))
    }

    pub(crate) fn get_alias(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        let (key, name) = (call.unqualified(input)?, input.text("Name").unwrap_or_default());
        let alias = self.control.alias(&key, name)?;
        Ok(json(StatusCode::OK, &AliasDocument::new(&key, name, &alias)))
    }

    pub(crate) fn list_aliases(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        let key = call.unqualified(input)?;
        let page = Page::asked(input, PAGE)?;
        let version = input.text("FunctionVersion");
        let mut aliases = self.control.aliases(&key, version, page.after(), page.wanted())?;
        let next_marker = page.cut(&mut aliases, |(name, _)| name.clone());
        let aliases = aliases.iter().map(|(name, alias)| AliasDocument::new(&key, name, alias)).collect();
        Ok(json(StatusCode::OK, &ListDocument { next_marker, aliases }))
    }

    pub(crate) async fn delete_alias(&self, call: &Call<'_>, input: Node<'_>) -> Result<Reply, Error> {
        let (key, name) = (call.unqualified(&input)?, owned(&input, "Name").unwrap_or_default());
        drop(input);
        self.control.delete_alias(&key, &name).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }
}

/// `None` where `RoutingConfig` is not given; empty where it names no version.
fn weights(input: &Node<'_>) -> Option<BTreeMap<String, f64>> {
    let routing = input.get("RoutingConfig")?;
    Some(routing.doubles("AdditionalVersionWeights"))
}
