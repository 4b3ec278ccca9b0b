//! Each operation on the tour, with the members that the table gives it. A member that is not here makes a call fail, and
//! so does an operation: nothing of the table is left out.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::InvokeWithResponseStreamResponseEvent as Event;
use serde_json::{Value, json};

use crate::shapes::{Input, Plain as _};
use crate::{Failure, failed};

macro_rules! operations {
    ($($operation:ident($($member:ident)*))*) => { pastey::paste! {
        pub const NAMES: &[&str] = &["invoke_with_response_stream", $(stringify!($operation),)*];

        /// Calls the operation of this name.
        pub async fn run(client: &Client, name: &str, mut input: Input) -> Result<Value, Failure> {
            match name {
                "invoke_with_response_stream" => stream(client, input).await,
                $(stringify!($operation) => {
                    let call = client.$operation();
                    $(let call = call.[<set_ $member>](input.member(stringify!($member))?);)*
                    input.end()?;
                    // Each future is large, and one of them runs.
                    Box::pin(call.send()).await.map(|output| output.plain()).map_err(failed)
                })*
                other => Err(Failure::Broken(format!("the driver has no {other}"))),
            }
        }
    }};
}

operations! {
    create_function(function_name runtime role handler code description timeout memory_size environment tags)
    update_function_code(function_name zip_file publish revision_id)
    update_function_configuration(function_name environment layers timeout)
    delete_function(function_name qualifier)
    get_function(function_name)
    get_function_configuration(function_name)
    list_functions(max_items)
    get_account_settings()
    invoke(function_name invocation_type log_type payload qualifier)
    invoke_async(function_name invoke_args)
    put_function_concurrency(function_name reserved_concurrent_executions)
    get_function_concurrency(function_name)
    delete_function_concurrency(function_name)
    publish_layer_version(layer_name description content compatible_runtimes compatible_architectures license_info)
    get_layer_version(layer_name version_number)
    get_layer_version_by_arn(arn)
    list_layer_versions(layer_name compatible_runtime)
    list_layers()
    delete_layer_version(layer_name version_number)
    add_layer_version_permission(layer_name version_number statement_id action principal)
    get_layer_version_policy(layer_name version_number)
    remove_layer_version_permission(layer_name version_number statement_id)
    publish_version(function_name description)
    list_versions_by_function(function_name)
    create_alias(function_name name function_version description)
    update_alias(function_name name function_version routing_config revision_id)
    get_alias(function_name name)
    list_aliases(function_name)
    delete_alias(function_name name)
    put_provisioned_concurrency_config(function_name qualifier provisioned_concurrent_executions)
    get_provisioned_concurrency_config(function_name qualifier)
    list_provisioned_concurrency_configs(function_name)
    delete_provisioned_concurrency_config(function_name qualifier)
    put_function_scaling_config(function_name qualifier function_scaling_config)
    get_function_scaling_config(function_name qualifier)
    add_permission(
        function_name statement_id action principal source_arn source_account function_url_auth_type
        invoked_via_function_url
    )
    remove_permission(function_name statement_id)
    get_policy(function_name)
    put_resource_policy(resource_arn policy)
    get_resource_policy(resource_arn)
    delete_resource_policy(resource_arn revision_id)
    create_function_url_config(function_name auth_type cors)
    update_function_url_config(function_name auth_type invoke_mode)
    get_function_url_config(function_name)
    list_function_url_configs(function_name)
    delete_function_url_config(function_name)
    put_function_event_invoke_config(
        function_name maximum_retry_attempts maximum_event_age_in_seconds destination_config
    )
    update_function_event_invoke_config(function_name maximum_retry_attempts)
    get_function_event_invoke_config(function_name)
    list_function_event_invoke_configs(function_name)
    delete_function_event_invoke_config(function_name)
    put_function_recursion_config(function_name recursive_loop)
    get_function_recursion_config(function_name)
    put_runtime_management_config(function_name update_runtime_on)
    get_runtime_management_config(function_name)
    get_function_code_signing_config(function_name)
    tag_resource(resource tags)
    untag_resource(resource tag_keys)
    list_tags(resource)
    create_event_source_mapping(
        function_name event_source_arn batch_size function_response_types filter_criteria scaling_config
    )
    update_event_source_mapping(uuid batch_size enabled)
    get_event_source_mapping(uuid)
    list_event_source_mappings(function_name)
    delete_event_source_mapping(uuid)
}

/// Its output is a stream of events, read here to its end.
async fn stream(client: &Client, mut input: Input) -> Result<Value, Failure> {
    let call = client.invoke_with_response_stream();
    let call = call.set_function_name(input.member("function_name")?).set_payload(input.member("payload")?);
    input.end()?;
    let mut output = Box::pin(call.send()).await.map_err(failed)?;
    let mut events = Vec::new();
    while let Some(event) = output.event_stream.recv().await.map_err(failed)? {
        events.push(match event {
            Event::PayloadChunk(chunk) => json!({ "PayloadChunk": chunk.plain() }),
            Event::InvokeComplete(end) => json!({ "InvokeComplete": end.plain() }),
            other => return Err(Failure::Broken(format!("an unknown event: {other:?}"))),
        });
    }
    Ok(
        json!({ "StatusCode": output.status_code, "ExecutedVersion": output.executed_version, "EventStream": events }),
    )
}
