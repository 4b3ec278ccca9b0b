//! The platform's own log lines, INIT_START to REPORT, in text (node-runtime §7.4,
//! aws-behaviour 25–28) and as JSON events, which the system log level filters.

use std::fmt::Write as _;
use std::time::Duration;

use crate::function::LogFormat;
use crate::invocation::RequestId;
use crate::lifecycle::{Line, Phase, Status};
use crate::provisioned::Initialization;
use crate::runtime::{Generation, Runtime, host_architecture};
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// What the lines of one environment have in common.
#[derive(Debug, Clone)]
pub struct Speaker {
    /// Function's runtime.
    pub runtime: Runtime,
    /// Node.js's full version.
    pub node_version: String,
    /// Region, for the runtime version's ARN.
    pub region: String,
    /// The architecture the function asks for, where this machine's is another.
    pub foreign_architecture: Option<String>,
    /// Function's name.
    pub function: String,
    /// `$LATEST` or a number.
    pub version: String,
    /// Megabytes of the function.
    pub memory_mb: u32,
    /// Text or JSON.
    pub format: LogFormat,
    /// Lowest level of JSON events.
    pub level: SystemLevel,
    /// Why its environment is initialised.
    pub initialization: Initialization,
}

/// AWS's `SystemLogLevel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SystemLevel {
    /// All.
    Debug,
    /// The default.
    Info,
    /// Only what went wrong.
    Warn,
}

impl SystemLevel {
    /// From the value on the wire; `INFO` where there is none.
    #[must_use]
    pub fn from_setting(text: Option<&str>) -> Self {
        match text {
            Some("DEBUG") => Self::Debug,
            Some("WARN") => Self::Warn,
            Some(_) | None => Self::Info,
        }
    }
}

/// What a line says beyond the machine's decision.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// When it is said.
    pub at: Timestamp,
    /// Which invocation; `None` in an init ahead of any.
    pub request_id: Option<RequestId>,
    /// Error type that the process posted, for `Status: error`.
    pub error_type: Option<&'a str>,
    /// Most memory used so far, in bytes, measured.
    pub peak_memory: u64,
    /// What the function was told of its trace, where that is lambkin's to record.
    pub trace: Option<TraceContext>,
}

impl Speaker {
    /// The line's text, without the newline at its end; `None` where this format or level has no
    /// such line.
    #[must_use]
    pub fn say(&self, line: Line, facts: &Facts<'_>) -> Option<String> {
        match self.format {
            LogFormat::Text => self.text(line, facts),
            LogFormat::Json => self.json(line, facts),
        }
    }

    fn text(&self, line: Line, facts: &Facts<'_>) -> Option<String> {
        let id = Id(facts.request_id);
        Some(match line {
            Line::InitStart(Phase::Init) => {
                let mut text = format!(
                    "INIT_START Runtime Version: {}\tRuntime Version ARN: {}",
                    self.runtime_version(),
                    self.runtime.version_arn(&self.region)
                );
                if let Some(asked) = &self.foreign_architecture {
                    write!(text, "\tArchitecture: {} instead of {asked}", host_architecture())
                        .expect("a String takes all");
                }
                text
            }
            // A suppressed init does not announce itself.
            Line::InitStart(Phase::Invoke) => return None,
            Line::InitReport { status: Status::Success, .. } => return None,
            Line::InitReport { phase, took, status } => {
                let mut text =
                    format!("INIT_REPORT Init Duration: {} ms\tPhase: {}", Ms(took), phase_name(phase));
                self.text_status(&mut text, status, facts);
                text
            }
            Line::Start => format!("START RequestId: {id} Version: {}", self.version),
            Line::End { .. } => format!("END RequestId: {id}"),
            Line::Report { took, init, status } => {
                let mut text = String::with_capacity(192);
                let billed = billed_ms(took, init);
                let memory = megabytes(facts.peak_memory);
                write!(
                    text,
                    "REPORT RequestId: {id}\tDuration: {} ms\tBilled Duration: {billed} ms\tMemory Size: {} MB\t\
                     Max Memory Used: {memory} MB",
                    Ms(took),
                    self.memory_mb
                )
                .expect("a String takes all");
                if let Some(init) = init {
                    write!(text, "\tInit Duration: {} ms", Ms(init)).expect("a String takes all");
                }
                self.text_status(&mut text, status, facts);
                text.push('\t');
                if let Some(TraceContext { trace, parent, .. }) = facts.trace {
                    write!(text, "\nXRAY TraceId: {trace}\t").expect("a String takes all");
                    if let Some(segment) = parent {
                        write!(text, "SegmentId: {segment}\t").expect("a String takes all");
                    }
                    text.push_str("Sampled: true\t");
                }
                text
            }
            Line::TimedOut(timeout) => {
                format!("{} {id} Task timed out after {} seconds\n", facts.at.iso(), seconds(timeout))
            }
            Line::Fault(status) => match self.runtime.generation() {
                Generation::G1 | Generation::G1b => {
                    format!("RequestId: {id} Process exited before completing request\n")
                }
                Generation::G2 | Generation::G3 => {
                    format!("RequestId: {id} Error: {status}\nRuntime.ExitError")
                }
            },
        })
    }

