//! Function URLs: create, change, look up, list, delete; and which function the URL of an id is.
//!
//! Deliberately not here: what is answered at a URL, and who may call it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use lambkin_model::Error;
use lambkin_model::catalog::{Catalog, Head};
use lambkin_model::name::{FunctionKey, FunctionReference, LATEST};
use lambkin_model::url::{AuthType, Cors, FunctionUrl, InvokeMode};

use crate::Control;

/// CreateFunctionUrlConfig.
#[derive(Debug, Clone)]
pub struct CreateUrl {
    /// Who may call it.
    pub auth_type: AuthType,
    /// How the answer comes.
    pub invoke_mode: Option<InvokeMode>,
    /// What browsers are told.
    pub cors: Option<Cors>,
}

/// UpdateFunctionUrlConfig. `None` leaves a setting as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateUrl {
    /// Who may call it.
    pub auth_type: Option<AuthType>,
    /// How the answer comes.
    pub invoke_mode: Option<InvokeMode>,
    /// What browsers are told; `Some(None)`: nothing any more.
    pub cors: Option<Option<Cors>>,
}

/// The function or alias that a URL is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Which, with the alias where the URL is one's.
    pub reference: FunctionReference,
    /// The URL.
    pub url: FunctionUrl,
}

/// Where each URL's configuration stands, by its id. It follows the catalog.
#[derive(Default)]
pub(crate) struct Urls(RwLock<Index>);

#[derive(Default)]
struct Index {
    /// Function and key in its head's `urls`.
    of: HashMap<String, (FunctionKey, String)>,
    /// What a function has in there.
    ids: HashMap<FunctionKey, Vec<String>>,
}

impl Urls {
    pub(crate) fn follow(catalog: &Arc<dyn Catalog>) -> Arc<Self> {
        let urls = Arc::new(Self::default());
        let (watching, read): (Arc<Self>, Weak<dyn Catalog>) = (Arc::clone(&urls), Arc::downgrade(catalog));
        catalog.watch(Box::new(move |key| {
            if let Some(catalog) = read.upgrade() {
                watching.look(&*catalog, key);
            }
        }));
        for head in catalog.all() {
            if !head.record.urls.is_empty() {
                urls.look(&**catalog, &head.record.key);
            }
        }
        urls
    }

    /// Takes in what a function has now. Read under the lock, so that of two the later one stays.
    fn look(&self, catalog: &dyn Catalog, key: &FunctionKey) {
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Index { of, ids } = &mut *index;
        for id in ids.remove(key).unwrap_or_default() {
            of.remove(&id);
        }
        let Some(head) = catalog.head(key).filter(|head| !head.record.urls.is_empty()) else { return };
        for (qualifier, url) in &head.record.urls {
            of.insert(url.id.clone(), (key.clone(), qualifier.clone()));
        }
        ids.insert(key.clone(), head.record.urls.values().map(|url| url.id.clone()).collect());
    }

    fn find(&self, id: &str) -> Option<(FunctionKey, String)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).of.get(id).cloned()
    }
}

impl Control {
    /// CreateFunctionUrlConfig.
    pub async fn create_url(
        &self,
        reference: &FunctionReference,
        request: CreateUrl,
    ) -> Result<FunctionUrl, Error> {
        let now = (self.ambient.now)();
        let url = FunctionUrl {
            id: (self.ambient.uuid)().replace('-', ""),
            auth_type: request.auth_type,
            invoke_mode: request.invoke_mode,
            cors: request.cors,
            created: now,
            last_modified: now,
        };
        self.change_head(&reference.key, no_function, |head| {
            let qualifier = known(head, reference)?;
            if head.urls.contains_key(qualifier) {
                return Err(Error::ResourceConflict(format!(
                    "Failed to create function url config for [functionArn = {}]. Error message:  FunctionUrlConfig \
                     exists for this Lambda function",
                    arn(&reference.key, qualifier)
                )));
            }
            head.urls.insert(qualifier.to_owned(), url.clone());
            Ok(())
        })
        .await?;
        self.urls.look(&*self.catalog, &reference.key);
        tracing::info!(function = %reference.arn(), id = url.id, auth_type = url.auth_type.as_str(), "URL created");
        Ok(url)
    }

