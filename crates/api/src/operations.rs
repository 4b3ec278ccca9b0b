//! Lambda's operations: which are built, and what answers each.

use http::Method;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use lambkin_model::Error;
use lambkin_model::quota;

use crate::api::{Api, Call};
use crate::body::{RequestBody, work};
use crate::coverage;
use crate::input;
use crate::node::Node;
use crate::reply::Reply;
use crate::route::Matched;

/// One table, so that what counts as built is what answers.
macro_rules! operations {
    (
        before its input is read: $($early:literal)*,
        |$api:ident, $call:ident, $input:ident| $($name:literal => $answer:expr,)*
    ) => {
        /// The operations that are built; every other one of the service model is refused by name.
        pub(crate) const BUILT: &[&str] = &[$($early,)* $($name,)*];

        async fn answer($api: &Api, $call: &Call<'_>, name: &str, $input: Node<'_>) -> Result<Reply, Error> {
            match name {
                $($name => $answer,)*
                other => Err(Error::UnknownOperation(coverage::refusal(other))),
            }
        }
    };
}

operations! {
    before its input is read: "Invoke" "InvokeWithResponseStream" "InvokeAsync",
    |api, call, input|
    "CreateFunction" => api.create_function(call, input).await,
    "UpdateFunctionCode" => api.update_function_code(call, input).await,
    "UpdateFunctionConfiguration" => api.update_function_configuration(call, input).await,
    "DeleteFunction" => api.delete_function(call, input).await,
    "GetFunction" => api.get_function(call, &input),
    "GetFunctionConfiguration" => api.get_function_configuration(call, &input),
    "ListFunctions" => api.list_functions(call, &input),
    "PutFunctionConcurrency" => api.put_function_concurrency(call, input).await,
    "GetFunctionConcurrency" => api.get_function_concurrency(call, &input),
    "DeleteFunctionConcurrency" => api.delete_function_concurrency(call, input).await,
    "GetAccountSettings" => Ok(api.get_account_settings(call)),
    "CreateEventSourceMapping" => api.create_event_source_mapping(call, input).await,
    "GetEventSourceMapping" => api.get_event_source_mapping(call, &input),
    "ListEventSourceMappings" => api.list_event_source_mappings(call, &input),
    "UpdateEventSourceMapping" => api.update_event_source_mapping(call, input).await,
    "DeleteEventSourceMapping" => api.delete_event_source_mapping(call, input).await,
    "PutFunctionEventInvokeConfig" => api.put_function_event_invoke_config(call, input).await,
    "UpdateFunctionEventInvokeConfig" => api.update_function_event_invoke_config(call, input).await,
    "GetFunctionEventInvokeConfig" => api.get_function_event_invoke_config(call, &input),
    "ListFunctionEventInvokeConfigs" => api.list_function_event_invoke_configs(call, &input),
    "DeleteFunctionEventInvokeConfig" => api.delete_function_event_invoke_config(call, input).await,
    "PutFunctionRecursionConfig" => api.put_function_recursion_config(call, input).await,
    "GetFunctionRecursionConfig" => api.get_function_recursion_config(call, &input),
    "AddPermission" => api.add_permission(call, input).await,
    "RemovePermission" => api.remove_permission(call, input).await,
    "GetPolicy" => api.get_policy(call, &input),
    "GetResourcePolicy" => api.get_resource_policy(call, &input),
    "PutResourcePolicy" => api.put_resource_policy(call, input).await,
    "DeleteResourcePolicy" => api.delete_resource_policy(call, input).await,
    "PublishVersion" => api.publish_version(call, input).await,
    "ListVersionsByFunction" => api.list_versions_by_function(call, &input),
    "CreateAlias" => api.create_alias(call, input).await,
    "UpdateAlias" => api.update_alias(call, input).await,
    "GetAlias" => api.get_alias(call, &input),
    "ListAliases" => api.list_aliases(call, &input),
    "DeleteAlias" => api.delete_alias(call, input).await,
    "TagResource" => api.tag_resource(call, input).await,
    "UntagResource" => api.untag_resource(call, input).await,
    "ListTags" => api.list_tags(call, &input),
    "GetFunctionCodeSigningConfig" => api.get_function_code_signing_config(call, &input),
    "GetRuntimeManagementConfig" => api.get_runtime_management_config(call, &input),
    "PutRuntimeManagementConfig" => api.put_runtime_management_config(call, &input),
    "PublishLayerVersion" => api.publish_layer_version(call, input).await,
    "GetLayerVersion" => api.get_layer_version(call, &input),
    "GetLayerVersionByArn" => api.get_layer_version_by_arn(call, &input),
    "ListLayerVersions" => api.list_layer_versions(call, &input),
    "ListLayers" => api.list_layers(call, &input),
    "DeleteLayerVersion" => api.delete_layer_version(call, input).await,
    "AddLayerVersionPermission" => api.add_layer_version_permission(call, input).await,
    "RemoveLayerVersionPermission" => api.remove_layer_version_permission(call, input).await,
    "GetLayerVersionPolicy" => api.get_layer_version_policy(call, &input),
    "PutProvisionedConcurrencyConfig" => api.put_provisioned_concurrency_config(call, input).await,
    "GetProvisionedConcurrencyConfig" => api.get_provisioned_concurrency_config(call, &input),
    "ListProvisionedConcurrencyConfigs" => api.list_provisioned_concurrency_configs(call, &input),
    "DeleteProvisionedConcurrencyConfig" => api.delete_provisioned_concurrency_config(call, input).await,
    "PutFunctionScalingConfig" => api.put_function_scaling_config(call, input).await,
    "GetFunctionScalingConfig" => api.get_function_scaling_config(call, &input),
    "CreateFunctionUrlConfig" => api.create_function_url_config(call, input).await,
    "UpdateFunctionUrlConfig" => api.update_function_url_config(call, input).await,
    "GetFunctionUrlConfig" => api.get_function_url_config(call, &input),
    "ListFunctionUrlConfigs" => api.list_function_url_configs(call, &input),
    "DeleteFunctionUrlConfig" => api.delete_function_url_config(call, input).await,
}