    /// `Status: …` is said of what the platform found; an error that a handler reported is a
    /// success to it in text.
    fn text_status(&self, text: &mut String, status: Status, facts: &Facts<'_>) {
        match status {
            Status::Success | Status::Error => {}
            Status::Timeout => text.push_str("\tStatus: timeout"),
            Status::InitError | Status::Exited(_) | Status::LaunchFailed => {
                text.push_str("\tStatus: error\tError Type: ");
                text.push_str(&platform_error_type(status, facts.error_type));
            }
        }
    }

    fn json(&self, line: Line, facts: &Facts<'_>) -> Option<String> {
        use serde_json::json;
        let id = facts.request_id.map(|id| id.to_string());
        let (level, kind, mut record) = match line {
            Line::InitStart(phase) => {
                let mut record = json!({
                    "initializationType": self.initialization.as_str(),
                    "phase": phase_name(phase),
                    "runtimeVersion": self.runtime_version(),
                    "runtimeVersionArn": self.runtime.version_arn(&self.region),
                    "functionName": self.function,
                    "functionVersion": self.version,
                });
                if let Some(asked) = &self.foreign_architecture {
                    record["architecture"] = json!(host_architecture());
                    record["requestedArchitecture"] = json!(asked);
                }
                (SystemLevel::Info, "platform.initStart", record)
            }
            Line::InitReport { phase, took, status } => (
                if status == Status::Success { SystemLevel::Debug } else { SystemLevel::Warn },
                "platform.initReport",
                json!({
                    "initializationType": self.initialization.as_str(),
                    "phase": phase_name(phase),
                    "status": status_name(status),
                    "metrics": { "durationMs": rounded(took) },
                }),
            ),
            Line::Start => {
                (SystemLevel::Info, "platform.start", json!({ "requestId": id, "version": self.version }))
            }
            Line::End { took, status } => (
                if status == Status::Success { SystemLevel::Debug } else { SystemLevel::Warn },
                "platform.runtimeDone",
                json!({
                    "requestId": id,
                    "status": status_name(status),
                    "metrics": { "durationMs": rounded(took) },
                }),
            ),
            Line::Report { took, init, status } => {
                let mut metrics = json!({
                    "durationMs": rounded(took),
                    "billedDurationMs": billed_ms(took, init),
                    "memorySizeMB": self.memory_mb,
                    "maxMemoryUsedMB": megabytes(facts.peak_memory),
                });
                if let Some(init) = init {
                    metrics["initDurationMs"] = json!(rounded(init));
                }
                (
                    if status == Status::Success { SystemLevel::Info } else { SystemLevel::Warn },
                    "platform.report",
                    json!({ "requestId": id, "metrics": metrics, "status": status_name(status) }),
                )
            }
            // Part of the report's status in this format.
            Line::TimedOut(_) | Line::Fault(_) => return None,
        };
        if level < self.level {
            return None;
        }
        if let Line::InitReport { status, .. } | Line::End { status, .. } | Line::Report { status, .. } = line
            && !matches!(status, Status::Success | Status::Timeout)
        {
            record["errorType"] = json!(platform_error_type(status, facts.error_type));
        }
        if let (Line::Start | Line::End { .. } | Line::Report { .. }, Some(trace)) = (line, facts.trace) {
            record["tracing"] = json!({ "type": "X-Amzn-Trace-Id", "value": trace.to_string() });
            if let Some(segment) = trace.parent {
                record["tracing"]["spanId"] = json!(segment.to_string());
            }
        }
        Some(json!({ "time": facts.at.iso(), "type": kind, "record": record }).to_string())
    }

