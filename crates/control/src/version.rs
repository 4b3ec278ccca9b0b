//! Published versions: publish, look up, list, delete.
//!
//! A version's body is written before the head that names it, and removed after the head that does not any more. What
//! a crash leaves between the two is named by no head: it is swept at the next start. Publishing copies no code: the
//! body has the package's hash, and packages are kept for as long as a body names them.
//!
//! Deliberately not here: what a published version is (`model::version`).

use std::sync::Arc;

use lambkin_model::Error;
use lambkin_model::catalog::{Body, CatalogError, Head, Revision, Stored};
use lambkin_model::function::{FunctionVersion, LastUpdate, State};
use lambkin_model::name::{FunctionKey, FunctionReference, LATEST};
use lambkin_model::version::{Published, PublishedVersion, Version, is_number};

use crate::Control;
use crate::source::publishable;

/// PublishVersion. `None`: was not given.
#[derive(Debug, Clone, Default)]
pub struct PublishVersion {
    /// Only where `$LATEST`'s code has this hash, in base64.
    pub code_sha256: Option<String>,
    /// The version's own description.
    pub description: Option<String>,
    /// Only where the function's `RevisionId` is still this.
    pub revision_id: Option<String>,
}

/// A version of a function, found by a request's qualifier.
#[derive(Debug, Clone)]
pub struct Found {
    /// The function.
    pub head: Arc<Stored<Head>>,
    /// Which version; of a weighted alias the first.
    pub version: Version,
    pub(crate) body: Body,
}

impl Found {
    /// `$LATEST` of this head.
    pub(crate) fn latest(head: Arc<Stored<Head>>) -> Self {
        Self { version: Version::Latest, body: Body::Latest(Arc::clone(&head)), head }
    }

    /// What it is, but for its states.
    #[must_use]
    pub fn body(&self) -> &FunctionVersion {
        &self.body
    }

    /// Whether it can be invoked.
    #[must_use]
    pub fn state(&self) -> &State {
        self.head.record.state(self.version).unwrap_or(&self.body.state)
    }

    /// How its last update went.
    #[must_use]
    pub fn last_update(&self) -> Option<LastUpdate> {
        match self.version {
            Version::Latest => self.body.last_update.clone(),
            Version::Published(number) => self.head.record.versions.get(&number)?.last_update(),
        }
    }
}

/// What a head was made to publish.
#[derive(Debug)]
pub(crate) enum Publication {
    /// Nothing is new: this version is it.
    Same(u64, Arc<Stored<PublishedVersion>>),
    /// Its body, to be written before the head.
    New(u64, Box<PublishedVersion>),
}

impl Control {
    /// PublishVersion.
    pub async fn publish_version(&self, key: &FunctionKey, request: PublishVersion) -> Result<Found, Error> {
        loop {
            let before = self.changeable(key, request.revision_id.as_deref())?;
            let current = before.record.latest.code.sha256.base64();
            if let Some(given) = request.code_sha256.as_ref().filter(|given| **given != current) {
                return Err(Error::InvalidParameterValue(format!(
                    "CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({current}). Please try \
                     again with the CodeSHA256 in $LATEST."
                )));
            }
            publishable(&before.record.latest.code)?;
            let mut head = before.record.clone();
            let state = settled(&head.latest);
            let found = match self.publish(&mut head, request.description.clone(), state) {
                Publication::Same(number, body) => published(before, number, body),
                publication @ Publication::New(..) => {
                    head.latest.revision_id = (self.ambient.uuid)();
                    match self.put_publishing(Some(publication), Some(before.revision), head).await {
                        Ok(found) => found,
                        // It changed otherwise meanwhile, or went: look again.
                        Err(CatalogError::Conflict) => continue,
                        Err(CatalogError::Unavailable(reason)) => return Err(Error::Service(reason)),
                    }
                }
            };
            tracing::info!(function = %key.name, version = %found.version, "published");
            return Ok(found);
        }
    }

    /// Makes the head name `$LATEST`, as the head has it now, as a version.
    pub(crate) fn publish(&self, head: &mut Head, description: Option<String>, state: State) -> Publication {
        if let Some((&number, _)) = head.versions.last_key_value()
            && let Some(last) = head.record_key(number).and_then(|key| self.catalog.version(&key))
            && last.record.is_of(&head.latest)
        {
            return Publication::Same(number, last);
        }
        let (number, id) = (head.next_version, (self.ambient.uuid)());
        head.next_version += 1;
        head.versions.insert(number, Published { id: id.as_str().into(), state });
        let body = PublishedVersion::new(&head.key, &head.latest, number, id, description);
        Publication::New(number, Box::new(body))
    }

    /// Writes a head, and before it the body of what it publishes. What is answered was so when it was written: it may
    /// be gone by now.
    pub(crate) async fn put_publishing(
        &self,
        publication: Option<Publication>,
        expected: Option<Revision>,
        head: Head,
    ) -> Result<Found, CatalogError> {
        match publication {
            None => Ok(Found::latest(self.put(expected, head).await?)),
            Some(Publication::Same(number, body)) => {
                Ok(published(self.put(expected, head).await?, number, body))
            }
            Some(Publication::New(number, body)) => {
                let key = body.key.clone();
                let revision = self.catalog.put_version((*body).clone()).await?;
                let written = self.put(expected, head).await;
                // Of a write that may have happened after all, the body stays until the next start.
                if written == Err(CatalogError::Conflict)
                    && let Err(error) = self.catalog.delete_version(revision, key).await
                {
                    tracing::warn!(%error, "a version that was not published stays until the next start");
                }
                Ok(published(written?, number, Arc::new(Stored { revision, record: *body })))
            }
        }
    }

