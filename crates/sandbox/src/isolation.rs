//! Which launcher: the jail where it works, or plain processes.

use std::sync::Arc;

use lambkin_model::sandbox::{LaunchError, Launcher};

use crate::finding::Finding;
#[cfg(target_os = "linux")]
use crate::jail::{JailConfig, JailLauncher};
use crate::launcher::{Config, ProcessLauncher};
use crate::network::Network;

/// How functions are kept apart from each other and from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// The strongest that works here. Where no jail can be made, the host's root gets nothing, an
    /// ordinary user plain processes.
    Auto,
    /// The whole jail, with every limit enforced by the kernel, or nothing.
    Strict,
    /// Plain processes.
    Process,
}

/// Where functions would have all of a machine's rights. Elsewhere there is no jail at all.
fn is_host_root() -> bool {
    cfg!(target_os = "linux") && rustix::process::geteuid().is_root()
}

/// The launcher that was chosen. Clones are the same launcher.
#[derive(Clone)]
pub enum Isolated {
    /// Functions are in jails.
    #[cfg(target_os = "linux")]
    Jail(JailLauncher),
    /// Functions are plain processes.
    Process(ProcessLauncher),
}

impl Isolated {
    /// Starts the launcher that is asked for. Needs a tokio runtime.
    ///
    /// # Errors
    /// The launcher cannot start, or lacks something where [`Isolation::Strict`] or a [`Network`] is asked
    /// for: the text says what, and how to get it.
    pub async fn start(isolation: Isolation, network: Network, config: Config) -> Result<Self, LaunchError> {
        let for_jails = network.for_jails();
        match (isolation, for_jails) {
            (Isolation::Process, Some(name)) => Err(LaunchError(format!(
                "--network {name} is for jails: plain processes have the host's own network"
            ))),
            (Isolation::Process, None) => Ok(Self::Process(ProcessLauncher::start(config).await?)),
            (Isolation::Auto, _) => match Self::jail(&config, network).await {
                Ok(jail) => Ok(jail),
                // Plain processes would reach more than was asked for.
                Err(error) if for_jails.is_some() => Err(error),
                Err(error) if is_host_root() => Err(LaunchError(format!(
                    "no jail can be made here ({error}), and plain processes would be root's: \
                     --isolation process starts without jails"
                ))),
                Err(error) => {
                    tracing::warn!(%error, "no jail can be made here; functions are plain processes");
                    Ok(Self::Process(ProcessLauncher::start(config).await?))
                }
            },
            (Isolation::Strict, _) => {
                let jail = Self::jail(&config, network).await?;
                let lacking: Vec<_> =
                    jail.findings().into_iter().filter(|finding| !finding.is_enough()).collect();
                if lacking.is_empty() {
                    return Ok(jail);
                }
                jail.shutdown().await;
                let lacking: Vec<_> = lacking
                    .iter()
                    .filter_map(|finding| {
                        Some(format!("{} ({})", finding.what, finding.found.as_ref().err()?))
                    })
                    .collect();
                Err(LaunchError(format!("strict isolation is not possible here: {}", lacking.join("; "))))
            }
        }
    }

    #[cfg(target_os = "linux")]
    async fn jail(config: &Config, network: Network) -> Result<Self, LaunchError> {
        let config = JailConfig { network, ..JailConfig::new(config.clone())? };
        Ok(Self::Jail(JailLauncher::start(config).await?))
    }

    #[cfg(not(target_os = "linux"))]
    async fn jail(_: &Config, _: Network) -> Result<Self, LaunchError> {
        Err(LaunchError("the jail is made of what only Linux has".into()))
    }

    /// `jail` or `process`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            #[cfg(target_os = "linux")]
            Self::Jail(_) => "jail",
            Self::Process(_) => "process",
        }
    }

    /// What is on and what is missing, in a line.
    #[must_use]
    pub fn description(&self) -> String {
        let findings = self.findings();
        let named = |there: bool| {
            let found = findings.iter().filter(|finding| finding.found.is_ok() == there);
            let named = found.map(|finding| match &finding.found {
                // What is reached differs where everything is there, too.
                Ok(how) if finding.what == "network" => format!("network: {how}"),
                Ok(_) | Err(_) => finding.what.to_owned(),
            });
            named.collect::<Vec<_>>().join(", ")
        };
        match self {
            #[cfg(target_os = "linux")]
            Self::Jail(_) => match named(false) {
                missing if missing.is_empty() => format!("jail ({})", named(true)),
                missing => format!("jail ({}); missing: {missing} (see `lambkin doctor`)", named(true)),
            },
            Self::Process(_) => "process: nothing keeps functions from each other and from the host".into(),
        }
    }

    /// What the jail is made of on this machine; nothing where there is none.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Jail(jail) => jail.findings(),
            Self::Process(_) => Vec::new(),
        }
    }

    /// How functions reach the internet, or why they do not, where [`Network::Auto`] was asked for; `None`
    /// where there is no jail.
    #[must_use]
    pub fn way_out(&self) -> Option<Result<String, String>> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Jail(jail) => Some(jail.way_out()),
            Self::Process(_) => None,
        }
    }

    /// Kills every process and waits until all are gone.
    pub async fn shutdown(&self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Jail(jail) => jail.shutdown().await,
            Self::Process(processes) => processes.shutdown().await,
        }
    }

    /// As the port.
    #[must_use]
    pub fn launcher(&self) -> Arc<dyn Launcher> {
        match self.clone() {
            #[cfg(target_os = "linux")]
            Self::Jail(jail) => Arc::new(jail),
            Self::Process(processes) => Arc::new(processes),
        }
    }
}
