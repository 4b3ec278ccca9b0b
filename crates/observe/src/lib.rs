//! What happened: the log events of functions, taken off the invoke path and kept in files by
//! account, region, group and stream.
//!
//! Deliberately not here: what a log line says (`model`), the functions it comes from, HTTP.
//! Compression, an index and the query languages come behind the same two doors: `LogSink` to
//! write, `LogStore`'s reader to read.

mod file_name;
mod line;
mod log_file;
mod log_queue;
mod log_reader;
mod log_store;
mod log_writer;

pub use log_store::{Config, LogStore, OpenError, Undrained};
