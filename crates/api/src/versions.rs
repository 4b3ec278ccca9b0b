//! The operations on published versions: from a checked input to the control plane, and from its answer to AWS's
//! documents.
//!
//! Deliberately not here: functions themselves (`functions`), and aliases (`aliases`).

use http::StatusCode;
use lambkin_control::{Found, PublishVersion};
use lambkin_model::Error;
use lambkin_model::version::Version;
use serde::Serialize;

use crate::Api;
use crate::api::Call;
use crate::document::ConfigurationDocument;
use crate::functions::owned;
use crate::node::Node;
use crate::page::Page;
use crate::refused;
use crate::reply::{Reply, json};

/// Most versions of one page, whatever `MaxItems` asks for.
const PAGE: usize = 50;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListDocument<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    versions: Vec<ConfigurationDocument<'a>>,
}

impl Api {
    pub(crate) async fn publish_version(&self, call: &Call<'_>, input: Node<'_>) -> Result<Reply, Error> {
        let key = call.unqualified(&input)?;
        refused::check(&input)?;
        let request = PublishVersion {
            code_sha256: owned(&input, "CodeSha256").filter(|hash| !hash.is_empty()),
            description: owned(&input, "Description"),
            revision_id: owned(&input, "RevisionId"),
        };
        drop(input);
        let found = self.control.publish_version(&key, request).await?;
        Ok(qualified(StatusCode::CREATED, &found))
    }

    pub(crate) fn list_versions_by_function(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        // AWS takes a qualifier here, and lists all versions.
        let key = call.reference(input)?.key;
        let page = Page::asked(input, PAGE)?;
        let after = page.after_as(Version::parse)?;
        let mut versions = self.control.versions(&key, after, page.wanted())?;
        let next_marker = page.cut(&mut versions, |found| found.version.to_string());
        let listed = |found| ConfigurationDocument::listed(found, true);
        let versions = versions.iter().map(listed).collect();
        Ok(json(StatusCode::OK, &ListDocument { next_marker, versions }))
    }
}

/// The version's document, by its own ARN.
pub(crate) fn qualified(status: StatusCode, found: &Found) -> Reply {
    let version = found.version.to_string();
    json(status, &ConfigurationDocument::new(found, Some(&version)))
}
