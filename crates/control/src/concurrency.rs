//! Reserved concurrency and the account's settings.
//!
//! Deliberately not here: admission. The invoke path watches the catalog and counts by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use lambkin_model::Error;
use lambkin_model::catalog::{CatalogError, Head, Stored};
use lambkin_model::concurrency::check_reservation;
use lambkin_model::name::{FunctionKey, LATEST};

use crate::Control;

/// What GetAccountSettings says besides the quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountSettings {
    /// Concurrent executions of the account. All regions share them: they are the machine's.
    pub concurrent_executions: usize,
    /// Those that are set aside for no function, of whatever region.
    pub unreserved_concurrent_executions: usize,
    /// Code of the region's functions, zipped, in bytes.
    pub total_code_size: u64,
    /// Functions of the region.
    pub function_count: usize,
}

/// What there is only once of an account, and functions share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Executions at once: reserved or provisioned ones.
    Executions,
    /// Environments that are kept for scaling. They set no execution aside, and are as many as executions at the most.
    Environments,
}

impl Share {
    /// What a function has of it.
    fn of(self, head: &Head) -> u32 {
        match self {
            Self::Executions => head.set_aside(),
            Self::Environments => head.total_min(),
        }
    }
}

/// Shares that are allowed and not stored yet, so that two at once cannot both take what is
/// there only once. Bounded by the requests being answered.
#[derive(Default)]
pub(crate) struct Claims(Mutex<Vec<Claimed>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Claimed(FunctionKey, Share, u32);

/// One of them, until it is stored or has failed.
pub(crate) struct Claim<'a>(&'a Claims, Claimed);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut claims = self.0.0.lock().expect("no code panics under this lock");
        if let Some(at) = claims.iter().position(|claimed| *claimed == self.1) {
            claims.swap_remove(at);
        }
    }
}

impl Control {
    /// PutFunctionConcurrency. The next invocation is admitted by it; what runs goes on.
    pub async fn put_function_concurrency(
        &self,
        key: FunctionKey,
        wanted: u32,
    ) -> Result<Arc<Stored<Head>>, Error> {
        let unknown = |error| match error {
            // Unlike the other two, AWS's names the version.
            Error::FunctionNotFound { .. } => Error::FunctionNotFound { arn: key.qualified_arn(LATEST) },
            other => other,
        };
        let limit = self.policy.concurrency;
        let claim = self.claim(&key, Share::Executions, |head, others| {
            enough(head, wanted)?;
            check_reservation(limit, others, head.set_aside(), wanted).map(|()| wanted)
        });
        let _claim = claim.map_err(unknown)?;
        let stored = self.set_concurrency(&key, Some(wanted)).await.map_err(unknown)?;
        tracing::info!(function = %key.name, reserved = wanted, "concurrency reserved");
        Ok(stored)
    }

    /// DeleteFunctionConcurrency; also where nothing was reserved.
    pub async fn delete_function_concurrency(&self, key: FunctionKey) -> Result<(), Error> {
        self.set_concurrency(&key, None).await?;
        tracing::info!(function = %key.name, "no concurrency reserved");
        Ok(())
    }

    /// GetAccountSettings.
    #[must_use]
    pub fn account_settings(&self, account: &str, region: &str) -> AccountSettings {
        let all = self.catalog.all();
        let reserved: usize = all.iter().map(|head| head.record.set_aside() as usize).sum();
        let here = || {
            all.iter()
                .map(|head| &head.record)
                .filter(|head| &*head.key.account == account && &*head.key.region == region)
        };
        let versions = self.catalog.versions();
        let published = versions
            .iter()
            .map(|stored| &stored.record)
            .filter(|body| &*body.key.account == account && &*body.key.region == region)
            .map(|body| body.version.code.size);
        AccountSettings {
            concurrent_executions: self.policy.concurrency,
            unreserved_concurrent_executions: self.policy.concurrency.saturating_sub(reserved),
            total_code_size: here().map(|head| head.latest.code.size).sum::<u64>() + published.sum::<u64>(),
            function_count: here().count(),
        }
    }

    /// Where the function may have what is asked for: `check` is given its head and what all others have of the share, and
    /// says how much the function has of it then.
    pub(crate) fn claim(
        &self,
        key: &FunctionKey,
        share: Share,
        check: impl FnOnce(&Head, usize) -> Result<u32, Error>,
    ) -> Result<Claim<'_>, Error> {
        let mut claims = self.claims.0.lock().expect("no code panics under this lock");
        // Looked at under the lock: a claim goes only after the catalog shows what was stored.
        let head = self.head(key)?;
        let all = self.catalog.all();
        let mut others: HashMap<&FunctionKey, u32> = HashMap::new();
        let stored = all.iter().map(|head| (&head.record.key, share.of(&head.record)));
        let claimed = claims.iter().filter(|claimed| claimed.1 == share);
        for (other, count) in stored.chain(claimed.map(|Claimed(other, _, count)| (other, *count))) {
            if other != key {
                let most = others.entry(other).or_default();
                *most = (*most).max(count);
            }
        }
        let others = others.values().map(|count| *count as usize).sum();
        let wanted = check(&head.record, others)?;
        let claimed = Claimed(key.clone(), share, wanted);
        claims.push(claimed.clone());
        Ok(Claim(&self.claims, claimed))
    }

    async fn set_concurrency(
        &self,
        key: &FunctionKey,
        reserved: Option<u32>,
    ) -> Result<Arc<Stored<Head>>, Error> {
        loop {
            let before = self.head(key)?;
            if before.record.reserved_concurrency == reserved {
                return Ok(before);
            }
            if let Some(wanted) = reserved {
                enough(&before.record, wanted)?;
            }
            let head = Head { reserved_concurrency: reserved, ..before.record.clone() };
            match self.put(Some(before.revision), head).await {
                Ok(stored) => return Ok(stored),
                // It changed otherwise meanwhile, or went: look again.
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(Error::Service(reason)),
            }
        }
    }
}

/// A reservation has room for what is provisioned of the function. The text is recorded from AWS, its spaces too.
fn enough(head: &Head, reserved: u32) -> Result<(), Error> {
    let provisioned = head.total_provisioned();
    if reserved < provisioned {
        return Err(Error::UntypedParameterValue(format!(
            " ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned \
             concurrency [{provisioned}]."
        )));
    }
    Ok(())
}
