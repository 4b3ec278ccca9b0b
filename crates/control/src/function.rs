//! Functions: create, change, look up, delete.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lambkin_model::Error;
use lambkin_model::bucket::Buckets;
use lambkin_model::catalog::{Catalog, CatalogError, Head, Revision, Stored};
use lambkin_model::code::{CodeError, CodeSha256, CodeStore};
use lambkin_model::function::{Configuration, FunctionVersion, LastUpdate, State};
use lambkin_model::hot_code::HotCode;
use lambkin_model::iam::{ManagedPolicy, Role};
use lambkin_model::layer::{Layer, LayerVersion};
use lambkin_model::name::{FunctionKey, LATEST};
use lambkin_model::quota;
use lambkin_model::record::Records;
use lambkin_model::runtime::RuntimeProvider;
use lambkin_model::tags;
use lambkin_model::time::Timestamp;
use lambkin_model::version::Version;

use crate::activation::Activations;
use crate::concurrency::Claims;
use crate::layer::CodeOf;
use crate::request::{CreateFunction, UpdateFunctionCode, UpdateFunctionConfiguration};
use crate::rules;
use crate::source::{Fetches, publishable};
use crate::url::Urls;
use crate::version::Found;

/// What the control plane may not make up by itself.
#[derive(Debug, Clone, Copy)]
pub struct Ambient {
    /// The wall clock.
    pub now: fn() -> Timestamp,
    /// A new random UUID.
    pub uuid: fn() -> String,
}

/// What the operator decided.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Refuse runtimes that AWS has retired, with AWS's words.
    pub refuse_retired_runtimes: bool,
    /// Concurrent executions of the account, all regions together.
    pub concurrency: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { refuse_retired_runtimes: false, concurrency: quota::CONCURRENT_EXECUTIONS }
    }
}

/// Where the control plane keeps what it is told.
pub struct Stores {
    /// Functions.
    pub catalog: Arc<dyn Catalog>,
    /// Deployment packages.
    pub code: Arc<dyn CodeStore>,
    /// Layers.
    pub layers: Arc<dyn Records<Layer>>,
    /// Their versions.
    pub layer_versions: Arc<dyn Records<LayerVersion>>,
    /// IAM's roles.
    pub roles: Arc<dyn Records<Role>>,
    /// Customer managed policies.
    pub managed_policies: Arc<dyn Records<ManagedPolicy>>,
    /// Where code can be taken from; `None`: from requests only.
    pub buckets: Option<Arc<dyn Buckets>>,
    /// Directories that may be code; `None`: none may.
    pub hot_code: Option<Arc<dyn HotCode>>,
}

/// The control plane.
pub struct Control {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) code: Arc<dyn CodeStore>,
    pub(crate) layers: Arc<dyn Records<Layer>>,
    pub(crate) layer_versions: Arc<dyn Records<LayerVersion>>,
    pub(crate) roles: Arc<dyn Records<Role>>,
    pub(crate) managed_policies: Arc<dyn Records<ManagedPolicy>>,
    pub(crate) buckets: Option<Arc<dyn Buckets>>,
    pub(crate) hot_code: Option<Arc<dyn HotCode>>,
    pub(crate) fetches: Fetches,
    pub(crate) runtimes: Arc<dyn RuntimeProvider>,
    pub(crate) ambient: Ambient,
    pub(crate) policy: Policy,
    pub(crate) activations: Activations,
    pub(crate) claims: Claims,
    pub(crate) urls: Arc<Urls>,
}

impl Control {
    /// Over these stores. [`resume`](Self::resume) it before the first request.
    #[must_use]
    pub fn new(
        stores: Stores,
        runtimes: Arc<dyn RuntimeProvider>,
        ambient: Ambient,
        policy: Policy,
    ) -> Arc<Self> {
        let Stores { catalog, code, layers, layer_versions, roles, managed_policies, buckets, hot_code } =
            stores;
        let (activations, claims) = (Activations::default(), Claims::default());
        let urls = Urls::follow(&catalog);
        Arc::new(Self {
            catalog,
            code,
            layers,
            layer_versions,
            roles,
            managed_policies,
            buckets,
            hot_code,
            fetches: Fetches::default(),
            runtimes,
            ambient,
            policy,
            activations,
            claims,
            urls,
        })
    }

