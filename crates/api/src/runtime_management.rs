//! When a function's runtime changes. lambkin has one Node.js for each runtime, pinned with lambkin itself: it
//! changes for all functions when lambkin does, which is AWS's `Auto`. Another mode would need the former
//! binaries kept, and is refused.

use http::StatusCode;
use lambkin_model::Error;
use lambkin_model::name::LATEST;
use serde_json::json;

use crate::Api;
use crate::api::Call;
use crate::node::Node;
use crate::refused;
use crate::reply::{Reply, json as document};

impl Api {
    pub(crate) fn get_runtime_management_config(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = call.reference(input)?;
        self.control.function(&reference)?;
        let arn = reference.key.qualified_arn(reference.qualifier.as_deref().unwrap_or(LATEST));
        Ok(document(StatusCode::OK, &json!({ "UpdateRuntimeOn": "Auto", "FunctionArn": arn })))
    }

    pub(crate) fn put_runtime_management_config(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        if input.text("UpdateRuntimeOn") != Some("Auto") {
            return Err(refused::refusal(
                "keep a function on an older version of its runtime",
                "UpdateRuntimeOn",
            ));
        }
        if input.text("RuntimeVersionArn").is_some() {
            return Err(Error::InvalidParameterValue(
                "RuntimeVersionArn is only valid with UpdateRuntimeOn Manual".into(),
            ));
        }
        self.get_runtime_management_config(call, input)
    }
}
