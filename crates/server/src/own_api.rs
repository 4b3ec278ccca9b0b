//! Reading `/_lambkin/…` of a lambkin that serves, for the commands that show what is in it.

use std::time::Duration;

use serde::de::DeserializeOwned;

/// Where a lambkin listens that was told nothing else.
const USUAL: &str = "http://127.0.0.1:4566";
/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// Reads a page: at this endpoint, or `$AWS_ENDPOINT_URL`, or where lambkin usually listens.
pub(crate) fn read<T: DeserializeOwned>(endpoint: Option<String>, path: &str) -> Result<T, String> {
    let endpoint = endpoint.or_else(|| std::env::var("AWS_ENDPOINT_URL").ok());
    let endpoint = endpoint.unwrap_or_else(|| USUAL.into());
    let url = format!("{}/_lambkin/{path}", endpoint.trim_end_matches('/'));
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(DEADLINE)).proxy(None).build().into();
    let answer = agent.get(&url).call().map_err(|error| format!("{url}: {error}"))?;
    serde_json::from_reader(answer.into_body().into_reader()).map_err(|error| format!("{url}: {error}"))
}
