//! What jails reach beyond themselves: nothing, or the internet by the host's forwarding (`nat`), by a
//! program (`egress`), or by sockets that lambkin makes (`guard`).
//!
//! Deliberately not here: how. No function's process starts before its jail has its link.

use std::fs::Permissions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lambkin_model::sandbox::LaunchError;

use super::egress::{Egress, Link};
use super::guard::{Guard, Post};
use super::keeper::Keeper;
use super::nat::{self, Nat};
use crate::network::Network;

pub(super) enum Outside {
    /// With the reason, where more was wanted.
    None(Option<String>),
    Nat(Nat),
    User(Egress),
    Host(Guard),
}

impl Outside {
    /// Also sweeps what a former lambkin with this tag left.
    ///
    /// # Errors
    /// What was asked for cannot be had: the text says why, and how to get it.
    pub(super) async fn start(
        network: &Network,
        keeper: &Keeper,
        tag: &str,
        directory: &Path,
    ) -> Result<Self, LaunchError> {
        nat::sweep(tag, directory).await;
        let user = |allow| Egress::start(keeper.clone(), directory, allow);
        match network {
            Network::None => Ok(Self::None(None)),
            Network::Nat { allow } => Ok(Self::Nat(Nat::start(keeper.clone(), tag, directory, allow).await?)),
            Network::User { allow } => match user(allow).await {
                Ok(egress) => Ok(Self::User(egress)),
                Err(why) => Err(LaunchError(format!("--network user: {why}"))),
            },
            Network::Host { allow } => match Guard::start(directory, allow) {
                Ok(guard) => Ok(Self::Host(guard)),
                Err(why) => Err(LaunchError(format!("--network host: {why}"))),
            },
            Network::Auto { allow } => match user(allow).await {
                Ok(egress) => Ok(Self::User(egress)),
                Err(why) => Ok(Self::None(Some(why))),
            },
        }
    }

    /// What `network` is then.
    pub(super) fn description(&self) -> String {
        const NOTHING: &str = "none but their own loopback";
        match self {
            Self::None(None) => NOTHING.into(),
            Self::None(Some(why)) => format!("{NOTHING}: {why}"),
            Self::Nat(nat) => nat.description(),
            Self::User(_) => Egress::description(),
            Self::Host(_) => Guard::description(),
        }
    }

    /// The same, told apart from there being none.
    pub(super) fn way_out(&self) -> Result<String, String> {
        match self {
            Self::None(why) => Err(why.clone().unwrap_or_else(|| "nobody asked for it".into())),
            Self::Nat(_) | Self::User(_) | Self::Host(_) => Ok(self.description()),
        }
    }

    /// Whether jails are made with a [`Post`].
    pub(super) fn guards(&self) -> bool {
        matches!(self, Self::Host(_))
    }

    /// Gives a jail, whose network namespace this is, its link, or begins to: no process may be started
    /// in it before that is made.
    pub(super) async fn attach(
        &self,
        namespace: OwnedFd,
        post: Option<Post>,
    ) -> Result<Option<Link>, LaunchError> {
        match (self, post) {
            (Self::None(_), _) => Ok(None),
            (Self::Nat(nat), _) => nat.attach(namespace.into()).await.map(|()| None),
            (Self::User(egress), _) => egress.attach(namespace).await.map(Some),
            (Self::Host(guard), Some(post)) => guard.attach(post).map(|()| None),
            (Self::Host(_), None) => Err(LaunchError("a jail was made without its guard's post".into())),
        }
    }

    /// What jails have as their `/etc/resolv.conf`; none where nobody answers.
    pub(super) fn resolver_file(&self) -> Option<PathBuf> {
        match self {
            Self::None(_) => None,
            Self::Nat(nat) => Some(nat.resolver_file()),
            Self::User(egress) => Some(egress.resolver_file().to_owned()),
            Self::Host(guard) => Some(guard.resolver_file().to_owned()),
        }
    }

    /// Before the spawner ends: what dies then is not an accident.
    pub(super) async fn close_before(&self) {
        match self {
            Self::None(_) | Self::Nat(_) | Self::Host(_) => {}
            Self::User(egress) => egress.close().await,
        }
    }

    /// After all jails have ended.
    pub(super) async fn close_after(&self) {
        match self {
            Self::None(_) | Self::User(_) | Self::Host(_) => {}
            Self::Nat(nat) => nat.close().await,
        }
    }
}

/// Functions read it, whatever lambkin's umask is.
pub(super) fn write(file: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(file, text)?;
    std::fs::set_permissions(file, Permissions::from_mode(0o644))
}
