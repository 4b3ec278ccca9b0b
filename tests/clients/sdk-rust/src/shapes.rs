//! The SDK's types from and to the tour's JSON. Members go by AWS's names there: `FunctionName` is `function_name`.

use std::collections::HashMap;

use aws_sdk_lambda::operation as op;
use aws_sdk_lambda::primitives::{Blob, ByteStream, DateTime};
use aws_sdk_lambda::types as ty;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use crate::Failure;

/// `FunctionName` as Rust writes it.
pub fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// `function_name` as AWS writes it.
fn pascal(name: &str) -> String {
    if name == "uuid" {
        return "UUID".into();
    }
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    name.split('_').map(capital).collect()
}

/// A structure's members, each taken once.
pub struct Input(Map<String, Value>);

impl Input {
    pub fn new(value: &Value) -> Self {
        Self(value.as_object().cloned().unwrap_or_default())
    }

    /// The member of this name, where it was given.
    pub fn member<T: Given>(&mut self, name: &str) -> Result<Option<T>, Failure> {
        let given = self.0.remove(&pascal(name)).map(|value| T::given(&value).ok_or(value));
        given.transpose().map_err(|value| Failure::Broken(format!("{name} cannot be {value}")))
    }

    /// What is left was given and would not be sent.
    pub fn end(self) -> Result<(), Failure> {
        match self.0.keys().next() {
            Some(name) => Err(Failure::Broken(format!("the driver does not send {name}"))),
            None => Ok(()),
        }
    }
}

/// What goes into a call.
pub trait Given: Sized {
    fn given(value: &Value) -> Option<Self>;
}

/// What comes out of one; null is nothing.
pub trait Plain {
    fn plain(&self) -> Value;
}

/// A builder's end, which fails for some.
trait Built<T> {
    fn built(self) -> Option<T>;
}

impl<T> Built<T> for T {
    fn built(self) -> Option<T> {
        Some(self)
    }
}

impl<T, E> Built<T> for Result<T, E> {
    fn built(self) -> Option<T> {
        self.ok()
    }
}

macro_rules! scalars {
    ($($type:ty: $read:expr;)*) => {$(
        impl Given for $type {
            fn given(value: &Value) -> Option<Self> {
                let read: fn(&Value) -> Option<$type> = $read;
                read(value)
            }
        }

        impl Plain for $type {
            fn plain(&self) -> Value {
                json!(self)
            }
        }
    )*};
}

scalars! {
    String: |value| value.as_str().map(String::from);
    bool: Value::as_bool;
    i32: |value| value.as_i64()?.try_into().ok();
    i64: Value::as_i64;
    f64: Value::as_f64;
}

impl Given for Blob {
    fn given(value: &Value) -> Option<Self> {
        BASE64.decode(value["$base64"].as_str()?).ok().map(Blob::new)
    }
}

impl Given for ByteStream {
    fn given(value: &Value) -> Option<Self> {
        Blob::given(value).map(|blob| blob.into_inner().into())
    }
}

impl Plain for Blob {
    fn plain(&self) -> Value {
        json!({ "$base64": BASE64.encode(self) })
    }
}

impl Plain for DateTime {
    fn plain(&self) -> Value {
        json!({ "$time": self.as_secs_f64() })
    }
}

impl<T: Given> Given for Vec<T> {
    fn given(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::given).collect()
    }
}

impl<T: Plain> Plain for Vec<T> {
    fn plain(&self) -> Value {
        self.iter().map(T::plain).collect()
    }
}

impl<T: Given> Given for HashMap<String, T> {
    fn given(value: &Value) -> Option<Self> {
        value.as_object()?.iter().map(|(name, each)| Some((name.clone(), T::given(each)?))).collect()
    }
}

impl<T: Plain> Plain for HashMap<String, T> {
    fn plain(&self) -> Value {
        self.iter().map(|(name, each)| (name.clone(), each.plain())).collect::<Map<_, _>>().into()
    }
}

impl<T: Plain> Plain for Option<T> {
    fn plain(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::plain)
    }
}

macro_rules! words {
    ($($name:ident)*) => {$(
        impl Given for ty::$name {
            fn given(value: &Value) -> Option<Self> {
                value.as_str().map(Self::from)
            }
        }

        impl Plain for ty::$name {
            fn plain(&self) -> Value {
                json!(self.as_str())
            }
        }
    )*};
}

words! {
    Architecture FunctionResponseType FunctionUrlAuthType InvocationType InvokeMode LastUpdateStatus
    LastUpdateStatusReasonCode LogType PackageType ProvisionedConcurrencyStatusEnum RecursiveLoop Runtime State
    StateReasonCode UpdateRuntimeOn
}

