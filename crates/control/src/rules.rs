//! Rules of a configuration that the service model's constraints do not say. The texts are AWS's.

use std::collections::BTreeMap;

use lambkin_model::Error;
use lambkin_model::function::Configuration;
use lambkin_model::quota;
use lambkin_model::runtime::{Runtime, RuntimeProvider};
use lambkin_model::variables;

use crate::Policy;

/// AWS's own list in the refusal of an unknown runtime (aws-behaviour 38).
const KNOWN_TO_AWS: &str = "[nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, \
     python3.10, python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, \
     dotnet8, java11, dotnet6, nodejs18.x, provided.al2, java8.al2] or be a valid ARN";

/// The runtime of this name, where this lambkin takes it.
pub(crate) fn runtime(name: &str, policy: Policy, provider: &dyn RuntimeProvider) -> Result<Runtime, Error> {
    let Some(runtime) = Runtime::from_name(name) else {
        return Err(Error::InvalidParameterValue(if KNOWN_TO_AWS.contains(&format!("{name},")) {
            let ours: Vec<&str> = Runtime::all().map(Runtime::name).collect();
            format!("lambkin does not run {name}. It runs {}.", ours.join(", "))
        } else {
            format!(
                "Value {name} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: {KNOWN_TO_AWS}"
            )
        }));
    };
    if policy.refuse_retired_runtimes && runtime.retired() {
        return Err(Error::InvalidParameterValue(format!(
            "The runtime parameter of {name} is no longer supported for creating or updating AWS Lambda functions. \
             We recommend you use a supported runtime while creating or updating functions."
        )));
    }
    provider.check_platform(runtime).map_err(|error| Error::InvalidParameterValue(error.to_string()))?;
    Ok(runtime)
}

/// Checks what no constraint of the service model says.
pub(crate) fn check(configuration: &Configuration) -> Result<(), Error> {
    let bounded = [
        ("timeout", configuration.timeout, quota::TIMEOUT_SECONDS),
        ("memorySize", configuration.memory_size, quota::MEMORY_MB),
        ("ephemeralStorage.size", configuration.ephemeral_storage, quota::EPHEMERAL_STORAGE_MB),
    ];
    for (member, value, most) in bounded {
        if value > most {
            return Err(Error::Validation(format!(
                "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: \
                 Member must have value less than or equal to {most}"
            )));
        }
    }
    configuration.variables.as_ref().map_or(Ok(()), check_variables)
}

fn check_variables(given: &BTreeMap<String, String>) -> Result<(), Error> {
    let reserved: Vec<&str> =
        given.keys().map(String::as_str).filter(|key| variables::is_reserved(key)).collect();
    if !reserved.is_empty() {
        return Err(Error::InvalidParameterValue(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided contains reserved keys that are currently not supported for modification. Reserved keys used in \
             this request: {}",
            reserved.join(", ")
        )));
    }
    // Measured on the JSON text, which is echoed whole (aws-behaviour 42).
    let text = serde_json::to_string(given).expect("a map of strings");
    if text.len() > quota::VARIABLES_BYTES {
        return Err(Error::InvalidParameterValue(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided exceeded the 4KB limit. String measured: {text}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_variables;

    #[test]
    fn variables() {
        let map = |key: &str, length: usize| [(key.to_owned(), "x".repeat(length))].into();
        assert!(check_variables(&map("A_B", 4086)).is_ok(), "{{\"A_B\":\"…\"}} is 4,096 bytes");
        assert!(
            check_variables(&map("A_B", 4087))
                .unwrap_err()
                .to_string()
                .contains("4KB limit. String measured: {\"A_B\"")
        );
        assert!(
            check_variables(&map("_HANDLER", 1)).unwrap_err().to_string().ends_with("this request: _HANDLER")
        );
    }
}
