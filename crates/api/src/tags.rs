//! Tags of functions and event source mappings (aws-behaviour 68).
//!
//! Deliberately not here: the tags of topics and queues, which are their services'.

use std::collections::BTreeMap;

use http::StatusCode;
use lambkin_model::Error;
use lambkin_model::name::FunctionReference;
use lambkin_model::record::ResourceKey;
use serde_json::json;

use crate::Api;
use crate::api::Call;
use crate::node::Node;
use crate::refused;
use crate::reply::{Reply, empty, json as document};

/// What an ARN names that can have tags.
enum Tagged {
    Function(FunctionReference),
    Mapping(ResourceKey),
}

impl Tagged {
    fn read(call: &Call<'_>, input: &Node<'_>) -> Result<Self, Error> {
        let arn = input.text("Resource").unwrap_or_default();
        let parts: Vec<&str> = arn.splitn(7, ':').collect();
        match parts[..] {
            ["arn", _, "lambda", region, account, "event-source-mapping", uuid] => {
                if region != &*call.region || account != call.account {
                    return Err(Error::AccessDenied(String::new()));
                }
                Ok(Self::Mapping(ResourceKey {
                    account: account.into(),
                    region: region.into(),
                    name: uuid.to_ascii_lowercase().into(),
                }))
            }
            ["arn", _, "lambda", _, _, "function", _] => {
                FunctionReference::parse(arn, None, call.account, &call.region).map(Self::Function)
            }
            ["arn", _, "lambda", _, _, "code-signing-config", _] => {
                Err(refused::refusal("check code signatures", "Resource"))
            }
            _ => Err(refused::refusal("have capacity providers or network connectors", "Resource")),
        }
    }
}

impl Api {
    pub(crate) async fn tag_resource(&self, call: &Call<'_>, input: Node<'_>) -> Result<Reply, Error> {
        let tags: BTreeMap<String, String> = input.texts("Tags").unwrap_or_default();
        match Tagged::read(call, &input)? {
            Tagged::Function(reference) => self.control.tag_function(&reference, tags).await?,
            Tagged::Mapping(key) => self.events.mappings.tag(&key, &tags).await?,
        }
        Ok(empty(StatusCode::NO_CONTENT))
    }

    pub(crate) async fn untag_resource(&self, call: &Call<'_>, input: Node<'_>) -> Result<Reply, Error> {
        let names: Vec<String> = match input.get("TagKeys") {
            Some(Node::List(items)) => items.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        match Tagged::read(call, &input)? {
            Tagged::Function(reference) => self.control.untag_function(&reference, &names).await?,
            Tagged::Mapping(key) => self.events.mappings.untag(&key, &names).await?,
        }
        Ok(empty(StatusCode::NO_CONTENT))
    }

    pub(crate) fn list_tags(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        let tags = match Tagged::read(call, input)? {
            Tagged::Function(reference) => self.control.function_tags(&reference)?,
            Tagged::Mapping(key) => self.events.mappings.get(&key)?.record.tags.clone(),
        };
        Ok(document(StatusCode::OK, &json!({ "Tags": tags })))
    }
}
