//! Layers: publish, look up, list, delete; and what a function that uses some gets of them.
//!
//! Publishing takes a number first and writes the version after that: what a crash leaves between the two is a number
//! that is nobody's. A version that goes is gone for those who look for it; functions that use it hold its content.
//!
//! Deliberately not here: a version's policy (`layer_permission`), and what `/opt` is made of (the code store).

use std::sync::Arc;

use lambkin_model::Error;
use lambkin_model::catalog::{CatalogError, Stored};
use lambkin_model::code::{Code, CodeSha256, Contents};
use lambkin_model::layer::{Layer, LayerFilter, LayerVersion, LayerVersionName, UsedLayer, parse_arn};
use lambkin_model::name::FunctionKey;
use lambkin_model::quota;
use lambkin_model::record::ResourceKey;

use crate::function::code_error;
use crate::{CodeSource, Control};

/// Versions of one layer that are looked at together.
const BATCH: usize = 50;

/// PublishLayerVersion. What is empty was not given.
#[derive(Debug, Clone, Default)]
pub struct PublishLayerVersion {
    /// The content.
    pub source: CodeSource,
    /// Free text.
    pub description: String,
    /// Runtimes that it says it is for.
    pub compatible_runtimes: Vec<String>,
    /// Architectures, likewise.
    pub compatible_architectures: Vec<String>,
    /// Of its software.
    pub license_info: Option<String>,
}

impl Control {
    /// PublishLayerVersion.
    pub async fn publish_layer_version(
        &self,
        layer: &ResourceKey,
        request: PublishLayerVersion,
    ) -> Result<LayerVersion, Error> {
        let code = self.take_zip(request.source).await?;
        let name = LayerVersionName { layer: layer.clone(), version: self.next_layer_version(layer).await? };
        let version = LayerVersion {
            key: name.record_key(),
            name,
            code,
            description: request.description,
            created: (self.ambient.now)(),
            compatible_runtimes: request.compatible_runtimes,
            compatible_architectures: request.compatible_architectures,
            license_info: request.license_info,
            policy: None,
        };
        self.layer_versions.put(None, version.clone()).await.map_err(|error| {
            // Nobody else was given its number.
            Error::Service(error.to_string())
        })?;
        tracing::info!(layer = %version.name, "published");
        Ok(version)
    }

    async fn next_layer_version(&self, key: &ResourceKey) -> Result<u64, Error> {
        loop {
            let before = self.layers.get(key);
            let last_version = before.as_ref().map_or(0, |before| before.record.last_version) + 1;
            let record = Layer { key: key.clone(), last_version };
            match self.layers.put(before.map(|before| before.revision), record).await {
                Ok(_) => return Ok(last_version),
                // Another was faster: look again.
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(Error::Service(reason)),
            }
        }
    }

    /// GetLayerVersion, GetLayerVersionByArn; `None`: there is none, not any more perhaps.
    #[must_use]
    pub fn layer_version(&self, name: &LayerVersionName) -> Option<Arc<Stored<LayerVersion>>> {
        self.layer_versions.get(&name.record_key())
    }