macro_rules! given {
    ($($name:ident($($member:ident)*))*) => { pastey::paste! {$(
        impl Given for ty::$name {
            fn given(value: &Value) -> Option<Self> {
                let mut input = Input::new(value);
                let made = Self::builder();
                $(let made = made.[<set_ $member>](input.member(stringify!($member)).ok()?);)*
                input.end().ok()?;
                made.build().built()
            }
        }
    )*}};
}

given! {
    FunctionCode(zip_file)
    LayerVersionContentInput(zip_file)
    Environment(variables)
    AliasRoutingConfiguration(additional_version_weights)
    Cors(allow_origins allow_methods max_age)
    DestinationConfig(on_success on_failure)
    OnSuccess(destination)
    OnFailure(destination)
    FilterCriteria(filters)
    Filter(pattern)
    ScalingConfig(maximum_concurrency)
    FunctionScalingConfig(min_execution_environments max_execution_environments)
}

/// Several types with the same members, in brackets.
macro_rules! plain {
    ($([$($type:path),+ $(,)?] $members:tt)*) => {$($(plain_one!($type, $members);)+)*};
}

macro_rules! plain_one {
    ($type:path, { $($member:ident)* }) => {
        impl Plain for $type {
            fn plain(&self) -> Value {
                let members: [(&str, Value); _] = [$((stringify!($member), self.$member.plain()),)*];
                let there = members.into_iter().filter(|(_, value)| !value.is_null());
                there.map(|(name, value)| (pascal(name), value)).collect::<Map<_, _>>().into()
            }
        }
    };
}

