//! The AWS SDK for Rust, unmodified, on the tour (`../tour.py`): a request comes in a line, an answer goes out in one.
//! `operations.rs` has the calls, `shapes.rs` what goes in and comes out.

mod operations;
mod shapes;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::{BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RuntimeComponents};
use aws_sdk_lambda::error::{BoxError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use serde_json::{Value, json};

use crate::operations::NAMES;
use crate::shapes::Input;

/// The status of the last answer, which the SDK's outputs do not say.
#[derive(Clone, Debug, Default)]
struct Status(Arc<AtomicU16>);

impl Intercept for Status {
    fn name(&self) -> &'static str {
        "Status"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.store(context.response().status().as_u16(), Ordering::Relaxed);
        Ok(())
    }
}

/// Why there is no output.
pub enum Failure {
    /// AWS's code and message.
    Refused(String, String),
    /// The driver, the SDK or the connection.
    Broken(String),
}

/// A failed call's code and message, as the SDK understood them.
pub fn failed<E, R>(error: SdkError<E, R>) -> Failure
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug + 'static,
    SdkError<E, R>: std::error::Error,
{
    match error.as_service_error().map(|said| (said.code(), said.message())) {
        Some((Some(code), message)) => Failure::Refused(code.into(), message.unwrap_or_default().into()),
        _ => Failure::Broken(DisplayErrorContext(error).to_string()),
    }
}

fn main() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let status = Status::default();
    let key = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(variable("AWS_ENDPOINT_URL"))
        .region(Region::new(variable("AWS_REGION")))
        .credentials_provider(Credentials::new(key.0, key.1, None, None, "tour"))
        .retry_config(RetryConfig::disabled())
        .interceptor(status.clone())
        .build();
    let client = Client::from_conf(config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for line in std::io::stdin().lines() {
        let request: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        let answer = match request["has"].as_str() {
            Some(name) => json!({ "has": NAMES.contains(&shapes::snake(name).as_str()) }),
            None => runtime.block_on(answer(&client, &status, &request)),
        };
        let mut output = std::io::stdout().lock();
        writeln!(output, "{answer}").and_then(|()| output.flush()).expect("somebody reads");
    }
}

async fn answer(client: &Client, status: &Status, request: &Value) -> Value {
    let name = shapes::snake(request["operation"].as_str().unwrap_or_default());
    let result = operations::run(client, &name, Input::new(&request["input"])).await;
    let status = status.0.load(Ordering::Relaxed);
    match result {
        Ok(output) => json!({ "status": status, "output": output }),
        Err(Failure::Refused(code, message)) => {
            json!({ "status": status, "error": code, "message": message })
        }
        Err(Failure::Broken(why)) => json!({ "broken": why }),
    }
}