    /// ListLayerVersions: the newest first, after `after`, at most `limit` of those that fit.
    #[must_use]
    pub fn list_layer_versions(
        &self,
        layer: &ResourceKey,
        filter: &LayerFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Vec<Arc<Stored<LayerVersion>>> {
        let mut listed = Vec::new();
        let mut after = LayerVersionName::older_than(layer, after);
        while listed.len() < limit {
            let batch = self.layer_versions.list(&layer.account, &layer.region, Some(&after), BATCH);
            let mine = batch.iter().take_while(|version| version.record.name.layer == *layer);
            let mine: Vec<&Arc<Stored<LayerVersion>>> = mine.collect();
            let fit = mine.iter().filter(|version| version.record.fits(filter));
            listed.extend(fit.take(limit - listed.len()).map(|version| Arc::clone(version)));
            match mine.last().filter(|_| mine.len() == BATCH) {
                Some(last) => after = Arc::clone(&last.record.key.name),
                None => break,
            }
        }
        listed
    }

    /// ListLayers: the newest version that fits of each layer that has one, in order of names, after `after`.
    #[must_use]
    pub fn list_layers(
        &self,
        account: &str,
        region: &str,
        filter: &LayerFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Stored<LayerVersion>>> {
        let mut listed = Vec::new();
        let mut after = after.map(Arc::<str>::from);
        while listed.len() < limit {
            let batch = self.layers.list(account, region, after.as_deref(), BATCH);
            let Some(last) = batch.last() else { break };
            after = Some(Arc::clone(&last.record.key.name));
            let newest =
                batch.iter().flat_map(|layer| self.list_layer_versions(&layer.record.key, filter, None, 1));
            listed.extend(newest.take(limit - listed.len()));
        }
        listed
    }

    /// DeleteLayerVersion. One that is not there has been deleted before.
    pub async fn delete_layer_version(&self, name: &LayerVersionName) -> Result<(), Error> {
        while let Some(version) = self.layer_version(name) {
            match self.layer_versions.delete(version.revision, version.record.key.clone()).await {
                Ok(()) => tracing::info!(layer = %name, "deleted"),
                // Its policy was changed meanwhile, or it went: look again.
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(Error::Service(reason)),
            }
        }
        Ok(())
    }

    /// The layers that a function is to use, with what the code store must have for them.
    pub(crate) fn used_layers(
        &self,
        function: &FunctionKey,
        arns: &[String],
    ) -> Result<Vec<UsedLayer>, Error> {
        if arns.len() > quota::LAYERS {
            return Err(invalid(format!("Cannot reference more than {} layers.", quota::LAYERS)));
        }
        let mut used: Vec<UsedLayer> = Vec::new();
        let mut layers: Vec<ResourceKey> = Vec::new();
        for given in arns {
            let unknown = || invalid(format!("Layer version {given} does not exist."));
            let name = LayerVersionName::parse(given).ok_or_else(unknown)?;
            if name.layer.account != function.account {
                return Err(Error::AccessDenied(format!(
                    "User: arn:aws:iam::{}:root is not authorized to perform: lambda:GetLayerVersion on resource: {given} \
                     because no resource-based policy allows the lambda:GetLayerVersion action",
                    function.account
                )));
            }
            if name.layer.region != function.region {
                return Err(invalid(format!(
                    "Layers are not in the same region as the function. Layers are expected to be in region {}.",
                    function.region
                )));
            }
            let version = self.layer_version(&name).ok_or_else(unknown)?;
            if let Some(other) = layers.iter().position(|layer| *layer == name.layer) {
                return Err(invalid(format!(
                    "Two different versions of the same layer are not allowed to be referenced in the same function. \
                     {} and {given} are versions of the same layer.",
                    used[other].arn
                )));
            }
            layers.push(name.layer);
            used.push(UsedLayer { arn: given.clone(), code: version.record.code.clone() });
        }
        Ok(used)
    }

    /// Makes what is in `/opt`, where it may be that large together with the function's code.
    pub(crate) async fn stack_layers(&self, code: CodeOf, layers: &[UsedLayer]) -> Result<(), Error> {
        if layers.is_empty() {
            return Ok(());
        }
        let mut sum = match code {
            CodeOf::Kept(sha256) => self.contents(sha256).await?.unzipped,
            CodeOf::Checked(contents) => contents.unzipped,
        };
        for layer in layers {
            let contents = self.contents(layer.code.sha256).await?;
            if contents.extensions {
                return Err(invalid(format!(
                    "lambkin does not run external extensions yet ({} has one in extensions/).",
                    layer.arn
                )));
            }
            sum += contents.unzipped;
        }
        if sum > quota::UNZIPPED_BYTES {
            return Err(invalid(format!(
                "Function code combined with layers exceeds the maximum allowed size of {} bytes. The actual size is {sum} bytes.",
                quota::UNZIPPED_BYTES
            )));
        }
        let packages = layers.iter().map(|layer| layer.code.sha256).collect();
        self.code.stack(packages).await.map_err(code_error)
    }

    async fn contents(&self, sha256: CodeSha256) -> Result<Contents, Error> {
        self.code.contents(sha256).await.map_err(code_error)
    }
}

/// A function's code, as far as it counts with its layers.
#[derive(Clone, Copy)]
pub(crate) enum CodeOf {
    /// A package that is in the store.
    Kept(CodeSha256),
    /// One that was looked at only.
    Checked(Contents),
}

impl CodeOf {
    /// Of a function; code that is not kept does not count.
    pub(crate) fn of(code: &Code) -> Self {
        match code.directory {
            Some(_) => Self::Checked(Contents { unzipped: 0, extensions: false }),
            None => Self::Kept(code.sha256),
        }
    }
}

/// The layer that a request names, by its name or its ARN. `None`: it is elsewhere, where nothing is.
#[must_use]
pub fn layer_key(given: &str, account: &str, region: &str) -> Option<ResourceKey> {
    if given.starts_with("arn:") {
        return parse_arn(given).filter(|key| &*key.account == account && &*key.region == region);
    }
    Some(ResourceKey { account: account.into(), region: region.into(), name: given.into() })
}

/// AWS's words for a layer version that is not there.
pub(crate) fn unknown_version(name: &LayerVersionName) -> Error {
    Error::ResourceNotFound(format!("Layer version {name} does not exist."))
}

fn invalid(text: String) -> Error {
    Error::InvalidParameterValue(text)
}