impl Api {
    /// Answers for Lambda. `authorized` says that it was found allowed by what its path names.
    pub(crate) async fn operate(
        &self,
        call: &Call<'_>,
        matched: &Matched<'_, '_>,
        authorized: bool,
        body: &mut RequestBody,
    ) -> Result<Reply, Error> {
        let name = &*matched.operation.name;
        if !BUILT.contains(&name) {
            return Err(Error::UnknownOperation(coverage::refusal(name)));
        }
        let code = matches!(name, "CreateFunction" | "UpdateFunctionCode" | "PublishLayerVersion");
        let limit = if code { quota::CODE_REQUEST_BYTES } else { quota::REQUEST_BYTES };
        let too_large = |_| {
            Error::RequestTooLarge(format!(
                "Request must be smaller than {limit} bytes for the {name} operation"
            ))
        };
        if matches!(call.parts.method, Method::POST | Method::PUT) {
            check_media_type(call.parts)?;
        }
        let read = self.budget.read(body, limit, code, too_large).await?;
        // A body means nothing to the operations that are read from the path.
        let bytes =
            if matches!(call.parts.method, Method::POST | Method::PUT) { &read.bytes[..] } else { b"" };
        let input = work(bytes.len(), || input::read(matched, call.parts, bytes))?;
        if !authorized {
            self.authorize(call, "lambda", name, &input)?;
        }
        self.authorize_deeds(call, "lambda", name, &input)?;
        answer(self, call, name, input).await
    }
}

/// JSON by any of its names, or no name at all.
fn check_media_type(parts: &Parts) -> Result<(), Error> {
    let Some(given) = parts.headers.get(CONTENT_TYPE) else { return Ok(()) };
    let given = given.to_str().unwrap_or_default();
    let name = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match name.as_str() {
        ""
        | "application/json"
        | "application/x-amz-json-1.0"
        | "application/x-amz-json-1.1"
        | "binary/octet-stream" => Ok(()),
        _ => Err(Error::UnsupportedMediaType(format!("Unsupported content type: {given}"))),
    }
}
