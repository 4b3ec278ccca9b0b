//! The store from outside.

mod catalog_kill;
mod catalog_model;
mod data_directory;
mod formats;
mod full_disk;
#[cfg(feature = "nats")]
mod nats;
mod ports;
mod queue_file;
mod queue_kill;
mod queue_model;
mod queues;
mod records;
mod support;