    /// CreateFunction: the function is `Pending` when this answers and becomes `Active` (or
    /// `Failed`, where its runtime cannot be had) by itself.
    pub async fn create_function(
        self: &Arc<Self>,
        key: FunctionKey,
        request: CreateFunction,
    ) -> Result<Found, Error> {
        if request.runtime.is_empty() || request.handler.is_empty() {
            return Err(Error::InvalidParameterValue(
                "Runtime and Handler are mandatory parameters for functions created with deployment packages.".into(),
            ));
        }
        let exists = || Error::FunctionExists { name: key.name.to_string() };
        if self.catalog.head(&key).is_some() {
            return Err(exists());
        }
        tags::merge(&mut BTreeMap::new(), &request.tags)?;
        let runtime = rules::runtime(&request.runtime, self.policy, &*self.runtimes)?;
        let defaults = Configuration::new(runtime, request.role, request.handler);
        let configuration = Configuration {
            description: request.description.unwrap_or_default(),
            timeout: request.timeout.unwrap_or(defaults.timeout),
            memory_size: request.memory_size.unwrap_or(defaults.memory_size),
            variables: request.variables,
            architecture: request.architecture.unwrap_or(defaults.architecture),
            logging: request.logging.unwrap_or_default().apply(&defaults.logging)?,
            ephemeral_storage: request.ephemeral_storage.unwrap_or(defaults.ephemeral_storage),
            dead_letter: request.dead_letter,
            layers: self.used_layers(&key, &request.layers)?,
            tracing: request.tracing.unwrap_or_default(),
            ..defaults
        };
        rules::check(&configuration)?;
        let (code, of) = self.take(request.source, false).await?;
        if request.publish {
            publishable(&code)?;
        }
        self.stack_layers(of, &configuration.layers).await?;
        let latest = FunctionVersion {
            version: LATEST.into(),
            configuration,
            code,
            revision_id: (self.ambient.uuid)(),
            last_modified: (self.ambient.now)(),
            state: State::Pending,
            last_update: None,
        };
        let mut head = Head { tags: request.tags, ..Head::new(key.clone(), (self.ambient.uuid)(), latest) };
        let publication = request.publish.then(|| self.publish(&mut head, None, State::Pending));
        let found = self.put_publishing(publication, None, head).await.map_err(|error| match error {
            CatalogError::Conflict => exists(),
            CatalogError::Unavailable(reason) => Error::Service(reason),
        })?;
        tracing::info!(function = %key.name, runtime = %found.body().configuration.runtime, "created");
        self.activate(&found.head);
        Ok(found)
    }

    /// UpdateFunctionCode. With `dry_run` the answer is the head as it would be.
    pub async fn update_function_code(
        self: &Arc<Self>,
        key: FunctionKey,
        request: UpdateFunctionCode,
    ) -> Result<Found, Error> {
        // Looked at before the package is unpacked, and again by the compare-and-set after it.
        let before = self.changeable(&key, request.revision_id.as_deref())?;
        let (code, of) = self.take(request.source, request.dry_run).await?;
        if request.publish {
            publishable(&code)?;
        }
        self.stack_layers(of, &before.record.latest.configuration.layers).await?;
        let change = |version: &mut FunctionVersion| {
            version.code = code;
            if let Some(architecture) = request.architecture {
                version.configuration.architecture = architecture;
            }
            Ok(Some(of))
        };
        let revision_id = request.revision_id.as_deref();
        self.update(&key, revision_id, request.dry_run, request.publish, change).await
    }

    /// UpdateFunctionConfiguration.
    pub async fn update_function_configuration(
        self: &Arc<Self>,
        key: FunctionKey,
        request: UpdateFunctionConfiguration,
    ) -> Result<Found, Error> {
        let revision_id = request.revision_id.clone();
        let layers = request.layers.as_ref().map(|arns| self.used_layers(&key, arns)).transpose()?;
        if let Some(layers) = &layers {
            let before = self.changeable(&key, revision_id.as_deref())?;
            self.stack_layers(CodeOf::of(&before.record.latest.code), layers).await?;
        }
        let change = |version: &mut FunctionVersion| {
            let of = layers.is_some().then(|| CodeOf::of(&version.code));
            set(&mut version.configuration.layers, layers);
            self.configure(&mut version.configuration, request)?;
            Ok(of)
        };
        self.update(&key, revision_id.as_deref(), false, false, change).await
    }

