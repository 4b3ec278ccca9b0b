//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use lambkin_model::quota;
use lambkin_model::runtime::Runtime;
use lambkin_sandbox::{Network, Subnet};

use crate::memory_budget::MemoryShare;

/// The AWS Lambda API for your own machines.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the Lambda API
    Serve(Serve),
    /// Run a handler once, without a server: result on stdout, log on stderr
    Invoke(Invoke),
    /// The Node.js binaries of the runtimes
    #[command(subcommand)]
    Runtimes(Runtimes),
    /// What is in the queues of a lambkin that serves
    Queues(Queues),
    /// What waits to be run asynchronously in a lambkin that serves, and what became of the rest
    Events(Events),
    /// What this machine can do to keep functions apart, and how to get the rest
    Doctor(Doctor),
}

#[derive(Debug, Args)]
pub(crate) struct Queues {
    /// Where it listens [default: $AWS_ENDPOINT_URL, else http://127.0.0.1:4566]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only this function, by name or ARN
    pub(crate) function: Option<String>,
    /// Where it listens [default: $AWS_ENDPOINT_URL, else http://127.0.0.1:4566]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) sources: Sources,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:4566", value_name = "ADDR:PORT")]
    pub(crate) listen: SocketAddr,
    /// Directory of functions, code and logs [default: the platform's data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Concurrent executions of the account; beyond it invocations are throttled (429)
    #[arg(long, default_value_t = quota::CONCURRENT_EXECUTIONS, value_name = "N")]
    pub(crate) max_concurrency: usize,
    /// Part of the memory that execution environments may use, or none. An environment counts its
    /// function's memory until it has run, then what it was seen to use; idle ones go for new ones, and
    /// where that is not enough an invocation waits, at most 10 seconds. More than 1 overcommits
    #[arg(long, default_value = "0.8", value_name = "PART|none")]
    pub(crate) memory_share: MemoryShare,
    /// Most MB of disk for messages that wait in queues, of all queues together; beyond it sending is refused
    /// (429 for asynchronous invocations) [default: all of the disk but 64 MB]
    #[arg(long, value_name = "MB")]
    pub(crate) max_backlog: Option<u64>,
    /// Seconds after which an idle execution environment goes
    #[arg(long, default_value_t = 600.0, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) idle_timeout: f64,
    /// Most Node.js processes that are booted ahead for cold starts, for the functions that had some
    /// lately; 0 for none [default: 2 per core, none on a machine with less than 2 GiB of memory]
    #[arg(long, value_name = "N")]
    pub(crate) warm_pool: Option<usize>,
    /// Seconds that running invocations get to finish at a shutdown
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) grace: f64,
    /// Refuse runtimes that AWS has retired, with AWS's words
    #[arg(long)]
    pub(crate) refuse_deprecated_runtimes: bool,
    /// Listen beyond loopback although callers' signatures are not verified
    #[arg(long)]
    pub(crate) allow_unauthenticated: bool,
    /// How functions are kept apart: the strongest that works here, the whole jail or no start, or
    /// plain processes
    #[arg(long, value_enum, default_value = "auto", value_name = "auto|strict|process")]
    pub(crate) isolation: IsolationName,
    /// What functions in jails reach beyond themselves: nothing, or the internet by IPv4 from this
    /// machine's address: by slirp4netns (user; auto does without where it does not work), or by this
    /// machine's forwarding (nat, as root, with ip and nft; sets net.ipv4.ip_forward)
    #[arg(long, value_enum, default_value = "auto", value_name = "auto|user|nat|none")]
    pub(crate) network: NetworkName,
    /// Private network that functions reach too, where they reach the internet; may be repeated
    #[arg(long, value_name = "CIDR")]
    pub(crate) network_allow: Vec<Subnet>,
    /// Real AWS credentials for functions by their role: JSON, a role's ARN and a profile or keys
    #[arg(long, value_name = "FILE")]
    pub(crate) role_credentials: Option<PathBuf>,
    /// Where queues, topics, functions, buses and buckets of other accounts, regions or services are: JSON, a
    /// list of {account, region, service, endpoint} with a profile or keys; requests there are signed
    #[arg(long, value_name = "FILE")]
    pub(crate) external: Option<PathBuf>,
    /// Factor of the pauses between the attempts at an event; 1 is AWS's: a minute and two after a
    /// function's error, 1 second to 5 minutes after a throttle
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = seconds)]
    pub(crate) event_retry_scale: f64,
    /// Most bytes of an event's payload; AWS took 262144 until October 2025
    #[arg(long, default_value_t = quota::EVENT_PAYLOAD_BYTES, value_name = "BYTES", value_parser = event_payload)]
    pub(crate) event_payload_limit: usize,
    #[command(flatten)]
    pub(crate) sources: Sources,
}

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
    Nat,
    None,
}

