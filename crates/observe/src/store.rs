//! How log events are kept: groups of streams, segments of compressed blocks, an index of times, streams and words.
//! `docs/log-store.md` has the format.
//!
//! Deliberately not here: who logs, and the thread that writes (`log_writer`).

pub(crate) mod block;
mod file_name;
pub(crate) mod group;
pub(crate) mod groups;
mod import;
pub(crate) mod search;
mod segment;
pub(crate) mod streams;
mod tail;
mod varint;
pub(crate) mod words;
