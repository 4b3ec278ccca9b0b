//! Scaling of published versions, as AWS's documents say it of Lambda Managed Instances: what was requested is told until it is
//! in effect, and what is applied is what there is.
//!
//! Deliberately not here: what may be asked for (`model::scaling`), and who does it (`invoke`).

use http::StatusCode;
use lambkin_control::Found;
use lambkin_model::Error;
use lambkin_model::name::{FunctionKey, FunctionReference};
use lambkin_model::scaling::ScalingConfig;
use lambkin_model::version::Version;
use serde::Serialize;

use crate::Api;
use crate::api::Call;
use crate::document::ConfigurationDocument;
use crate::node::Node;
use crate::reply::{Reply, json};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ScalingDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    min_execution_environments: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_execution_environments: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetDocument {
    function_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_function_scaling_config: Option<ScalingDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_function_scaling_config: Option<ScalingDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PutDocument {
    function_state: &'static str,
}

impl From<ScalingConfig> for ScalingDocument {
    fn from(config: ScalingConfig) -> Self {
        Self { min_execution_environments: config.min, max_execution_environments: config.max }
    }
}

impl Api {
    pub(crate) async fn put_function_scaling_config(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = call.reference(&input)?;
        let given = input.get("FunctionScalingConfig");
        // The constraints are checked: what is there fits.
        let count = |name: &str| given.as_ref()?.integer(name).and_then(|count| u32::try_from(count).ok());
        let wanted =
            ScalingConfig { min: count("MinExecutionEnvironments"), max: count("MaxExecutionEnvironments") };
        drop(input);
        let found = self.control.put_scaling(&reference, wanted).await?;
        let environments = self.provisioning.environments(&reference.key, found.version);
        let function_state = found.state().beside(environments);
        Ok(json(StatusCode::ACCEPTED, &PutDocument { function_state }))
    }

    pub(crate) fn get_function_scaling_config(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = call.reference(input)?;
        let (version, requested) = self.control.scaling(&reference)?;
        Ok(json(StatusCode::OK, &self.scaling_document(&reference, version, requested)))
    }

    fn scaling_document(
        &self,
        reference: &FunctionReference,
        version: Version,
        requested: ScalingConfig,
    ) -> GetDocument {
        let applied = self.applied(&reference.key, version, requested);
        let told = |config: ScalingConfig| (!config.is_empty()).then(|| config.into());
        GetDocument {
            function_arn: reference.arn(),
            applied_function_scaling_config: told(applied),
            requested_function_scaling_config: if applied == requested { None } else { told(requested) },
        }
    }

    /// A version's document, with what its environments say of its state where it is scaled.
    pub(crate) fn standing<'a>(
        &self,
        found: &'a Found,
        qualifier: Option<&str>,
    ) -> ConfigurationDocument<'a> {
        let mut document = ConfigurationDocument::new(found, qualifier);
        let (head, version) = (&found.head.record, found.version);
        let requested = head.scaling(version);
        if !requested.is_empty() {
            let lacks = self.applied(&head.key, version, requested).min != requested.min;
            let failure = self.provisioning.kept(&head.key, version).failure.filter(|_| lacks);
            let environments = self.provisioning.environments(&head.key, version);
            document.stand(found.state().beside(environments), failure.map(|failure| failure.state_reason()));
        }
        document
    }

    /// What is in effect of a version's scaling.
    fn applied(&self, key: &FunctionKey, version: Version, requested: ScalingConfig) -> ScalingConfig {
        let allocated = self.provisioning.kept(key, version).allocated;
        requested.applied(allocated, self.provisioning.environments(key, version))
    }
}
