//! Provisioned concurrency: configured for a version or an alias, counted against the account's concurrency.
//!
//! Deliberately not here: environments. The invoke path watches the catalog and starts them by itself.

use lambkin_model::Error;
use lambkin_model::name::{FunctionKey, FunctionReference, LATEST};
use lambkin_model::provisioned::Provisioned;
use lambkin_model::version::{Version, is_number};

use crate::Control;
use crate::concurrency::Share;

/// A configuration, and the version that it is for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvisionedConcurrency {
    /// What was asked for.
    pub provisioned: Provisioned,
    /// Of a weighted alias the first.
    pub version: Version,
}

impl Control {
    /// PutProvisionedConcurrencyConfig.
    pub async fn put_provisioned_concurrency(
        &self,
        reference: &FunctionReference,
        wanted: u32,
    ) -> Result<ProvisionedConcurrency, Error> {
        let (key, qualifier) = (&reference.key, reference.qualifier.as_deref().unwrap_or(LATEST));
        if qualifier == LATEST {
            return Err(Error::InvalidParameterValue(
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions.".into(),
            ));
        }
        self.provisionable(reference)?;
        let limit = self.policy.concurrency;
        let _claim = self.claim(key, Share::Executions, |head, others| {
            head.check_provisioned(qualifier, wanted, limit, others)?;
            let own = head.provisioned.get(qualifier).map_or(0, |before| before.requested);
            Ok(head.reserved_concurrency.unwrap_or(head.total_provisioned() - own + wanted))
        })?;
        let provisioned = Provisioned { requested: wanted, last_modified: (self.ambient.now)() };
        let unknown = || Error::FunctionNotFound { arn: reference.arn() };
        let stored = self
            .change_head(key, unknown, |head| {
                head.version(Some(qualifier)).ok_or_else(unknown)?;
                // The account's share is claimed; what is of the function's own may have changed since.
                head.check_provisioned(qualifier, wanted, usize::MAX, 0)?;
                head.provisioned.insert(qualifier.to_owned(), provisioned);
                Ok(())
            })
            .await?;
        tracing::info!(function = %key.name, qualifier, wanted, "concurrency provisioned");
        let version = stored.record.version(Some(qualifier)).ok_or_else(unknown)?;
        Ok(ProvisionedConcurrency { provisioned, version })
    }

    /// GetProvisionedConcurrencyConfig.
    pub fn provisioned_concurrency(
        &self,
        reference: &FunctionReference,
    ) -> Result<ProvisionedConcurrency, Error> {
        let (version, provisioned) = self.provisionable(reference)?;
        let provisioned = provisioned.ok_or(Error::NotProvisioned)?;
        Ok(ProvisionedConcurrency { provisioned, version })
    }

    /// ListProvisionedConcurrencyConfigs: by qualifier, after `after`, at most `limit`.
    pub fn provisioned_concurrencies(
        &self,
        key: &FunctionKey,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, ProvisionedConcurrency)>, Error> {
        let head = self.head(key)?;
        let all = head.record.provisioned.iter();
        let later = all.filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
        let found = later.filter_map(|(name, provisioned)| {
            let version = head.record.version(Some(name))?;
            Some((name.clone(), ProvisionedConcurrency { provisioned: *provisioned, version }))
        });
        Ok(found.take(limit).collect())
    }

    /// DeleteProvisionedConcurrencyConfig; also where there is none.
    pub async fn delete_provisioned_concurrency(&self, reference: &FunctionReference) -> Result<(), Error> {
        let (_, provisioned) = self.provisionable(reference)?;
        let qualifier = reference.qualifier.as_deref().unwrap_or(LATEST);
        if provisioned.is_some() {
            let unknown = || Error::FunctionNotFound { arn: reference.arn() };
            self.change_head(&reference.key, unknown, |head| {
                head.provisioned.remove(qualifier);
                Ok(())
            })
            .await?;
            tracing::info!(function = %reference.key.name, qualifier, "no concurrency provisioned");
        }
        Ok(())
    }

    /// The version or alias, which must be one, and what it has.
    fn provisionable(&self, reference: &FunctionReference) -> Result<(Version, Option<Provisioned>), Error> {
        let qualifier = reference.qualifier.as_deref().unwrap_or(LATEST);
        if qualifier == LATEST {
            return Err(Error::InvalidParameterValue(
                "The function resource provided must be an alias or a published version.".into(),
            ));
        }
        let unknown = || {
            if is_number(qualifier) {
                Error::FunctionNotFound { arn: reference.arn() }
            } else {
                Error::ResourceNotFound(format!("Cannot find alias arn: {}", reference.arn()))
            }
        };
        let head = self.catalog.head(&reference.key).ok_or_else(unknown)?;
        let version = head.record.version(Some(qualifier)).ok_or_else(unknown)?;
        Ok((version, head.record.provisioned.get(qualifier).copied()))
    }
}
