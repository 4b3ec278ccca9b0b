//! Functions: create, change, look up, delete.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lambkin_model::Error;
use lambkin_model::catalog::{Catalog, CatalogError, Head, Revision, Stored};
use lambkin_model::code::{Code, CodeError, CodeSha256, CodeStore};
use lambkin_model::function::{Configuration, FunctionVersion, LastUpdate, LoggingConfig, State};
use lambkin_model::name::{FunctionKey, FunctionReference, LATEST};
use lambkin_model::quota;
use lambkin_model::runtime::RuntimeProvider;
use lambkin_model::time::Timestamp;

use crate::activation::Activations;
use crate::concurrency::Claims;
use crate::request::{CreateFunction, LoggingChange, UpdateFunctionCode, UpdateFunctionConfiguration};
use crate::rules;

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

/// The control plane.
pub struct Control {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) code: Arc<dyn CodeStore>,
    pub(crate) runtimes: Arc<dyn RuntimeProvider>,
    pub(crate) ambient: Ambient,
    pub(crate) policy: Policy,
    pub(crate) activations: Activations,
    pub(crate) claims: Claims,
}

impl Control {
    /// Over these stores. [`resume`](Self::resume) it before the first request.
    #[must_use]
    pub fn new(
        catalog: Arc<dyn Catalog>,
        code: Arc<dyn CodeStore>,
        runtimes: Arc<dyn RuntimeProvider>,
        ambient: Ambient,
        policy: Policy,
    ) -> Arc<Self> {
        let (activations, claims) = (Activations::default(), Claims::default());
        Arc::new(Self { catalog, code, runtimes, ambient, policy, activations, claims })
    }

    /// CreateFunction: the function is `Pending` when this answers and becomes `Active` (or
    /// `Failed`, where its runtime cannot be had) by itself.
    pub async fn create_function(
        self: &Arc<Self>,
        key: FunctionKey,
        request: CreateFunction,
    ) -> Result<Arc<Stored<Head>>, Error> {
        if request.runtime.is_empty() || request.handler.is_empty() {
            return Err(Error::InvalidParameterValue(
                "Runtime and Handler are mandatory parameters for functions created with deployment packages.".into(),
            ));
        }
        let exists = || Error::FunctionExists { name: key.name.to_string() };
        if self.catalog.head(&key).is_some() {
            return Err(exists());
        }
        let configuration = Configuration {
            runtime: rules::runtime(&request.runtime, self.policy, &*self.runtimes)?,
            role: request.role,
            handler: request.handler,
            description: request.description.unwrap_or_default(),
            timeout: request.timeout.unwrap_or(3),
            memory_size: request.memory_size.unwrap_or(128),
            variables: request.variables,
            architecture: request.architecture.unwrap_or_else(|| "x86_64".into()),
            logging: request
                .logging
                .map_or_else(LoggingConfig::default, |change| change.apply(&LoggingConfig::default())),
            ephemeral_storage: 512,
            dead_letter: request.dead_letter,
        };
        rules::check(&configuration)?;
        let code = self.code.put(request.zip).await.map_err(code_error)?;
        let head = Head {
            key: key.clone(),
            identity: (self.ambient.uuid)(),
            latest: FunctionVersion {
                version: LATEST.into(),
                configuration,
                code,
                revision_id: (self.ambient.uuid)(),
                last_modified: (self.ambient.now)(),
                state: State::Pending,
                last_update: None,
            },
            serving: None,
            aliases: std::collections::BTreeMap::new(),
            next_version: 1,
            tags: request.tags,
            reserved_concurrency: None,
            event_invoke: std::collections::BTreeMap::new(),
            recursion_allowed: false,
        };
        let stored = self.put(None, head).await.map_err(|error| match error {
            CatalogError::Conflict => exists(),
            CatalogError::Unavailable(reason) => Error::Service(reason),
        })?;
        tracing::info!(function = %key.name, runtime = %stored.record.latest.configuration.runtime, "created");
        self.activate(&stored);
        Ok(stored)
    }

    /// UpdateFunctionCode. With `dry_run` the answer is the head as it would be.
    pub async fn update_function_code(
        self: &Arc<Self>,
        key: FunctionKey,
        request: UpdateFunctionCode,
    ) -> Result<Arc<Stored<Head>>, Error> {
        // Looked at before the package is unpacked, and again by the compare-and-set after it.
        self.changeable(&key, request.revision_id.as_deref())?;
        let kept = if request.dry_run {
            self.code.check(request.zip).await
        } else {
            self.code.put(request.zip).await
        };
        let code = kept.map_err(code_error)?;
        let change = |version: &mut FunctionVersion| {
            version.code = code;
            if let Some(architecture) = request.architecture {
                version.configuration.architecture = architecture;
            }
            Ok(())
        };
        self.update(&key, request.revision_id.as_deref(), request.dry_run, change).await
    }

