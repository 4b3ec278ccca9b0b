//! The data plane: resolve → admit → place → environment. Requests go right, answers return as
//! values; each environment is one task that owns its sandbox, its process and its log.
//!
//! Deliberately not here: the catalog's write side (only `CatalogRead` is handed in) and the kinds
//! of jail (only the `Launcher` port is).

mod assignment;
mod capture;
mod channel;
mod compile_cache;
mod environment;
mod fleet;
mod flow;
mod gate;
mod invoker;
mod keeping;
mod launch;
mod memory;
mod output;
mod permit;
mod pool;
mod posted;
mod running;
mod runtime_api;
mod starts;
mod traced;
mod vigil;

pub use flow::Bandwidth;
pub use invoker::{Invoker, InvokerConfig, Ports};