    fn runtime_version(&self) -> String {
        format!("nodejs:{}.v{}", self.runtime.major(), self.node_version)
    }
}

/// RAPID's rule: only `Runtime.Xxx` and `Function.Xxx` pass, anything else is unknown (§9.1). A
/// crash is the platform's own finding, whatever was posted before.
fn platform_error_type(status: Status, posted: Option<&str>) -> String {
    match status {
        Status::Exited(_) => "Runtime.ExitError".into(),
        Status::LaunchFailed => "Runtime.LaunchError".into(),
        Status::Success | Status::Error | Status::InitError | Status::Timeout => {
            let passes = |text: &&str| {
                text.split_once('.').is_some_and(|(kind, rest)| {
                    (kind == "Runtime" || kind == "Function")
                        && rest.len() > 1
                        && rest.starts_with(|first: char| first.is_ascii_uppercase())
                        && rest.bytes().all(|byte| byte.is_ascii_alphabetic())
                })
            };
            posted.filter(passes).unwrap_or("Runtime.Unknown").into()
        }
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Init => "init",
        Phase::Invoke => "invoke",
    }
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Success => "success",
        Status::Error | Status::InitError | Status::LaunchFailed => "error",
        Status::Exited(_) => "failure",
        Status::Timeout => "timeout",
    }
}

/// Init is billed too since August 2025, and each begun millisecond counts.
fn billed_ms(took: Duration, init: Option<Duration>) -> u128 {
    (took + init.unwrap_or_default()).as_micros().div_ceil(1000)
}

/// Begun megabytes.
fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}

/// A timeout as AWS prints it: `3.00`.
#[must_use]
pub fn seconds(micros: u64) -> String {
    format!("{}.{:02}", micros / 1_000_000, micros % 1_000_000 / 10_000)
}

fn rounded(took: Duration) -> f64 {
    // Micros of a quarter of an hour fit exactly.
    (took.as_secs_f64() * 1e6).round() / 1e3
}

/// Milliseconds with two decimals.
struct Ms(Duration);

impl std::fmt::Display for Ms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hundredths = (self.0.as_micros() + 5) / 10;
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