    /// UpdateFunctionConfiguration.
    pub async fn update_function_configuration(
        self: &Arc<Self>,
        key: FunctionKey,
        request: UpdateFunctionConfiguration,
    ) -> Result<Arc<Stored<Head>>, Error> {
        let revision_id = request.revision_id.clone();
        let change = |version: &mut FunctionVersion| self.configure(&mut version.configuration, request);
        self.update(&key, revision_id.as_deref(), false, change).await
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
            current.logging = LoggingChange::apply(change, &current.logging);
        }
        set(&mut current.role, request.role);
        set(&mut current.handler, request.handler);
        set(&mut current.description, request.description);
        set(&mut current.timeout, request.timeout);
        set(&mut current.memory_size, request.memory_size);
        set(&mut current.dead_letter, request.dead_letter);
        current.variables = request.variables.or_else(|| current.variables.take());
        rules::check(current)
    }

    async fn update(
        self: &Arc<Self>,
        key: &FunctionKey,
        revision_id: Option<&str>,
        dry_run: bool,
        change: impl FnOnce(&mut FunctionVersion) -> Result<(), Error>,
    ) -> Result<Arc<Stored<Head>>, Error> {
        let before = self.changeable(key, revision_id)?;
        let mut head = before.record.clone();
        change(&mut head.latest)?;
        if dry_run {
            return Ok(Arc::new(Stored { revision: before.revision, record: head }));
        }
        // What runs now goes on running until the change is complete.
        if head.serving.is_none() && before.record.latest.state == State::Active {
            head.serving = Some(Box::new(before.record.latest.clone()));
        }
        head.latest.revision_id = (self.ambient.uuid)();
        head.latest.last_modified = (self.ambient.now)();
        head.latest.last_update = Some(LastUpdate::InProgress);
        let stored = self.put(Some(before.revision), head).await.map_err(|error| match error {
            CatalogError::Conflict => update_in_progress(key),
            CatalogError::Unavailable(reason) => Error::Service(reason),
        })?;
        tracing::info!(function = %key.name, "updated");
        self.activate(&stored);
        Ok(stored)
    }

    /// The head, where it may be changed now.
    fn changeable(&self, key: &FunctionKey, revision_id: Option<&str>) -> Result<Arc<Stored<Head>>, Error> {
        let head = self.head(key)?;
        let latest = &head.record.latest;
        if revision_id.is_some_and(|given| given != latest.revision_id) {
            return Err(Error::RevisionMismatch);
        }
        if latest.state == State::Pending || latest.last_update == Some(LastUpdate::InProgress) {
            return Err(match latest.state {
                State::Pending => Error::ResourceConflict(format!(
                    "The operation cannot be performed at this time. The function is currently in the following state: Pending (resource: {key})"
                )),
                State::Active | State::Failed { .. } => update_in_progress(key),
            });
        }
        Ok(head)
    }

    /// DeleteFunction.
    pub async fn delete_function(&self, key: FunctionKey) -> Result<(), Error> {
        loop {
            let head = self.head(&key)?;
            match self.catalog.delete(head.revision, key.clone()).await {
                Ok(()) => {
                    tracing::info!(function = %key.name, "deleted");
                    return Ok(());
                }
                // It changed state meanwhile, or went: look again.
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(Error::Service(reason)),
            }
        }
    }

    /// The function as named; unknown functions and unknown qualifiers are 404.
    pub fn function(&self, reference: &FunctionReference) -> Result<Arc<Stored<Head>>, Error> {
        match reference.qualifier.as_deref() {
            None | Some(LATEST) => self.head(&reference.key),
            Some(_) => Err(Error::FunctionNotFound { arn: reference.arn() }),
        }
    }

    /// ListFunctions: in order of names, after `after`, at most `limit`.
    #[must_use]
    pub fn list_functions(
        &self,
        account: &str,
        region: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Stored<Head>>> {
        self.catalog.heads(account, region, after, limit)
    }

    /// The zip file of a kept package.
    #[must_use]
    pub fn code_zip(&self, sha256: CodeSha256) -> Option<PathBuf> {
        self.code.zip(sha256)
    }

    /// Removes packages that no function has used for `grace`. Returns how many went.
    pub async fn sweep_code(&self, grace: Duration) -> Result<usize, Error> {
        let keep: HashSet<CodeSha256> =
            self.catalog.all().iter().flat_map(|head| codes(&head.record)).collect();
        self.code.sweep(keep, grace).await.map_err(code_error)
    }

    /// The function of this name.
    pub fn head(&self, key: &FunctionKey) -> Result<Arc<Stored<Head>>, Error> {
        self.catalog.head(key).ok_or_else(|| Error::FunctionNotFound { arn: key.arn() })
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
    std::iter::once(&head.latest).chain(head.serving.as_deref()).map(|version| version.code.sha256)
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

fn code_error(error: CodeError) -> Error {
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

/// What a runtime must have for this version.
pub(crate) fn need(configuration: &Configuration, code: &Code) -> lambkin_model::runtime::RuntimeNeed {
    lambkin_model::runtime::RuntimeNeed {
        runtime: configuration.runtime,
        sdk_packages: code.sdk_packages.clone(),
    }
}
