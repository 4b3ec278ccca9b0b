//! All targets together: an ARN is its service's, unless the operator sends its account, region or service
//! elsewhere.
//!
//! Deliberately not here: the services, and how something is sent elsewhere (`outbound`).

use std::collections::HashMap;
use std::sync::Arc;

use lambkin_model::queue::Post;

use crate::target::{Delivery, Target, Undeliverable};

/// Who takes an ARN. Made once, when lambkin starts.
#[derive(Default)]
pub struct Targets {
    services: HashMap<&'static str, Arc<dyn Target>>,
    external: Option<Arc<dyn External>>,
}

/// A target that is elsewhere.
pub trait External: Target {
    /// Whether the operator sends this ARN elsewhere.
    fn has(&self, arn: &str) -> bool;
}

impl Targets {
    /// Without any service.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this one, by its name in ARNs: `sqs`.
    #[must_use]
    pub fn with(mut self, service: &'static str, target: Arc<dyn Target>) -> Self {
        self.services.insert(service, target);
        self
    }

    /// With what is elsewhere.
    #[must_use]
    pub fn with_external(mut self, external: Arc<dyn External>) -> Self {
        self.external = Some(external);
        self
    }

    fn of(&self, arn: &str) -> Result<&dyn Target, Undeliverable> {
        if let Some(external) = self.external.as_ref().filter(|external| external.has(arn)) {
            return Ok(&**external);
        }
        let service = arn.split(':').nth(2).unwrap_or_default();
        self.services.get(service).map(|target| &**target).ok_or_else(|| Undeliverable {
            target: arn.into(),
            code: "UnsupportedTarget".into(),
            message: format!(
                "lambkin has no service '{service}'. Where one is elsewhere, say so with --external."
            ),
        })
    }
}

impl Target for Targets {
    fn posts(&self, arn: &str, delivery: &Delivery) -> Result<Vec<Post>, Undeliverable> {
        self.of(arn)?.posts(arn, delivery)
    }

    fn check(&self, arn: &str) -> Result<(), Undeliverable> {
        self.of(arn)?.check(arn)
    }
}
