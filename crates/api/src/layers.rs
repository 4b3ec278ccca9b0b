//! The operations on layers and their versions: from a checked input to the control plane, and from its answer to
//! AWS's documents (aws-behaviour 64).
//!
//! Deliberately not here: which layers a function uses (`functions`).

use http::StatusCode;
use lambkin_control::{PublishLayerVersion, layer_key};
use lambkin_model::Error;
use lambkin_model::layer::{self, LayerFilter, LayerVersion, LayerVersionName};
use lambkin_model::policy::Permission;
use lambkin_model::record::ResourceKey;
use serde::Serialize;

use crate::Api;
use crate::api::Call;
use crate::functions::{now, owned};
use crate::node::Node;
use crate::page::Page;
use crate::permissions::shown;
use crate::refused;
use crate::reply::{Reply, empty, json};

/// Most layers or versions of one page, whatever `MaxItems` asks for.
const PAGE: usize = 50;

/// A version, as lists have it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'a> {
    layer_version_arn: String,
    version: u64,
    description: &'a str,
    created_date: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    compatible_runtimes: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    compatible_architectures: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    license_info: Option<&'a str>,
}

impl<'a> Listed<'a> {
    fn new(version: &'a LayerVersion) -> Self {
        Self {
            layer_version_arn: version.name.to_string(),
            version: version.name.version,
            description: &version.description,
            created_date: version.created.last_modified(),
            compatible_runtimes: &version.compatible_runtimes,
            compatible_architectures: &version.compatible_architectures,
            license_info: version.license_info.as_deref(),
        }
    }
}

/// The same by itself.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Whole<'a> {
    content: Content,
    layer_arn: String,
    #[serde(flatten)]
    version: Listed<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    location: String,
    code_sha256: String,
    code_size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct VersionsDocument<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    layer_versions: Vec<Listed<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LayersDocument<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    layers: Vec<LayerDocument<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LayerDocument<'a> {
    layer_name: &'a str,
    layer_arn: String,
    latest_matching_version: Listed<'a>,
}

impl Api {
    pub(crate) async fn publish_layer_version(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let layer = call.layer(&input)?;
        refused::check(&input)?;
        let request = PublishLayerVersion {
            source: self.code_source(call, input.get("Content")).await?,
            description: owned(&input, "Description").unwrap_or_default(),
            compatible_runtimes: input.list("CompatibleRuntimes").unwrap_or_default(),
            compatible_architectures: input.list("CompatibleArchitectures").unwrap_or_default(),
            license_info: owned(&input, "LicenseInfo"),
        };
        drop(input);
        let version = self.control.publish_layer_version(&layer, request).await?;
        Ok(json(StatusCode::CREATED, &self.whole(call, &version)))
    }

    pub(crate) fn get_layer_version(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        self.shown_layer_version(call, &call.layer_version(input)?)
    }

    pub(crate) fn get_layer_version_by_arn(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        let name = input.text("Arn").and_then(LayerVersionName::parse).ok_or_else(nothing)?;
        let here = *name.layer.account == *call.account && *name.layer.region == *call.region;
        self.shown_layer_version(call, &Some(name).filter(|_| here).ok_or_else(nothing)?)
    }

    fn shown_layer_version(&self, call: &Call<'_>, name: &LayerVersionName) -> Result<Reply, Error> {
        let version = self.control.layer_version(name).ok_or_else(nothing)?;
        Ok(json(StatusCode::OK, &self.whole(call, &version.record)))
    }

    fn whole<'a>(&self, call: &Call<'_>, version: &'a LayerVersion) -> Whole<'a> {
        let token = self.links.token(version.code.sha256, now());
        Whole {
            content: Content {
                location: format!("{}{}{token}", call.origin(), crate::code_link::PATH),
                code_sha256: version.code.sha256.base64(),
                code_size: version.code.size,
            },
            layer_arn: layer::arn(&version.name.layer),
            version: Listed::new(version),
        }
    }

    pub(crate) fn list_layer_versions(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        let layer = call.layer(input)?;
        let page = Page::asked(input, PAGE)?;
        let after = page.after_as(|number| number.parse().ok())?;
        let mut versions = self.control.list_layer_versions(&layer, &filter(input), after, page.wanted());
        let next_marker = page.cut(&mut versions, |last| last.record.name.version.to_string());
        let document = VersionsDocument {
            next_marker,
            layer_versions: versions.iter().map(|version| Listed::new(&version.record)).collect(),
        };
        Ok(json(StatusCode::OK, &document))
    }

    pub(crate) fn list_layers(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        let page = Page::asked(input, PAGE)?;
        let (account, region) = (&self.config.account, &call.region);
        let mut layers =
            self.control.list_layers(account, region, &filter(input), page.after(), page.wanted());
        let next_marker = page.cut(&mut layers, |last| last.record.name.layer.name.to_string());
        let document = LayersDocument {
            next_marker,
            layers: layers
                .iter()
                .map(|version| LayerDocument {
                    layer_name: &version.record.name.layer.name,
                    layer_arn: layer::arn(&version.record.name.layer),
                    latest_matching_version: Listed::new(&version.record),
                })
                .collect(),
        };
        Ok(json(StatusCode::OK, &document))
    }

    pub(crate) async fn delete_layer_version(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let name = call.layer_version(&input)?;
        drop(input);
        self.control.delete_layer_version(&name).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    pub(crate) async fn add_layer_version_permission(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let name = call.layer_version(&input)?;
        let permission = Permission {
            sid: input.text("StatementId").unwrap_or_default(),
            action: input.text("Action").unwrap_or_default(),
            principal: input.text("Principal").unwrap_or_default(),
            organization: input.text("OrganizationId"),
            ..Permission::default()
        };
        let revision_id = input.text("RevisionId");
        let (statement, revision_id) =
            self.control.add_layer_version_permission(&name, &permission, revision_id).await?;
        let said = serde_json::json!({ "Statement": statement, "RevisionId": revision_id });
        Ok(json(StatusCode::CREATED, &said))
    }

    pub(crate) async fn remove_layer_version_permission(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let name = call.layer_version(&input)?;
        let sid = input.text("StatementId").unwrap_or_default();
        self.control.remove_layer_version_permission(&name, sid, input.text("RevisionId")).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    pub(crate) fn get_layer_version_policy(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        Ok(shown(&self.control.layer_version_policy(&call.layer_version(input)?)?))
    }
}

impl Call<'_> {
    /// The layer that `LayerName` names.
    fn layer(&self, input: &Node<'_>) -> Result<ResourceKey, Error> {
        let given = input.text("LayerName").unwrap_or_default();
        layer_key(given, self.account, &self.region).ok_or_else(nothing)
    }

    /// And the version that `VersionNumber` does.
    fn layer_version(&self, input: &Node<'_>) -> Result<LayerVersionName, Error> {
        let number = input.integer("VersionNumber").unwrap_or_default();
        let version = u64::try_from(number).ok().filter(|version| *version > 0);
        let version = version
            .ok_or_else(|| Error::InvalidParameterValue("Layer Version Cannot be less than 1.".into()))?;
        Ok(LayerVersionName { layer: self.layer(input)?, version })
    }
}

fn filter(input: &Node<'_>) -> LayerFilter {
    LayerFilter {
        runtime: owned(input, "CompatibleRuntime"),
        architecture: owned(input, "CompatibleArchitecture"),
    }
}

pub(crate) fn nothing() -> Error {
    Error::ResourceNotFound("The resource you requested does not exist.".into())
}
