//! Who may use a function: AddPermission and its companions, and the operations on whole resource policies
//! (aws-behaviour 67).
//!
//! Deliberately not here: what a policy says of a request (`model::policy`).

use http::StatusCode;
use lambkin_model::Error;
use lambkin_model::catalog::ResourcePolicy;
use lambkin_model::name::FunctionReference;
use lambkin_model::policy::Permission;
use serde_json::json;

use crate::Api;
use crate::api::Call;
use crate::node::Node;
use crate::reply::{Reply, empty, json as document};

impl Api {
    pub(crate) async fn add_permission(&self, call: &Call<'_>, input: Node<'_>) -> Result<Reply, Error> {
        let reference = call.reference(&input)?;
        let permission = Permission {
            sid: input.text("StatementId").unwrap_or_default(),
            action: input.text("Action").unwrap_or_default(),
            principal: input.text("Principal").unwrap_or_default(),
            source_arn: input.text("SourceArn"),
            source_account: input.text("SourceAccount"),
            event_source_token: input.text("EventSourceToken"),
            organization: input.text("PrincipalOrgID"),
            url_auth_type: input.text("FunctionUrlAuthType"),
            via_url: match input.get("InvokedViaFunctionUrl") {
                Some(Node::Boolean(via_url)) => Some(*via_url),
                _ => None,
            },
        };
        let statement =
            self.control.add_permission(&reference, &permission, input.text("RevisionId")).await?;
        Ok(document(StatusCode::CREATED, &json!({ "Statement": statement })))
    }

    pub(crate) async fn remove_permission(&self, call: &Call<'_>, input: Node<'_>) -> Result<Reply, Error> {
        let reference = call.reference(&input)?;
        let sid = input.text("StatementId").unwrap_or_default();
        self.control.remove_permission(&reference, sid, input.text("RevisionId")).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    pub(crate) fn get_policy(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        let policy = self.control.resource_policy(&call.reference(input)?)?;
        Ok(shown(&policy))
    }

    pub(crate) fn get_resource_policy(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        let policy = self.control.resource_policy(&resource(call, input)?)?;
        Ok(shown(&policy))
    }

    pub(crate) async fn put_resource_policy(&self, call: &Call<'_>, input: Node<'_>) -> Result<Reply, Error> {
        let text = input.text("Policy").unwrap_or_default();
        let reference = resource(call, &input)?;
        let policy = self.control.put_resource_policy(&reference, text, input.text("RevisionId")).await?;
        Ok(shown(&policy))
    }

    pub(crate) async fn delete_resource_policy(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = resource(call, &input)?;
        self.control.delete_resource_policy(&reference, input.text("RevisionId")).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }
}

fn resource(call: &Call<'_>, input: &Node<'_>) -> Result<FunctionReference, Error> {
    let arn = input.text("ResourceArn").unwrap_or_default();
    FunctionReference::parse(arn, None, call.account, &call.region)
}

pub(crate) fn shown(policy: &ResourcePolicy) -> Reply {
    let said = json!({ "Policy": policy.document.text(), "RevisionId": policy.revision_id });
    document(StatusCode::OK, &said)
}