    /// The version as a request names it; unknown functions and unknown qualifiers are 404.
    pub fn function(&self, reference: &FunctionReference) -> Result<Found, Error> {
        let unknown = || Error::FunctionNotFound { arn: reference.arn() };
        loop {
            let head = self.catalog.head(&reference.key).ok_or_else(unknown)?;
            let version = head.record.version(reference.qualifier.as_deref()).ok_or_else(unknown)?;
            if let Some(body) = self.catalog.body(&head, version) {
                return Ok(Found { head, version, body });
            }
            // A version leaves its head before its body goes: between the two looks it was deleted.
            if self.catalog.head(&reference.key).is_some_and(|now| now.revision == head.revision) {
                return Err(Error::Service(format!(
                    "version {version} of {} is not in the catalog",
                    reference.key
                )));
            }
        }
    }

    /// ListVersionsByFunction: `$LATEST` and then the published ones by number, after `after`, at most `limit`.
    pub fn versions(
        &self,
        key: &FunctionKey,
        after: Option<Version>,
        limit: usize,
    ) -> Result<Vec<Found>, Error> {
        Ok(self.versions_of(&self.head(key)?, after, limit))
    }

    pub(crate) fn versions_of(
        &self,
        head: &Arc<Stored<Head>>,
        after: Option<Version>,
        limit: usize,
    ) -> Vec<Found> {
        let from = match after {
            Some(Version::Published(number)) => number.saturating_add(1),
            Some(Version::Latest) | None => 0,
        };
        let latest = after.is_none().then_some(Version::Latest);
        let published = head.record.versions.range(from..).map(|(number, _)| Version::Published(*number));
        latest
            .into_iter()
            .chain(published)
            .take(limit)
            // One whose body another request has just removed is no more.
            .filter_map(|version| {
                let body = self.catalog.body(head, version)?;
                Some(Found { head: Arc::clone(head), version, body })
            })
            .collect()
    }

    /// DeleteFunction of one version. One that is not there has been deleted before.
    pub async fn delete_version(&self, reference: &FunctionReference) -> Result<(), Error> {
        let (key, qualifier) = (&reference.key, reference.qualifier.as_deref().unwrap_or(LATEST));
        if qualifier == LATEST {
            return Err(Error::InvalidParameterValue(
                "$LATEST version cannot be deleted without deleting the function.".into(),
            ));
        }
        if !is_number(qualifier) {
            return Err(Error::InvalidParameterValue(
                "Deletion of aliases is not currently supported.".into(),
            ));
        }
        loop {
            let before = self.head(key)?;
            let Some(Version::Published(number)) = before.record.version(Some(qualifier)) else {
                return Ok(());
            };
            unused(&before.record, number)?;
            let body = before.record.record_key(number);
            let mut head = before.record.clone();
            head.versions.remove(&number);
            head.event_invoke.remove(qualifier);
            head.policies.remove(qualifier);
            head.provisioned.remove(qualifier);
            head.scaling.remove(&number);
            match self.put(Some(before.revision), head).await {
                Ok(_) => {
                    tracing::info!(function = %key.name, version = number, "version deleted");
                    self.forget(body.into_iter()).await;
                    return Ok(());
                }
                // It changed otherwise meanwhile, or went: look again.
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(Error::Service(reason)),
            }
        }
    }

    /// Removes bodies that no head names any more.
    pub(crate) async fn forget(&self, bodies: impl Iterator<Item = lambkin_model::record::ResourceKey>) {
        for key in bodies {
            let Some(stored) = self.catalog.version(&key) else { continue };
            if let Err(error) = self.catalog.delete_version(stored.revision, key).await {
                tracing::warn!(%error, "a deleted version stays until the next start");
            }
        }
    }

    /// Removes the bodies that no head names: those that a crash left. Only where nobody publishes meanwhile, so
    /// before the first request. Returns how many went.
    pub async fn sweep_versions(&self) -> Result<usize, Error> {
        let mut swept = 0;
        for stored in self.catalog.versions() {
            let body = &stored.record;
            let head = self.catalog.head(&body.function_key());
            let named = head.is_some_and(|head| {
                head.record.versions.values().any(|published| *published.id == *body.key.name)
            });
            if !named {
                match self.catalog.delete_version(stored.revision, body.key.clone()).await {
                    Ok(()) | Err(CatalogError::Conflict) => swept += 1,
                    Err(CatalogError::Unavailable(reason)) => return Err(Error::Service(reason)),
                }
            }
        }
        Ok(swept)
    }
}

fn published(head: Arc<Stored<Head>>, number: u64, body: Arc<Stored<PublishedVersion>>) -> Found {
    Found { head, version: Version::Published(number), body: Body::Published(body) }
}

/// The state of a version that is published of what has settled.
fn settled(latest: &FunctionVersion) -> State {
    match &latest.last_update {
        Some(LastUpdate::Failed { code, reason }) => {
            State::Failed { code: code.clone(), reason: reason.clone() }
        }
        Some(LastUpdate::Successful | LastUpdate::InProgress) | None => latest.state.clone(),
    }
}

/// A version that an alias goes to stays.
fn unused(head: &Head, number: u64) -> Result<(), Error> {
    let version = Version::Published(number);
    let users = head.aliases.iter().filter(|(_, alias)| alias.versions().any(|each| each == version));
    let users: Vec<&str> = users.map(|(name, _)| name.as_str()).collect();
    if users.is_empty() {
        return Ok(());
    }
    Err(Error::ResourceConflict(format!(
        "Unable to delete version because the following aliases reference it: [{}]",
        users.join(", ")
    )))
}