    /// UpdateFunctionUrlConfig.
    pub async fn update_url(
        &self,
        reference: &FunctionReference,
        request: UpdateUrl,
    ) -> Result<FunctionUrl, Error> {
        let now = (self.ambient.now)();
        let stored = self
            .change_head(&reference.key, no_function, |head| {
                let qualifier = known(head, reference)?;
                let url = head.urls.get_mut(qualifier).ok_or_else(no_url)?;
                url.auth_type = request.auth_type.unwrap_or(url.auth_type);
                url.invoke_mode = request.invoke_mode.or(url.invoke_mode);
                if let Some(cors) = &request.cors {
                    url.cors.clone_from(cors);
                }
                url.last_modified = now;
                Ok(())
            })
            .await?;
        tracing::info!(function = %reference.arn(), "URL updated");
        stored.record.urls.get(qualifier(reference)).cloned().ok_or_else(no_url)
    }

    /// GetFunctionUrlConfig.
    pub fn url(&self, reference: &FunctionReference) -> Result<FunctionUrl, Error> {
        let head = self.catalog.head(&reference.key);
        head.and_then(|head| head.record.urls.get(qualifier(reference)).cloned()).ok_or_else(no_url)
    }

    /// ListFunctionUrlConfigs: by qualifier, after `after`, at most `limit`.
    pub fn urls(
        &self,
        key: &FunctionKey,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, FunctionUrl)>, Error> {
        let head = self.catalog.head(key).ok_or_else(no_function)?;
        let later =
            head.record.urls.iter().filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
        Ok(later.take(limit).map(|(name, url)| (name.clone(), url.clone())).collect())
    }

    /// DeleteFunctionUrlConfig: its id is never given again.
    pub async fn delete_url(&self, reference: &FunctionReference) -> Result<(), Error> {
        self.change_head(&reference.key, no_function, |head| {
            head.urls.remove(qualifier(reference)).map(drop).ok_or_else(no_url)
        })
        .await?;
        self.urls.look(&*self.catalog, &reference.key);
        tracing::info!(function = %reference.arn(), "URL deleted");
        Ok(())
    }

    /// The URL of this id, in this region where one is said. One whose alias is gone is still there.
    #[must_use]
    pub fn locate_url(&self, region: Option<&str>, id: &str) -> Option<Located> {
        let (key, qualifier) = self.urls.find(id)?;
        let here = region.is_none_or(|region| &*key.region == region);
        let head = self.catalog.head(&key).filter(|_| here)?;
        let url = head.record.urls.get(&qualifier).filter(|url| url.id == id)?.clone();
        let qualifier = (qualifier != LATEST).then_some(qualifier);
        Some(Located { reference: FunctionReference { key, qualifier }, url })
    }
}

fn qualifier(reference: &FunctionReference) -> &str {
    reference.qualifier.as_deref().unwrap_or(LATEST)
}

/// The key of a reference's URL, where the function has such an alias.
fn known<'r>(head: &Head, reference: &'r FunctionReference) -> Result<&'r str, Error> {
    let qualifier = qualifier(reference);
    if qualifier == LATEST || head.aliases.contains_key(qualifier) {
        Ok(qualifier)
    } else {
        Err(no_function())
    }
}

fn arn(key: &FunctionKey, qualifier: &str) -> String {
    if qualifier == LATEST { key.arn() } else { key.qualified_arn(qualifier) }
}

/// AWS says no more.
fn no_function() -> Error {
    Error::ResourceNotFound("Function does not exist".into())
}

fn no_url() -> Error {
    Error::ResourceNotFound("The resource you requested does not exist.".into())
}
