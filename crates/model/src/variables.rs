//! The variables that a function's process sees (node-runtime §8.1–8.3, aws-behaviour 21).

use std::collections::BTreeMap;
use std::path::Path;

use crate::function::{Configuration, LogFormat};
use crate::name::FunctionKey;
use crate::provisioned::Initialization;
use crate::runtime::Runtime;
use crate::sandbox::Layout;
use crate::services::{Credentials, SERVED};

/// Keys that a function's configuration cannot set (node-runtime §8.3).
const RESERVED: [&str; 19] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// Whether a configuration may not set this key.
#[must_use]
pub fn is_reserved(key: &str) -> bool {
    RESERVED.contains(&key)
}

/// What the variables are made of.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Which function.
    pub key: &'a FunctionKey,
    /// `$LATEST` or a number.
    pub version: &'a str,
    /// What the caller set.
    pub configuration: &'a Configuration,
    /// Where its directories are.
    pub layout: &'a Layout,
    /// Log stream of the environment.
    pub log_stream: &'a str,
    /// What its AWS clients sign with.
    pub credentials: &'a Credentials,
    /// Where it reaches lambkin's own services, `http://127.0.0.1:4566`; `None`: nowhere.
    pub services: Option<&'a str>,
    /// Why its environment is initialised.
    pub initialization: Initialization,
}