    fn configure(
        &self,
        current: &mut Configuration,
        request: UpdateFunctionConfiguration,
    ) -> Result<(), Error> {
        if let Some(name) = request.runtime {
            current.runtime = rules::runtime(&name, self.policy, &*self.runtimes)?;
        }
        if let Some(change) = request.logging {
            current.logging = change.apply(&current.logging)?;
        }
        set(&mut current.role, request.role);
        set(&mut current.handler, request.handler);
        set(&mut current.description, request.description);
        set(&mut current.timeout, request.timeout);
        set(&mut current.memory_size, request.memory_size);
        set(&mut current.ephemeral_storage, request.ephemeral_storage);
        set(&mut current.dead_letter, request.dead_letter);
        set(&mut current.tracing, request.tracing);
        current.variables = request.variables.or_else(|| current.variables.take());
        rules::check(current)
    }

    /// `change` says what of the code counts, where code or layers change: the request has found that they fit what was there
    /// when it came, and here they must fit what the compare-and-set finds.
    async fn update(
        self: &Arc<Self>,
        key: &FunctionKey,
        revision_id: Option<&str>,
        dry_run: bool,
        publish: bool,
        change: impl FnOnce(&mut FunctionVersion) -> Result<Option<CodeOf>, Error>,
    ) -> Result<Found, Error> {
        let before = self.changeable(key, revision_id)?;
        let mut head = before.record.clone();
        if let Some(code) = change(&mut head.latest)? {
            self.stack_layers(code, &head.latest.configuration.layers).await?;
        }
        if dry_run {
            let as_if = Arc::new(Stored { revision: before.revision, record: head });
            return Ok(Found::latest(as_if));
        }
        // What runs now goes on running until the change is complete.
        if head.serving.is_none() && before.record.latest.state == State::Active {
            head.serving = Some(Box::new(before.record.latest.clone()));
        }
        head.latest.revision_id = (self.ambient.uuid)();
        head.latest.last_modified = (self.ambient.now)();
        head.latest.last_update = Some(LastUpdate::InProgress);
        let publication = publish.then(|| self.publish(&mut head, None, State::Pending));
        let written = self.put_publishing(publication, Some(before.revision), head).await;
        let found = written.map_err(|error| match error {
            CatalogError::Conflict => update_in_progress(key),
            CatalogError::Unavailable(reason) => Error::Service(reason),
        })?;
        tracing::info!(function = %key.name, "updated");
        self.activate(&found.head);
        Ok(found)
    }

    /// The head, where it may be changed now.
    pub(crate) fn changeable(
        &self,
        key: &FunctionKey,
        revision_id: Option<&str>,
    ) -> Result<Arc<Stored<Head>>, Error> {
        let head = self.head(key)?;
        let latest = &head.record.latest;
        if revision_id.is_some_and(|given| given != latest.revision_id) {
            return Err(Error::RevisionMismatch);
        }
        if head.record.is_changing() {
            return Err(match latest.state {
                State::Pending => Error::ResourceConflict(format!(
                    "The operation cannot be performed at this time. The function is currently in the following state: Pending (resource: {key})"
                )),
                State::Active | State::Failed { .. } | State::Deactivated => update_in_progress(key),
            });
        }
        Ok(head)
    }

    /// DeleteFunction, with all its versions.
    pub async fn delete_function(&self, key: FunctionKey) -> Result<(), Error> {
        loop {
            let head = self.head(&key)?;
            match self.catalog.delete(head.revision, key.clone()).await {
                Ok(()) => {
                    tracing::info!(function = %key.name, "deleted");
                    let numbers = head.record.versions.keys();
                    self.forget(numbers.filter_map(|number| head.record.record_key(*number))).await;
                    return Ok(());
                }
                // It changed state meanwhile, or went: look again.
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(Error::Service(reason)),
            }
        }
    }

