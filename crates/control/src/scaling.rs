//! Scaling of published versions: how many environments one keeps, and how many it may have.
//!
//! Deliberately not here: environments. The invoke path watches the catalog and starts, retires and throttles by itself.

use lambkin_model::Error;
use lambkin_model::function::State;
use lambkin_model::name::FunctionReference;
use lambkin_model::scaling::{Scaling, ScalingConfig};
use lambkin_model::version::Version;

use crate::Control;
use crate::concurrency::Share;
use crate::version::Found;

impl Control {
    /// PutFunctionScalingConfig. An empty one takes the configuration away. Answers with the version as it is then.
    pub async fn put_scaling(
        &self,
        reference: &FunctionReference,
        wanted: ScalingConfig,
    ) -> Result<Found, Error> {
        let unknown = || Error::FunctionNotFound { arn: reference.arn() };
        let found = self.function(reference)?;
        let Version::Published(number) = found.version else { return Err(unknown()) };
        if *found.state() == State::Pending {
            found.state().check_invocable()?;
        }
        let (key, limit) = (&reference.key, self.policy.concurrency);
        let _claim = self.claim(key, Share::Environments, |head, others| {
            head.check_scaling(number, wanted, limit, others)?;
            let own = head.scaling(found.version).min.unwrap_or_default();
            Ok(head.total_min() - own + wanted.min.unwrap_or_default())
        })?;
        let scaling = Scaling { config: wanted, last_modified: (self.ambient.now)() };
        let stored = self
            .change_head(key, unknown, |head| {
                head.state(found.version).ok_or_else(unknown)?;
                // The account's share is claimed; what is of the function's own may have changed since.
                head.check_scaling(number, wanted, usize::MAX, 0)?;
                if wanted.is_empty() {
                    head.scaling.remove(&number);
                } else {
                    head.scaling.insert(number, scaling);
                }
                Ok(())
            })
            .await?;
        tracing::info!(function = %key.name, version = number, ?wanted, "scaling changed");
        Ok(Found { head: stored, ..found })
    }

    /// GetFunctionScalingConfig: the version, and what is asked for.
    pub fn scaling(&self, reference: &FunctionReference) -> Result<(Version, ScalingConfig), Error> {
        let found = self.function(reference)?;
        Ok((found.version, found.head.record.scaling(found.version)))
    }
}
