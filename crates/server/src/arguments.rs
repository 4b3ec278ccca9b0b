//! The command line: commands and their options. Their words are read in `values`, those of the sandbox in `walls`.

mod values;
mod walls;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use lambkin_model::quota;
use lambkin_model::runtime::Runtime;
use lambkin_sandbox::Subnet;

use crate::memory_budget::MemoryShare;
use values::{account_id, event_payload, interval, period, runtime, seconds, user_name, variable};
use walls::{IsolationName, NetworkName};

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
    Serve(Box<Serve>),
    /// Run a handler once, without a server: result on stdout, log on stderr
    Invoke(Invoke),
    /// The Node.js binaries of the runtimes
    #[command(subcommand)]
    Runtimes(Runtimes),
    /// What is in the queues of a lambkin that serves
    Queues(Queues),
    /// What waits to be run asynchronously in a lambkin that serves, and what became of the rest
    Events(Events),
    /// The keys that callers sign with; a lambkin that serves sees changes at once
    #[command(subcommand)]
    Keys(KeysCommand),
    /// What functions wrote, in a lambkin that serves
    Logs(Logs),
    /// What functions do in a lambkin that serves, live
    Top(Top),
    /// A sample event of an AWS service, for a function to try; without a name, which there are
    GenerateEvent(GenerateEvent),
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

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make one and print it; from the first one on every request's signature is verified
    Create {
        /// Whose it is: the user's name in ARNs
        #[arg(long, default_value = "owner", value_name = "NAME", value_parser = user_name)]
        name: String,
        /// Of another account than lambkin's own: its user may do what functions' and layers' policies allow that account
        #[arg(long, value_name = "ID", value_parser = account_id)]
        account: Option<String>,
        /// What it may do: a policy of IAM's, as JSON; may be repeated. Without any: everything
        #[arg(long, value_name = "FILE")]
        policy: Vec<PathBuf>,
        /// Directory of the lambkin that it is for [default: the platform's data directory]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// JSON instead of variables for a shell
        #[arg(long)]
        json: bool,
    },
    /// Show them, without their secrets
    List {
        /// Directory of the lambkin that they are for [default: the platform's data directory]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// End one; its next request is refused
    Revoke {
        /// The access key's id
        id: String,
        /// Directory of the lambkin that it is for [default: the platform's data directory]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// A function's name or ARN, or a log group that begins with / [default: all]
    pub(crate) function: Option<String>,
    /// Go on showing what comes
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How far back to begin: 30s, 10m, 2h, 1d
    #[arg(long, default_value = "10m", value_name = "TIME", value_parser = period)]
    pub(crate) since: u64,
    /// Only events that match this filter pattern of CloudWatch Logs
    #[arg(long, value_name = "PATTERN")]
    pub(crate) filter: Option<String>,
    /// A line of JSON for each event
    #[arg(long)]
    pub(crate) json: bool,
    /// Where it listens [default: $AWS_ENDPOINT_URL, else http://127.0.0.1:4566]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// Of the functions [default: $AWS_REGION, $AWS_DEFAULT_REGION, else us-east-1]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Where it listens [default: $AWS_ENDPOINT_URL, else http://127.0.0.1:4566]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// Seconds between two looks
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS", value_parser = interval)]
    pub(crate) interval: f64,
    /// One look: what happened since lambkin started
    #[arg(long)]
    pub(crate) once: bool,
    /// A line of JSON for each look
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateEvent {
    /// Such as s3-put
    pub(crate) name: Option<String>,
    /// Which there are, and their parameters; as without a name
    #[arg(long, conflicts_with = "name")]
    pub(crate) list: bool,
    /// Its parameters, and --account and --region [default: $AWS_DEFAULT_REGION, else us-east-1]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "--PARAMETER VALUE")]
    pub(crate) parameters: Vec<String>,
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
    /// Most MB of disk for logs, of all log groups together; beyond it the oldest events go, with a notice in the
    /// stream [lambkin] of their group. 0 keeps none
    #[arg(long, default_value_t = 10_240, value_name = "MB")]
    pub(crate) log_cap: u64,
    /// Most MB of disk for metrics; beyond it the oldest go, before their fifteen days. Seconds have a quarter of it
    #[arg(long, default_value_t = 1024, value_name = "MB", value_parser = clap::value_parser!(u64).range(16..))]
    pub(crate) metric_cap: u64,
    /// Send spans of traced requests to this OpenTelemetry collector, by OTLP over HTTP: its base URL, such as
    /// http://127.0.0.1:4318 [default: $OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, $OTEL_EXPORTER_OTLP_ENDPOINT, else none]
    #[arg(long, value_name = "URL")]
    pub(crate) otlp_endpoint: Option<String>,
    /// Seconds after which an idle execution environment goes
    #[arg(long, default_value_t = 600.0, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) idle_timeout: f64,
    /// Most Node.js processes that are booted ahead for cold starts, for the functions that had some
    /// lately; 0 for none [default: 2 per core, none on a machine with less than 2 GiB of memory]
    #[arg(long, value_name = "N")]
    pub(crate) warm_pool: Option<usize>,
    /// Slow streamed responses down as AWS does: 6 MB as fast as they can, then 2 MB a second. Without,
    /// they are as fast as their clients read
    #[arg(long)]
    pub(crate) throttle_streams: bool,
    /// Seconds that running invocations get to finish at a shutdown
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) grace: f64,
    /// Refuse runtimes that AWS has retired, with AWS's words
    #[arg(long)]
    pub(crate) refuse_deprecated_runtimes: bool,
    /// Listen beyond loopback although there are no keys, and callers' signatures are not verified
    #[arg(long)]
    pub(crate) allow_unauthenticated: bool,
    /// Serve function URLs here too, by path (`/<url-id>/…`), for clients that cannot resolve their hosts; nothing
    /// else is answered there
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) url_listen: Option<SocketAddr>,
    /// Serve /metrics here too, to whoever asks and without a signature, for Prometheus; nothing else is answered there.
    /// By TLS where the API is
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// --metrics-listen may be beyond loopback: whoever reaches it reads the names of functions and queues, and what they do
    #[arg(long, requires = "metrics_listen")]
    pub(crate) allow_unauthenticated_metrics: bool,
    /// Serve by TLS: a chain of certificates, the server's own first, as PEM; read again at SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's key, as PEM, which nobody but its owner may read
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// How functions are kept apart: the strongest that works here, the whole jail or no start, or
    /// plain processes
    #[arg(long, value_enum, default_value = "auto", value_name = "auto|strict|process")]
    pub(crate) isolation: IsolationName,
    /// What functions in jails reach beyond themselves: nothing, or the internet by IPv4 from this
    /// machine's address: by slirp4netns (user; auto does without where it does not work), by this
    /// machine's own sockets (host, TCP alone, on Linux 6.7 or later), or by its forwarding (nat, as root,
    /// with ip and nft; sets net.ipv4.ip_forward)
    #[arg(long, value_enum, default_value = "auto", value_name = "auto|user|host|nat|none")]
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
    /// Directory whose directories are buckets: code is taken from DIR/<S3Bucket>/<S3Key>
    #[arg(long, value_name = "DIR")]
    pub(crate) buckets: Option<PathBuf>,
    /// Development: a directory at or below DIR may be a function's code as it is (bucket hot-reload, its path as
    /// the key), and the next invocation after a change runs the new code; may be repeated
    #[arg(long, value_name = "DIR")]
    pub(crate) hot_reload: Vec<PathBuf>,
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
