//! The control plane: what CreateFunction, UpdateFunctionCode … mean, over the catalog and the
//! code store.
//!
//! Deliberately not here: processes. Nothing in this room can start or reach one; the invoke path
//! watches the catalog instead. Nor clocks and random numbers: they are handed in.

mod activation;
mod alias;
mod concurrency;
mod event_invoke;
mod function;
mod layer;
mod layer_permission;
mod managed_policy;
mod permission;
mod provisioned;
mod request;
mod role;
mod rules;
mod scaling;
mod source;
mod tags;
mod url;
mod version;

pub use alias::{CreateAlias, UpdateAlias};
pub use concurrency::AccountSettings;
pub use event_invoke::EventInvokeChange;
pub use function::{Ambient, Control, Policy, Stores};
pub use layer::{PublishLayerVersion, layer_key};
pub use managed_policy::{CreatePolicy, version_of};
pub use provisioned::ProvisionedConcurrency;
pub use request::{CreateFunction, LoggingChange, UpdateFunctionCode, UpdateFunctionConfiguration};
pub use role::{CreateRole, RoleSession};
pub use source::CodeSource;
pub use url::{CreateUrl, Located, UpdateUrl};
pub use version::{Found, PublishVersion};
