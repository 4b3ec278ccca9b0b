//! The engine ring: the data plane over a fake launcher whose processes are tokio tasks, in paused
//! time. What a process does is said in words: those of an invocation are its payload, those of an
//! init the variables `INIT`, `INIT_<run>` and `INIT_S<sandbox>` (see `process.rs`).

mod caching;
mod caller;
mod catalog;
mod changes;
mod concurrency;
mod endings;
mod figures;
mod hostile;
mod inits;
mod keeping;
mod logs;
mod memory;
mod placement;
mod pool;
mod process;
mod provided;
mod runtime_api;
mod scaling;
mod shutdown;
mod stage;
mod storm;
mod streaming;
mod told;
mod traces;
mod versions;
mod world;