    /// How many functions there are, in all regions.
    #[must_use]
    pub fn count_functions(&self) -> usize {
        self.catalog.all().len()
    }

    /// ListFunctions: in order of names, after `after`, at most `limit`; each as its `$LATEST`, or with all
    /// its versions.
    #[must_use]
    pub fn list_functions(
        &self,
        account: &str,
        region: &str,
        after: Option<(&str, Version)>,
        all_versions: bool,
        limit: usize,
    ) -> Vec<Found> {
        let mut listed = Vec::new();
        // The rest of the versions of a function that a page ended in.
        if let Some((name, version)) = after.filter(|_| all_versions) {
            let key = FunctionKey { account: account.into(), region: region.into(), name: name.into() };
            if let Some(head) = self.catalog.head(&key) {
                listed.extend(self.versions_of(&head, Some(version), limit));
            }
        }
        let left = limit.saturating_sub(listed.len());
        for head in self.catalog.heads(account, region, after.map(|(name, _)| name), left) {
            if all_versions {
                let left = limit.saturating_sub(listed.len());
                listed.extend(self.versions_of(&head, None, left));
            } else {
                listed.push(Found::latest(head));
            }
        }
        listed
    }

    /// The zip file of a kept package.
    #[must_use]
    pub fn code_zip(&self, sha256: CodeSha256) -> Option<PathBuf> {
        self.code.zip(sha256)
    }

    /// Removes packages that no version of a function has used for `grace`. Returns how many went.
    pub async fn sweep_code(&self, grace: Duration) -> Result<usize, Error> {
        let mut keep: HashSet<CodeSha256> =
            self.catalog.all().iter().flat_map(|head| codes(&head.record)).collect();
        keep.extend(self.catalog.versions().iter().flat_map(|stored| stored.record.version.packages()));
        keep.extend(self.layer_versions.all().iter().map(|stored| stored.record.code.sha256));
        self.code.sweep(keep, grace).await.map_err(code_error)
    }

    /// The function of this name.
    pub fn head(&self, key: &FunctionKey) -> Result<Arc<Stored<Head>>, Error> {
        self.catalog.head(key).ok_or_else(|| Error::FunctionNotFound { arn: key.arn() })
    }

    /// Writes the head as changed, whatever else changes it meanwhile.
    pub(crate) async fn change_head(
        &self,
        key: &FunctionKey,
        unknown: impl Fn() -> Error,
        change: impl Fn(&mut Head) -> Result<(), Error>,
    ) -> Result<Arc<Stored<Head>>, Error> {
        loop {
            let before = self.catalog.head(key).ok_or_else(&unknown)?;
            let mut head = before.record.clone();
            change(&mut head)?;
            match self.put(Some(before.revision), head).await {
                Ok(stored) => return Ok(stored),
                // It changed otherwise meanwhile, or went: look again.
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(Error::Service(reason)),
            }
        }
    }

    pub(crate) async fn put(
        &self,
        expected: Option<Revision>,
        head: Head,
    ) -> Result<Arc<Stored<Head>>, CatalogError> {
        let revision = self.catalog.put(expected, head.clone()).await?;
        Ok(Arc::new(Stored { revision, record: head }))
    }
}

fn codes(head: &Head) -> impl Iterator<Item = CodeSha256> + '_ {
    std::iter::once(&head.latest).chain(head.serving.as_deref()).flat_map(FunctionVersion::packages)
}

fn set<T>(current: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *current = given;
    }
}

fn update_in_progress(key: &FunctionKey) -> Error {
    Error::ResourceConflict(format!(
        "The operation cannot be performed at this time. An update is in progress for resource: {key}"
    ))
}

pub(crate) fn code_error(error: CodeError) -> Error {
    match error {
        CodeError::Unusable(reason) => {
            tracing::info!(reason, "refused a deployment package");
            Error::InvalidParameterValue(
                "Could not unzip uploaded file. Please check your file, then try to upload again.".into(),
            )
        }
        CodeError::UnzippedTooLarge => Error::InvalidParameterValue(format!(
            "Unzipped size must be smaller than {} bytes",
            quota::UNZIPPED_BYTES
        )),
        CodeError::Unavailable(reason) => Error::Service(reason),
    }
}
