//! The store from outside.

mod catalog_kill;
mod catalog_model;
mod data_directory;
mod full_disk;
mod ports;
mod queues;
mod records;
mod support;