struct Id(Option<RequestId>);

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(id) => id.fmt(f),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitStatus;

    fn speaker(runtime: &str, format: LogFormat) -> Speaker {
        Speaker {
            runtime: Runtime::from_name(runtime).unwrap(),
            node_version: "18.20.8".into(),
            region: "us-east-1".into(),
            foreign_architecture: None,
            function: "f".into(),
            version: "$LATEST".into(),
            memory_mb: 128,
            format,
            level: SystemLevel::Info,
            initialization: Initialization::OnDemand,
        }
    }

    fn facts() -> Facts<'static> {
        Facts {
            at: Timestamp(1_767_323_045_678_901),
            request_id: Some(RequestId([0xab; 16])),
            error_type: Some("Runtime.ImportModuleError"),
            peak_memory: 93 * 1024 * 1024 - 7,
            trace: None,
        }
    }

    const ID: &str = "abababab-abab-abab-abab-abababababab";

    #[test]
    fn text_lines_are_aws_s() {
        let took = Duration::from_micros(2_356_360);
        let init = Some(Duration::from_micros(204_580));
        for (runtime, line, expected) in [
            ("nodejs18.x", Line::Start, format!("START RequestId: {ID} Version: $LATEST")),
            ("nodejs18.x", Line::End { took, status: Status::Success }, format!("END RequestId: {ID}")),
            (
                "nodejs18.x",
                Line::Report { took, init, status: Status::Success },
                format!(
                    "REPORT RequestId: {ID}\tDuration: 2356.36 ms\tBilled Duration: 2561 ms\tMemory Size: 128 MB\t\
                     Max Memory Used: 93 MB\tInit Duration: 204.58 ms\t"
                ),
            ),
            (
                "nodejs18.x",
                Line::Report { took: Duration::from_micros(3_000_000), init: None, status: Status::Timeout },
                format!(
                    "REPORT RequestId: {ID}\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 128 MB\t\
                     Max Memory Used: 93 MB\tStatus: timeout\t"
                ),
            ),
            (
                "nodejs18.x",
                Line::InitReport { phase: Phase::Init, took: Duration::from_micros(229_040), status: Status::InitError },
                "INIT_REPORT Init Duration: 229.04 ms\tPhase: init\tStatus: error\tError Type: Runtime.ImportModuleError"
                    .into(),
            ),
            (
                "nodejs18.x",
                Line::InitReport { phase: Phase::Init, took: Duration::from_micros(10_009_130), status: Status::Timeout },
                "INIT_REPORT Init Duration: 10009.13 ms\tPhase: init\tStatus: timeout".into(),
            ),
            (
                "nodejs18.x",
                Line::TimedOut(3_000_000),
                format!("2026-01-02T03:04:05.678Z {ID} Task timed out after 3.00 seconds\n"),
            ),
            (
                "nodejs18.x",
                Line::Fault(ExitStatus::Code(128)),
                format!("RequestId: {ID} Error: Runtime exited with error: exit status 128\nRuntime.ExitError"),
            ),
            (
                "nodejs6.10",
                Line::Fault(ExitStatus::Code(1)),
                format!("RequestId: {ID} Process exited before completing request\n"),
            ),
        ] {
            assert_eq!(speaker(runtime, LogFormat::Text).say(line, &facts()), Some(expected));
        }
    }

    #[test]
    fn a_foreign_architecture_is_said_at_the_start() {
        let foreign =
            Speaker { foreign_architecture: Some("other".into()), ..speaker("nodejs22.x", LogFormat::Text) };
        let said = foreign.say(Line::InitStart(Phase::Init), &facts()).unwrap();
        assert!(
            said.ends_with(&format!("\tArchitecture: {} instead of other", host_architecture())),
            "{said}"
        );
    }

    #[test]
    fn a_recorded_trace_is_said() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let facts = Facts { trace: TraceContext::recorded(header), ..facts() };
        let report = Line::Report { took: Duration::from_micros(2_360), init: None, status: Status::Success };
        let text = speaker("nodejs22.x", LogFormat::Text).say(report, &facts).unwrap();
        let xray = "\t\nXRAY TraceId: 1-5759e988-bd862e3fe1be46a994272793\tSegmentId: 53995c3f42cd8ad8\tSampled: true\t";
        assert!(text.ends_with(xray), "{text}");
        for line in [Line::Start, report] {
            let said = speaker("nodejs22.x", LogFormat::Json).say(line, &facts).unwrap();
            let said: serde_json::Value = serde_json::from_str(&said).unwrap();
            let tracing = serde_json::json!({ "type": "X-Amzn-Trace-Id", "value": header, "spanId": "53995c3f42cd8ad8" });
            assert_eq!(said["record"]["tracing"], tracing);
        }
    }

    #[test]
    fn json_events_follow_the_system_level() {
        let mut speaker = speaker("nodejs22.x", LogFormat::Json);
        let took = Duration::from_micros(2_360);
        let start: serde_json::Value =
            serde_json::from_str(&speaker.say(Line::Start, &facts()).unwrap()).unwrap();
        assert_eq!(start["type"], "platform.start");
        assert_eq!(start["record"]["requestId"], ID);
        let done = Line::End { took, status: Status::Success };
        assert_eq!(speaker.say(done, &facts()), None, "runtimeDone is DEBUG where it went well");
        speaker.level = SystemLevel::Debug;
        assert!(speaker.say(done, &facts()).is_some());
        speaker.level = SystemLevel::Warn;
        assert_eq!(speaker.say(Line::Start, &facts()), None);
        let failed = Line::Report { took, init: None, status: Status::Exited(ExitStatus::Code(1)) };
        let report: serde_json::Value =
            serde_json::from_str(&speaker.say(failed, &facts()).unwrap()).unwrap();
        assert_eq!(report["record"]["status"], "failure");
        assert_eq!(report["record"]["errorType"], "Runtime.ExitError");
        assert_eq!(report["record"]["metrics"]["durationMs"], 2.36);
    }
}
