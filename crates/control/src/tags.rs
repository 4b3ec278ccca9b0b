//! Tags of functions.
//!
//! Deliberately not here: those of event source mappings, which `events` keeps.

use std::collections::BTreeMap;

use lambkin_model::Error;
use lambkin_model::name::FunctionReference;
use lambkin_model::tags;

use crate::Control;

impl Control {
    /// TagResource.
    pub async fn tag_function(
        &self,
        reference: &FunctionReference,
        more: BTreeMap<String, String>,
    ) -> Result<(), Error> {
        unqualified(reference)?;
        tags::check(&more)?;
        self.change_head(&reference.key, || unknown(reference), |head| tags::merge(&mut head.tags, &more))
            .await?;
        tracing::info!(function = %reference.key.name, "tagged");
        Ok(())
    }

    /// UntagResource.
    pub async fn untag_function(&self, reference: &FunctionReference, names: &[String]) -> Result<(), Error> {
        unqualified(reference)?;
        self.change_head(
            &reference.key,
            || unknown(reference),
            |head| {
                head.tags.retain(|name, _| !names.contains(name));
                Ok(())
            },
        )
        .await?;
        tracing::info!(function = %reference.key.name, "untagged");
        Ok(())
    }

    /// ListTags.
    pub fn function_tags(&self, reference: &FunctionReference) -> Result<BTreeMap<String, String>, Error> {
        unqualified(reference)?;
        let head = self.catalog.head(&reference.key).ok_or_else(|| unknown(reference))?;
        Ok(head.record.tags.clone())
    }
}

fn unqualified(reference: &FunctionReference) -> Result<(), Error> {
    match reference.qualifier {
        Some(_) => Err(Error::InvalidParameterValue(
            "Tags on function aliases and versions are not supported. Please specify a function ARN.".into(),
        )),
        None => Ok(()),
    }
}

fn unknown(reference: &FunctionReference) -> Error {
    Error::FunctionNotFound { arn: reference.arn() }
}
