//! The wire between lambkin and the router: one `SOCK_SEQPACKET` message per order, and one per
//! answer, in the same order. Both ends are the same executable, so there is no version.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::jail::wire::Failure;

/// What the router is told. Each is answered by a [`Done`], and so is its start, unasked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Loads these rules.
    Filter { nft: PathBuf, rules: String },
    /// Looks whether there is a way out by now.
    LookOut,
    /// A link to a jail, whose network namespace comes with it.
    Attach { name: String, gateway: Ipv4Addr, own: Ipv4Addr },
}

pub(super) type Done = Result<(), Failure>;
