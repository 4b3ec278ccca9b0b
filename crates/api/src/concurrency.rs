//! Reserved concurrency and the account's settings, as AWS's documents.

use http::StatusCode;
use lambkin_model::Error;
use lambkin_model::quota;
use serde::Serialize;

use crate::Api;
use crate::api::Call;
use crate::node::Node;
use crate::reply::{Reply, empty, json};

/// What a function has reserved; `{}` where nothing.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConcurrencyDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reserved_concurrent_executions: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SettingsDocument {
    account_limit: AccountLimit,
    account_usage: AccountUsage,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccountLimit {
    total_code_size: u64,
    code_size_unzipped: u64,
    code_size_zipped: u64,
    concurrent_executions: usize,
    unreserved_concurrent_executions: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccountUsage {
    total_code_size: u64,
    function_count: usize,
}

impl Api {
    pub(crate) async fn put_function_concurrency(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let key = call.unqualified(&input)?;
        // The constraints are checked: it is there and not negative. What does not fit is too much.
        let wanted = input.integer("ReservedConcurrentExecutions").unwrap_or_default();
        drop(input);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let stored = self.control.put_function_concurrency(key, wanted).await?;
        let reserved_concurrent_executions = stored.record.reserved_concurrency;
        Ok(json(StatusCode::OK, &ConcurrencyDocument { reserved_concurrent_executions }))
    }

    pub(crate) fn get_function_concurrency(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        let key = call.unqualified(input)?;
        let stored = self.control.head(&key)?;
        let reserved_concurrent_executions = stored.record.reserved_concurrency;
        Ok(json(StatusCode::OK, &ConcurrencyDocument { reserved_concurrent_executions }))
    }

    pub(crate) async fn delete_function_concurrency(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let key = call.unqualified(&input)?;
        drop(input);
        self.control.delete_function_concurrency(key).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    pub(crate) fn get_account_settings(&self, call: &Call<'_>) -> Reply {
        let settings = self.control.account_settings(call.account, &call.region);
        json(
            StatusCode::OK,
            &SettingsDocument {
                account_limit: AccountLimit {
                    total_code_size: quota::TOTAL_CODE_BYTES,
                    code_size_unzipped: quota::UNZIPPED_BYTES,
                    code_size_zipped: quota::ZIPPED_BYTES,
                    concurrent_executions: settings.concurrent_executions,
                    unreserved_concurrent_executions: settings.unreserved_concurrent_executions,
                },
                account_usage: AccountUsage {
                    total_code_size: settings.total_code_size,
                    function_count: settings.function_count,
                },
            },
        )
    }
}
