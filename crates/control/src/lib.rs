//! The control plane: what CreateFunction, UpdateFunctionCode … mean, over the catalog and the
//! code store.
//!
//! Deliberately not here: processes. Nothing in this room can start or reach one; the invoke path
//! watches the catalog instead. Nor clocks and random numbers: they are handed in.

mod activation;
mod concurrency;
mod event_invoke;
mod function;
mod request;
mod rules;

pub use concurrency::AccountSettings;
pub use event_invoke::EventInvokeChange;
pub use function::{Ambient, Control, Policy};
pub use request::{CreateFunction, LoggingChange, UpdateFunctionCode, UpdateFunctionConfiguration};