// What lambkin's answers have; members of what it does not do are not here.
plain! {
    [
        op::create_function::CreateFunctionOutput,
        op::update_function_code::UpdateFunctionCodeOutput,
        op::update_function_configuration::UpdateFunctionConfigurationOutput,
        op::publish_version::PublishVersionOutput,
        op::get_function_configuration::GetFunctionConfigurationOutput,
        ty::FunctionConfiguration,
    ] {
        function_name function_arn runtime role handler code_size description timeout memory_size last_modified
        code_sha256 version environment revision_id layers state state_reason state_reason_code last_update_status
        last_update_status_reason last_update_status_reason_code package_type architectures
    }
    [ty::EnvironmentResponse] { variables }
    [ty::Layer] { arn code_size }
    [op::delete_function::DeleteFunctionOutput] { status_code }
    [op::get_function::GetFunctionOutput] { configuration code tags concurrency }
    [ty::FunctionCodeLocation] { repository_type location }
    [op::list_functions::ListFunctionsOutput] { functions next_marker }
    [op::list_versions_by_function::ListVersionsByFunctionOutput] { versions next_marker }
    [op::get_account_settings::GetAccountSettingsOutput] { account_limit account_usage }
    [ty::AccountLimit] { concurrent_executions unreserved_concurrent_executions total_code_size }
    [ty::AccountUsage] { function_count total_code_size }

    [op::invoke::InvokeOutput] { status_code function_error log_result payload executed_version }
    [op::invoke_async::InvokeAsyncOutput] { status }
    [ty::InvokeResponseStreamUpdate] { payload }
    [ty::InvokeWithResponseStreamCompleteEvent] { error_code error_details log_result }

    [
        op::put_function_concurrency::PutFunctionConcurrencyOutput,
        op::get_function_concurrency::GetFunctionConcurrencyOutput,
        ty::Concurrency,
    ] { reserved_concurrent_executions }
    [op::delete_function_concurrency::DeleteFunctionConcurrencyOutput] {}
    [
        op::put_provisioned_concurrency_config::PutProvisionedConcurrencyConfigOutput,
        op::get_provisioned_concurrency_config::GetProvisionedConcurrencyConfigOutput,
    ] {
        requested_provisioned_concurrent_executions available_provisioned_concurrent_executions
        allocated_provisioned_concurrent_executions status status_reason last_modified
    }
    [ty::ProvisionedConcurrencyConfigListItem] {
        function_arn requested_provisioned_concurrent_executions available_provisioned_concurrent_executions
        allocated_provisioned_concurrent_executions status status_reason last_modified
    }
    [op::list_provisioned_concurrency_configs::ListProvisionedConcurrencyConfigsOutput] {
        provisioned_concurrency_configs next_marker
    }
    [op::delete_provisioned_concurrency_config::DeleteProvisionedConcurrencyConfigOutput] {}
    [op::put_function_scaling_config::PutFunctionScalingConfigOutput] { function_state }
    [op::get_function_scaling_config::GetFunctionScalingConfigOutput] {
        function_arn applied_function_scaling_config requested_function_scaling_config
    }
    [ty::FunctionScalingConfig] { min_execution_environments max_execution_environments }

    [
        op::publish_layer_version::PublishLayerVersionOutput,
        op::get_layer_version::GetLayerVersionOutput,
        op::get_layer_version_by_arn::GetLayerVersionByArnOutput,
    ] {
        content layer_arn layer_version_arn description created_date version compatible_runtimes
        compatible_architectures license_info
    }
    [ty::LayerVersionContentOutput] { location code_sha256 code_size }
    [ty::LayerVersionsListItem] {
        layer_version_arn version description created_date compatible_runtimes compatible_architectures license_info
    }
    [op::list_layer_versions::ListLayerVersionsOutput] { layer_versions next_marker }
    [ty::LayersListItem] { layer_name layer_arn latest_matching_version }
    [op::list_layers::ListLayersOutput] { layers next_marker }
    [op::delete_layer_version::DeleteLayerVersionOutput] {}
    [op::add_layer_version_permission::AddLayerVersionPermissionOutput] { statement revision_id }
    [op::get_layer_version_policy::GetLayerVersionPolicyOutput] { policy revision_id }
    [op::remove_layer_version_permission::RemoveLayerVersionPermissionOutput] {}

    [
        op::create_alias::CreateAliasOutput,
        op::update_alias::UpdateAliasOutput,
        op::get_alias::GetAliasOutput,
        ty::AliasConfiguration,
    ] { alias_arn name function_version description routing_config revision_id }
    [ty::AliasRoutingConfiguration] { additional_version_weights }
    [op::list_aliases::ListAliasesOutput] { aliases next_marker }
    [op::delete_alias::DeleteAliasOutput] {}

    [op::add_permission::AddPermissionOutput] { statement }
    [op::remove_permission::RemovePermissionOutput] {}
    [
        op::get_policy::GetPolicyOutput,
        op::put_resource_policy::PutResourcePolicyOutput,
        op::get_resource_policy::GetResourcePolicyOutput,
    ] { policy revision_id }
    [op::delete_resource_policy::DeleteResourcePolicyOutput] {}

    [op::create_function_url_config::CreateFunctionUrlConfigOutput] {
        function_url function_arn auth_type cors creation_time invoke_mode
    }
    [
        op::update_function_url_config::UpdateFunctionUrlConfigOutput,
        op::get_function_url_config::GetFunctionUrlConfigOutput,
        ty::FunctionUrlConfig,
    ] {
        function_url function_arn auth_type cors creation_time last_modified_time invoke_mode
    }
    [ty::Cors] { allow_credentials allow_headers allow_methods allow_origins expose_headers max_age }
    [op::list_function_url_configs::ListFunctionUrlConfigsOutput] { function_url_configs next_marker }
    [op::delete_function_url_config::DeleteFunctionUrlConfigOutput] {}

    [
        op::put_function_event_invoke_config::PutFunctionEventInvokeConfigOutput,
        op::update_function_event_invoke_config::UpdateFunctionEventInvokeConfigOutput,
        op::get_function_event_invoke_config::GetFunctionEventInvokeConfigOutput,
        ty::FunctionEventInvokeConfig,
    ] {
        last_modified function_arn maximum_retry_attempts maximum_event_age_in_seconds destination_config
    }
    [ty::DestinationConfig] { on_success on_failure }
    [ty::OnSuccess] { destination }
    [ty::OnFailure] { destination }
    [op::list_function_event_invoke_configs::ListFunctionEventInvokeConfigsOutput] {
        function_event_invoke_configs next_marker
    }
    [op::delete_function_event_invoke_config::DeleteFunctionEventInvokeConfigOutput] {}
    [
        op::put_function_recursion_config::PutFunctionRecursionConfigOutput,
        op::get_function_recursion_config::GetFunctionRecursionConfigOutput,
    ] { recursive_loop }
    [
        op::put_runtime_management_config::PutRuntimeManagementConfigOutput,
        op::get_runtime_management_config::GetRuntimeManagementConfigOutput,
    ] {
        update_runtime_on function_arn runtime_version_arn
    }
    [op::get_function_code_signing_config::GetFunctionCodeSigningConfigOutput] { code_signing_config_arn function_name }
    [op::list_tags::ListTagsOutput] { tags }
    [op::tag_resource::TagResourceOutput] {}
    [op::untag_resource::UntagResourceOutput] {}

    [
        op::create_event_source_mapping::CreateEventSourceMappingOutput,
        op::update_event_source_mapping::UpdateEventSourceMappingOutput,
        op::get_event_source_mapping::GetEventSourceMappingOutput,
        op::delete_event_source_mapping::DeleteEventSourceMappingOutput,
        ty::EventSourceMappingConfiguration,
    ] {
        uuid batch_size maximum_batching_window_in_seconds event_source_arn filter_criteria scaling_config
        function_arn last_modified last_processing_result state state_transition_reason function_response_types
        event_source_mapping_arn
    }
    [ty::FilterCriteria] { filters }
    [ty::Filter] { pattern }
    [ty::ScalingConfig] { maximum_concurrency }
    [op::list_event_source_mappings::ListEventSourceMappingsOutput] { event_source_mappings next_marker }
}
