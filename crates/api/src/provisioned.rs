//! Provisioned concurrency, as AWS's documents (aws-behaviour 66).
//!
//! Deliberately not here: what may be provisioned (`model::provisioned`), and who starts it (`invoke`).

use http::StatusCode;
use lambkin_control::ProvisionedConcurrency;
use lambkin_model::Error;
use lambkin_model::kept::Kept;
use lambkin_model::name::FunctionKey;
use lambkin_model::provisioned::Status;
use serde::Serialize;

use crate::Api;
use crate::api::Call;
use crate::node::Node;
use crate::page::Page;
use crate::reply::{Reply, empty, json};

/// Most configurations of one page.
const PAGE: usize = 50;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ProvisionedDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    function_arn: Option<String>,
    requested_provisioned_concurrent_executions: u32,
    available_provisioned_concurrent_executions: usize,
    allocated_provisioned_concurrent_executions: usize,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<String>,
    last_modified: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    provisioned_concurrency_configs: Vec<ProvisionedDocument>,
}

impl ProvisionedDocument {
    fn new(function_arn: Option<String>, of: &ProvisionedConcurrency, kept: &Kept) -> Self {
        let (status, status_reason) = match kept.status() {
            Status::InProgress => ("IN_PROGRESS", None),
            Status::Ready => ("READY", None),
            Status::Failed(reason) => ("FAILED", Some(reason)),
        };
        Self {
            function_arn,
            requested_provisioned_concurrent_executions: of.provisioned.requested,
            available_provisioned_concurrent_executions: kept.available,
            allocated_provisioned_concurrent_executions: kept.allocated,
            status,
            status_reason,
            // Whole seconds, where functions have milliseconds.
            last_modified: format!("{}+0000", &of.provisioned.last_modified.iso()[..19]),
        }
    }
}

impl Api {
    pub(crate) async fn put_provisioned_concurrency_config(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = call.reference(&input)?;
        // The constraints are checked: it is there and positive. What does not fit is too much.
        let wanted = input.integer("ProvisionedConcurrentExecutions").unwrap_or_default();
        drop(input);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let put = self.control.put_provisioned_concurrency(&reference, wanted).await?;
        // As AWS says it whatever is there already.
        let kept = Kept { requested: wanted as usize, allocated: 0, available: 0, failure: None };
        Ok(json(StatusCode::ACCEPTED, &ProvisionedDocument::new(None, &put, &kept)))
    }

    pub(crate) fn get_provisioned_concurrency_config(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = call.reference(input)?;
        let found = self.control.provisioned_concurrency(&reference)?;
        let kept = self.kept(&reference.key, &found);
        Ok(json(StatusCode::OK, &ProvisionedDocument::new(None, &found, &kept)))
    }

    pub(crate) fn list_provisioned_concurrency_configs(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        let key = call.unqualified(input)?;
        let page = Page::asked(input, PAGE)?;
        let mut found = self.control.provisioned_concurrencies(&key, page.after(), page.wanted())?;
        let next_marker = page.cut(&mut found, |(qualifier, _)| qualifier.clone());
        let document = |(qualifier, of): &(String, ProvisionedConcurrency)| {
            ProvisionedDocument::new(Some(key.qualified_arn(qualifier)), of, &self.kept(&key, of))
        };
        let provisioned_concurrency_configs = found.iter().map(document).collect();
        Ok(json(StatusCode::OK, &ListDocument { next_marker, provisioned_concurrency_configs }))
    }

    pub(crate) async fn delete_provisioned_concurrency_config(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = call.reference(&input)?;
        drop(input);
        self.control.delete_provisioned_concurrency(&reference).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    fn kept(&self, key: &FunctionKey, of: &ProvisionedConcurrency) -> Kept {
        self.provisioning.kept(key, of.version).share(of.provisioned.requested)
    }
}
