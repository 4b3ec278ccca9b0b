//! What kinds of records the catalog's file has: functions' heads, and whatever implements `model::record`.
//! All go through one file, one writer and one snapshot code.
//!
//! Deliberately not here: what the records say.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

use lambkin_model::catalog::Head;
use lambkin_model::name::FunctionKey;
use lambkin_model::record::{Record, ResourceKey};
use lambkin_model::version::PublishedVersion;
use serde::{Deserialize, Serialize};

use crate::snapshot::{AnySnapshot, Snapshot};

/// A kind of record: how its keys and bytes read.
pub(crate) trait Kind: Sized + 'static {
    /// Orders by account, region and name.
    type Key: Ord + Hash + Clone + Send + Sync;
    type Record: Clone + Send + Sync;
    const KIND: &'static str;

    fn key(record: &Self::Record) -> &Self::Key;
    fn parts(key: &Self::Key) -> [&str; 3];
    fn of_parts(account: &str, region: &str, name: &str) -> Self::Key;
    fn encode(record: &Self::Record) -> Vec<u8>;
    fn decode(bytes: &[u8]) -> Result<Self::Record, String>;

    /// The key in the file.
    fn text_key(key: &Self::Key) -> String {
        let [account, region, name] = Self::parts(key);
        format!("{}/{account}/{region}/{name}", Self::KIND)
    }
}

/// Functions' heads, which have a port of their own.
#[derive(Debug)]
pub(crate) struct Heads;

impl Kind for Heads {
    type Key = FunctionKey;
    type Record = Head;
    const KIND: &'static str = "head";

    fn key(record: &Head) -> &FunctionKey {
        &record.key
    }

    fn parts(key: &FunctionKey) -> [&str; 3] {
        [&key.account, &key.region, &key.name]
    }

    fn of_parts(account: &str, region: &str, name: &str) -> FunctionKey {
        FunctionKey { account: account.into(), region: region.into(), name: name.into() }
    }

    fn encode(record: &Head) -> Vec<u8> {
        record.encode()
    }

    fn decode(bytes: &[u8]) -> Result<Head, String> {
        Head::decode(bytes)
    }
}

/// Records of `R`.
#[derive(Debug)]
pub(crate) struct Of<R>(PhantomData<R>);

/// A record as it is written, as a head is.
#[derive(Serialize, Deserialize)]
struct Written<T> {
    format: u32,
    record: T,
}

impl<R: Record> Kind for Of<R> {
    type Key = ResourceKey;
    type Record = R;
    const KIND: &'static str = R::KIND;

    fn key(record: &R) -> &ResourceKey {
        record.key()
    }

    fn parts(key: &ResourceKey) -> [&str; 3] {
        [&key.account, &key.region, &key.name]
    }

    fn of_parts(account: &str, region: &str, name: &str) -> ResourceKey {
        ResourceKey { account: account.into(), region: region.into(), name: name.into() }
    }

    fn encode(record: &R) -> Vec<u8> {
        serde_json::to_vec(&Written { format: R::FORMAT, record }).expect("records have only string keys")
    }

    fn decode(bytes: &[u8]) -> Result<R, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if format > R::FORMAT {
            return Err(format!(
                "record format {format} is newer than this lambkin, which reads up to {}",
                R::FORMAT
            ));
        }
        serde_json::from_slice::<Written<R>>(bytes)
            .map(|written| written.record)
            .map_err(|error| error.to_string())
    }
}

/// The kinds of records that a store is opened with, beside the catalog's own. A file with a record of any
/// other kind is not opened: lambkin would not see what it stands for.
#[derive(Default)]
pub struct Kinds(Vec<Arc<dyn AnySnapshot>>);

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|snapshot| snapshot.kind())).finish()
    }
}

impl Kinds {
    /// These and records of `R`.
    ///
    /// # Panics
    ///
    /// Where there is a kind of that name already.
    #[must_use]
    pub fn with<R: Record>(self) -> Self {
        self.and::<Of<R>>()
    }

    /// These and the catalog's own: heads, and the bodies of published versions.
    pub(crate) fn with_catalog(self) -> Self {
        self.and::<Heads>().and::<Of<PublishedVersion>>()
    }

    fn and<K: Kind>(mut self) -> Self {
        assert!(self.of(K::KIND).is_none(), "there are two kinds of records called {}", K::KIND);
        self.0.push(Arc::new(Snapshot::<K>::default()));
        self
    }

    pub(crate) fn of(&self, kind: &str) -> Option<&Arc<dyn AnySnapshot>> {
        self.0.iter().find(|snapshot| snapshot.kind() == kind)
    }

    pub(crate) fn snapshot<K: Kind>(&self) -> Option<Arc<Snapshot<K>>> {
        let snapshot: Arc<dyn std::any::Any + Send + Sync> = self.of(K::KIND)?.clone();
        snapshot.downcast().ok()
    }
}
