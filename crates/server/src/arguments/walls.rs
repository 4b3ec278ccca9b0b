//! The words for how functions are kept apart.

use lambkin_sandbox::{Network, Subnet};

/// The words for `--isolation`.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum IsolationName {
    Auto,
    Strict,
    Process,
}

impl From<IsolationName> for lambkin_sandbox::Isolation {
    fn from(name: IsolationName) -> Self {
        match name {
            IsolationName::Auto => Self::Auto,
            IsolationName::Strict => Self::Strict,
            IsolationName::Process => Self::Process,
        }
    }
}

/// The words for `--network`.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum NetworkName {
    Auto,
    User,
    Host,
    Nat,
    None,
}

impl NetworkName {
    pub(crate) fn with(self, allow: Vec<Subnet>) -> Result<Network, String> {
        match self {
            Self::Auto => Ok(Network::Auto { allow }),
            Self::User => Ok(Network::User { allow }),
            Self::Host => Ok(Network::Host { allow }),
            Self::Nat => Ok(Network::Nat { allow }),
            Self::None if allow.is_empty() => Ok(Network::None),
            Self::None => Err("--network-allow opens nothing with --network none".into()),
        }
    }
}