/// All variables of the process. Precedence: the function's own (those that begin with `_` are
/// dropped, as RAPID does), under what AWS presets only, under what AWS reserves.
#[must_use]
pub fn variables(subject: &Subject<'_>) -> BTreeMap<String, String> {
    let Subject { key, version, configuration, layout, log_stream, credentials, services, initialization } =
        subject;
    let runtime = configuration.runtime;
    let mut all = of_node(runtime, layout);
    let mut preset = |name: &str, value: String| all.insert(name.to_owned(), value);
    preset("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".into());
    // The X-Ray daemon's address, by UDP: nothing is there, as in AWS's own emulator, and the X-Ray
    // SDK's segments go nowhere without an error.
    preset("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000".into());
    if let Some(tmp) = &layout.tmp {
        preset("TMPDIR", text(tmp));
    }
    let own = |name: &str| configuration.variables.as_ref().is_some_and(|all| all.contains_key(name));
    // A function that says where AWS is means it for every service.
    if let Some(endpoint) = services.filter(|_| !own("AWS_ENDPOINT_URL")) {
        for service in SERVED {
            preset(&format!("AWS_ENDPOINT_URL_{service}"), endpoint.to_owned());
        }
    }
    for (name, value) in configuration.variables.iter().flatten() {
        if !name.starts_with('_') {
            // Node.js reads this one before any code runs that could find the directory: AWS tells
            // functions to set it to /var/runtime/ca-cert.pem, or to a file of their own.
            let value = if name == "NODE_EXTRA_CA_CERTS" { layout.inside(value) } else { value.clone() };
            all.insert(name.clone(), value);
        }
    }
    let mut fixed = |name: &str, value: String| all.insert(name.to_owned(), value);
    fixed("_HANDLER", configuration.handler.clone());
    fixed("AWS_REGION", key.region.to_string());
    fixed("AWS_DEFAULT_REGION", key.region.to_string());
    fixed("AWS_ACCESS_KEY_ID", credentials.access_key_id.clone());
    fixed("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.clone());
    if let Some(token) = &credentials.session_token {
        fixed("AWS_SESSION_TOKEN", token.clone());
    }
    fixed("AWS_EXECUTION_ENV", format!("AWS_Lambda_{runtime}"));
    fixed("AWS_LAMBDA_FUNCTION_NAME", key.name.to_string());
    fixed("AWS_LAMBDA_FUNCTION_VERSION", (*version).to_owned());
    fixed("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", configuration.memory_size.to_string());
    fixed("AWS_LAMBDA_LOG_GROUP_NAME", configuration.logging.group_or_default(&key.name));
    fixed("AWS_LAMBDA_LOG_STREAM_NAME", (*log_stream).to_owned());
    fixed("LAMBDA_TASK_ROOT", text(&layout.task_root));
    fixed("LAMBDA_RUNTIME_DIR", text(&layout.runtime_dir));
    fixed("_AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1".into());
    fixed("_AWS_XRAY_DAEMON_PORT", "2000".into());
    if runtime.major() >= 10 {
        fixed("AWS_LAMBDA_INITIALIZATION_TYPE", initialization.as_str().into());
        fixed("PWD", text(&layout.task_root));
        fixed("SHLVL", "0".into());
    }
    if configuration.logging.format == LogFormat::Json {
        fixed("AWS_LAMBDA_LOG_FORMAT", "JSON".into());
        if let Some(level) = &configuration.logging.application_level {
            fixed("AWS_LAMBDA_LOG_LEVEL", level.clone());
        }
    }
    all
}

/// What Node.js and its libraries read at their start, the same for all functions of a runtime.
fn of_node(runtime: Runtime, layout: &Layout) -> BTreeMap<String, String> {
    let path =
        format!("{}:/usr/local/bin:/usr/bin/:/bin:{}", text(&layout.bin), text(&layout.opt.join("bin")));
    [
        ("LANG", "en_US.UTF-8".into()),
        ("TZ", ":UTC".into()),
        ("PATH", path),
        ("LD_LIBRARY_PATH", library_path(layout)),
        ("NODE_PATH", node_path(layout, runtime.major())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The variables of a generic process (`docs/channel.md`), until it is given a function's.
#[must_use]
pub fn generic_variables(runtime: Runtime, layout: &Layout) -> BTreeMap<String, String> {
    let mut all = of_node(runtime, layout);
    all.insert("LAMBDA_RUNTIME_DIR".into(), text(&layout.runtime_dir));
    // Its name begins with `_`, so no function has it.
    all.insert("_LAMBKIN_GENERIC".into(), "1".into());
    all
}

/// Beginnings of names, and names, that Node.js, V8, libuv, the C library, ICU or OpenSSL read when
/// they start, or that change what is started. `HOME`: two of Node.js's module directories are there.
const AT_START: [&str; 10] =
    ["NODE_", "LD_", "UV_", "LC_", "SSL_", "OPENSSL_", "MALLOC_", "GLIBC_", "LANG", "TZ"];
const AT_START_EXACTLY: [&str; 3] = ["HOME", "LOCPATH", "AWS_LAMBDA_EXEC_WRAPPER"];

/// Whether this variable must be there when the process starts: a function that sets it cannot be
/// given a process that was booted before.
#[must_use]
pub fn is_read_at_start(name: &str) -> bool {
    AT_START.iter().any(|beginning| name.starts_with(beginning)) || AT_START_EXACTLY.contains(&name)
}

fn library_path(layout: &Layout) -> String {
    let lib = layout.bin.parent().map_or_else(|| text(&layout.bin), |lang| text(&lang.join("lib")));
    let (runtime, task) = (text(&layout.runtime_dir), text(&layout.task_root));
    format!(
        "{lib}:/lib64:/usr/lib64:{runtime}:{runtime}/lib:{task}:{task}/lib:{}",
        text(&layout.opt.join("lib"))
    )
}

fn node_path(layout: &Layout, major: u32) -> String {
    let (opt, runtime, task) = (text(&layout.opt), text(&layout.runtime_dir), text(&layout.task_root));
    let modules = text(&layout.modules);
    let layers = format!("{opt}/nodejs/node{major}/node_modules:{opt}/nodejs/node_modules:{modules}");
    match major {
        4..=8 => format!("{layers}:{runtime}:{task}:{modules}"),
        10 | 12 => layers,
        _ => format!("{layers}:{runtime}:{task}"),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_functions_write_follow_the_layout() {
        let layout = Layout {
            task_root: "/a/task".into(),
            runtime_dir: "/b/runtime".into(),
            modules: "/runtime/node_modules".into(),
            bin: "/bin".into(),
            opt: "/c/opt".into(),
            tmp: None,
            services: None,
        };
        for (written, found) in [
            ("/var/task/w.sh", "/a/task/w.sh"),
            ("/var/runtime/ca-cert.pem", "/b/runtime/ca-cert.pem"),
            ("/opt/x/y", "/c/opt/x/y"),
            ("/etc/ssl/certs/ca.pem", "/etc/ssl/certs/ca.pem"),
            ("var/task/w", "var/task/w"),
            ("/var/tasks", "/var/tasks"),
        ] {
            assert_eq!(layout.inside(written), found);
        }
    }

    #[test]
    fn some_must_be_there_at_the_start() {
        for name in [
            "NODE_OPTIONS",
            "NODE_EXTRA_CA_CERTS",
            "LD_PRELOAD",
            "UV_THREADPOOL_SIZE",
            "TZ",
            "LANG",
            "LANGUAGE",
            "LC_ALL",
            "SSL_CERT_FILE",
            "OPENSSL_CONF",
            "MALLOC_ARENA_MAX",
            "GLIBC_TUNABLES",
            "HOME",
            "AWS_LAMBDA_EXEC_WRAPPER",
        ] {
            assert!(is_read_at_start(name), "{name}");
        }
        for name in ["PATH", "MINE", "MY_NODE_ENV", "HOMEPAGE", "AWS_LAMBDA_LOG_LEVEL", "node_env"] {
            assert!(!is_read_at_start(name), "{name}");
        }
    }

    #[test]
    fn are_aws_s_in_a_jail() {
        let configuration = Configuration {
            variables: Some(
                [("TZ", "Europe/Berlin"), ("_X", "dropped"), ("MINE", "1"), ("AWS_REGION", "nowhere")]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
            ),
            ..Configuration::new(
                Runtime::from_name("nodejs22.x").unwrap(),
                String::new(),
                "index.handler".into(),
            )
        };
        let key =
            FunctionKey { account: "000000000000".into(), region: "us-east-1".into(), name: "f".into() };
        let layout = Layout {
            task_root: "/var/task".into(),
            runtime_dir: "/var/runtime".into(),
            modules: "/var/runtime/node_modules".into(),
            bin: "/var/lang/bin".into(),
            opt: "/opt".into(),
            tmp: None,
            services: None,
        };
        let subject = Subject {
            key: &key,
            version: "$LATEST",
            configuration: &configuration,
            layout: &layout,
            log_stream: "s",
            credentials: &Credentials::nowhere(),
            services: Some("http://127.0.0.1:4566"),
            initialization: Initialization::OnDemand,
        };
        let all = variables(&subject);
        for (name, value) in [
            ("PATH", "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
            (
                "LD_LIBRARY_PATH",
                "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
            ),
            (
                "NODE_PATH",
                "/opt/nodejs/node22/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task",
            ),
            ("TZ", "Europe/Berlin"),
            ("MINE", "1"),
            ("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:4566"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f"),
        ] {
            assert_eq!(all.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!all.contains_key("_X"));
        assert!(!all.contains_key("AWS_LAMBDA_LOG_FORMAT"));
        for (name, expected) in [("AWS_ENDPOINT_URL_LAMBDA", Some("mine")), ("AWS_ENDPOINT_URL", None)] {
            let configuration = Configuration {
                variables: Some([(name.to_owned(), "mine".to_owned())].into()),
                ..configuration.clone()
            };
            let all = variables(&Subject { configuration: &configuration, ..subject });
            assert_eq!(all.get("AWS_ENDPOINT_URL_LAMBDA").map(String::as_str), expected, "{name} is its own");
        }
    }
}