impl NetworkName {
    pub(crate) fn with(self, allow: Vec<Subnet>) -> Result<Network, String> {
        match self {
            Self::Auto => Ok(Network::Auto { allow }),
            Self::User => Ok(Network::User { allow }),
            Self::Nat => Ok(Network::Nat { allow }),
            Self::None if allow.is_empty() => Ok(Network::None),
            Self::None => Err("--network-allow opens nothing with --network none".into()),
        }
    }
}

/// Where Node.js binaries come from.
#[derive(Debug, Args)]
pub(crate) struct Sources {
    /// Cache of Node.js binaries and AWS SDKs [default: the platform's cache directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) runtimes: Option<PathBuf>,
    /// Mirror of nodejs.org's distribution
    #[arg(long, value_name = "URL")]
    pub(crate) node_mirror: Option<String>,
    /// Directory of node binaries
    #[arg(long, value_name = "DIR")]
    pub(crate) node_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Invoke {
    /// A .js, .mjs or .cjs file, a folder or a zip
    pub(crate) path: PathBuf,
    /// Handler [default: FILE.handler, or index.handler for a folder or a zip]
    #[arg(long)]
    pub(crate) handler: Option<String>,
    /// Runtime
    #[arg(long, default_value = "nodejs22.x", value_parser = runtime)]
    pub(crate) runtime: Runtime,
    /// The event: a file, JSON text, or - for standard input
    #[arg(long, default_value = "{}", value_name = "FILE|JSON|-")]
    pub(crate) event: String,
    /// JSON object with any of functionName, awsRequestId, memoryLimitInMB, timeout (seconds) and
    /// clientContext
    #[arg(long, value_name = "JSON")]
    pub(crate) context: Option<String>,
    /// Environment variable of the function; may be repeated
    #[arg(long = "env", value_name = "KEY=VALUE", value_parser = variable)]
    pub(crate) variables: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) sources: Sources,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Runtimes {
    /// Show the runtimes and which are on this machine
    List {
        #[command(flatten)]
        sources: Sources,
    },
    /// Fetch runtimes
    Install {
        /// Such as nodejs22.x; without any, all
        #[arg(value_parser = runtime)]
        names: Vec<Runtime>,
        /// The AWS SDK for JavaScript as well: aws-sdk up to nodejs16.x, common @aws-sdk clients from nodejs18.x
        #[arg(long)]
        with_sdk: bool,
        #[command(flatten)]
        sources: Sources,
    },
    /// Remove runtimes from this machine
    Remove {
        /// Such as nodejs22.x
        #[arg(value_parser = runtime, required = true)]
        names: Vec<Runtime>,
        #[command(flatten)]
        sources: Sources,
    },
}

fn runtime(name: &str) -> Result<Runtime, String> {
    Runtime::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = Runtime::all().map(Runtime::name).collect();
        format!("it is one of {}", known.join(", "))
    })
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=1e9).contains(&seconds) => Ok(seconds),
        Ok(_) | Err(_) => Err("a number of seconds".into()),
    }
}

/// What a store's queue takes with what stands around it.
fn event_payload(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if bytes <= quota::EVENT_PAYLOAD_BYTES => Ok(bytes),
        Ok(_) | Err(_) => Err(format!("at most {} bytes", quota::EVENT_PAYLOAD_BYTES)),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "KEY=VALUE".into())
}
