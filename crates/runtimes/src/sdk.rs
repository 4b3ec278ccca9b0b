//! The AWS SDK for JavaScript beside the runtimes: which packages and versions, and their
//! installation through npm into the cache.
//!
//! `sdk/<line>/node_modules` is a link to the newest of the trees in `sdk/<line>/sets/`. A further
//! package makes a new tree, its files linked from the last, and then the link moves: running
//! functions resolve through real paths and keep the tree they started with. A line's name holds
//! its version, so that another lambkin with other pins shares the cache without harm.
//!
//! Deliberately not here: finding out what a function's code refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lambkin_model::runtime::{Runtime, RuntimeError, Sdk};

use crate::cache::Cache;
use crate::source::npm::{Npm, NpmError, private_project};
use crate::source::{SourceError, Stop};

/// One pinned SDK and the runtimes' own directory for it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    /// Name of the directory under `sdk/`.
    pub(crate) directory: &'static str,
    generation: Sdk,
    version: &'static str,
}

/// The last v2 that constructs a client on Node.js 4; later ones call `Array.prototype.includes`.
static V2_NODE4: Line = Line { directory: "v2-2.1000.0", generation: Sdk::V2, version: "2.1000.0" };
/// The last v2 there will be.
static V2: Line = Line { directory: "v2-2.1693.0", generation: Sdk::V2, version: "2.1693.0" };
/// A v3 that supports Node.js 18; later ones print a warning on 18 and then on 20.
static V3_NODE18: Line = Line { directory: "v3-3.936.0", generation: Sdk::V3, version: "3.936.0" };
static V3: Line = Line { directory: "v3-3.1169.0", generation: Sdk::V3, version: "3.1169.0" };

/// The SDK of a runtime.
pub(crate) fn line(runtime: Runtime) -> &'static Line {
    match runtime.sdk() {
        Sdk::V2 if runtime.major() <= 4 => &V2_NODE4,
        Sdk::V2 => &V2,
        Sdk::V3 if runtime.major() <= 20 => &V3_NODE18,
        Sdk::V3 => &V3,
    }
}

/// What `install_sdk` installs of v3: the clients that functions commonly use, and the libraries
/// above them. AWS's runtimes carry every client; the others come when a function refers to them.
pub(crate) const COMMON_V3: [&str; 30] = [
    "@aws-sdk/client-apigatewaymanagementapi",
    "@aws-sdk/client-athena",
    "@aws-sdk/client-bedrock-runtime",
    "@aws-sdk/client-cloudwatch",
    "@aws-sdk/client-cloudwatch-logs",
    "@aws-sdk/client-cognito-identity-provider",
    "@aws-sdk/client-dynamodb",
    "@aws-sdk/client-dynamodb-streams",
    "@aws-sdk/client-ec2",
    "@aws-sdk/client-ecs",
    "@aws-sdk/client-eventbridge",
    "@aws-sdk/client-firehose",
    "@aws-sdk/client-kinesis",
    "@aws-sdk/client-kms",
    "@aws-sdk/client-lambda",
    "@aws-sdk/client-rds-data",
    "@aws-sdk/client-s3",
    "@aws-sdk/client-scheduler",
    "@aws-sdk/client-secrets-manager",
    "@aws-sdk/client-ses",
    "@aws-sdk/client-sesv2",
    "@aws-sdk/client-sfn",
    "@aws-sdk/client-sns",
    "@aws-sdk/client-sqs",
    "@aws-sdk/client-ssm",
    "@aws-sdk/client-sts",
    "@aws-sdk/credential-providers",
    "@aws-sdk/lib-dynamodb",
    "@aws-sdk/lib-storage",
    "@aws-sdk/s3-request-presigner",
];

impl Line {
    /// The commonly used packages.
    pub(crate) fn common(&self) -> BTreeSet<String> {
        match self.generation {
            Sdk::V2 => BTreeSet::from(["aws-sdk".to_owned()]),
            Sdk::V3 => COMMON_V3.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    /// Whether AWS's runtime would have a package of this name. What it would not have is not
    /// installed either, and the function's `require` fails as it does on AWS.
    fn has(&self, package: &str) -> bool {
        let name = match self.generation {
            Sdk::V2 => return package == "aws-sdk",
            Sdk::V3 => package.strip_prefix("@aws-sdk/").or_else(|| package.strip_prefix("@smithy/")),
        };
        name.is_some_and(|name| {
            name.len() <= 100
                && name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
    }

    /// The version asked of npm.
    ///
    /// v3 does not release every package with every version: the pinned one, or else the last
    /// before it, which is as fixed. `@smithy` packages count for themselves: npm takes what fits
    /// the pinned clients.
    fn version_of(&self, package: &str) -> String {
        match self.generation {
            Sdk::V2 => self.version.to_owned(),
            Sdk::V3 if package.starts_with("@smithy/") => "*".to_owned(),
            Sdk::V3 => format!("<={}", self.version),
        }
    }

    fn path(&self, cache: &Cache) -> PathBuf {
        cache.root().join("sdk").join(self.directory)
    }

    /// What is `/var/runtime/node_modules` for functions.
    pub(crate) fn modules(&self, cache: &Cache) -> PathBuf {
        self.path(cache).join("node_modules")
    }

    /// Which of these packages are not on this machine. Local and quick.
    pub(crate) fn missing(&self, cache: &Cache, packages: &BTreeSet<String>) -> BTreeSet<String> {
        let modules = self.modules(cache);
        let there = |package: &String| {
            modules.join(package).join("package.json").is_file()
                || self.path(cache).join("absent").join(marker(package)).is_file()
        };
        packages.iter().filter(|package| self.has(package) && !there(package)).cloned().collect()
    }
}

/// Installs what is missing of these packages. Blocks; has its own deadlines.
///
/// # Errors
/// [`RuntimeError::Unavailable`] where there is no npm or npm cannot do it.
pub(crate) fn install(
    cache: &Cache,
    npm: Option<&Npm>,
    line: &Line,
    packages: &BTreeSet<String>,
    stop: &Stop,
) -> Result<(), RuntimeError> {
    if line.missing(cache, packages).is_empty() {
        return Ok(());
    }
    install_locked(cache, npm, line, packages, stop).map_err(|error| {
        let list: Vec<_> = packages.iter().map(String::as_str).collect();
        RuntimeError::Unavailable(format!(
            "The AWS SDK for JavaScript {} ({}) could not be installed: {error}. What to do: install npm (its registry and \
             proxy settings are used), or put the packages into the function's own node_modules, or run \
             `lambkin runtimes install --with-sdk` on a machine with npm and a network and copy its cache directory to {}.",
            line.version,
            list.join(", "),
            cache.root().display(),
        ))
    })
}

fn install_locked(
    cache: &Cache,
    npm: Option<&Npm>,
    line: &Line,
    packages: &BTreeSet<String>,
    stop: &Stop,
) -> Result<(), SourceError> {
    let npm = npm.ok_or_else(|| SourceError::Failed("it comes through npm, which is switched off".into()))?;
    let _lock = cache.lock(&format!("sdk-{}", line.directory), stop)?;
    let mut missing = line.missing(cache, packages);
    let mut absent: BTreeSet<String> = BTreeSet::new();
    while !missing.is_empty() {
        match install_set(cache, npm, line, &missing, stop) {
            Ok(()) => {
                // Only now: a registry that has nothing at all is out of order, and no proof.
                return absent.iter().try_for_each(|package| mark_absent(cache, line, package));
            }
            Err(NpmError::Refused(said)) => {
                let unknown = unknown_package(&said, &missing);
                let Some(package) = unknown.filter(|_| missing.len() > 1) else {
                    return Err(NpmError::Refused(said).into());
                };
                tracing::warn!(
                    "{package} is not in the AWS SDK for JavaScript {}; functions will not find it",
                    line.version
                );
                missing.remove(&package);
                absent.insert(package);
            }
            Err(error @ (NpmError::Missing(..) | NpmError::Source(_))) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Makes a tree of what is there and what is missing, and moves the link to it.
fn install_set(
    cache: &Cache,
    npm: &Npm,
    line: &Line,
    missing: &BTreeSet<String>,
    stop: &Stop,
) -> Result<(), NpmError> {
    let io = |error| SourceError::io("the SDK's directory", error);
    let path = line.path(cache);
    let current = fs::canonicalize(line.modules(cache)).ok().and_then(|tree| Some(tree.parent()?.to_owned()));

    let mut wanted = missing.clone();
    wanted.extend(missing.iter().filter_map(|package| companion(package)).map(str::to_owned));
    wanted.extend(current.iter().flat_map(|set| dependencies(set)));

    let staging = cache.staging().map_err(io)?;
    // Not the staging directory itself, which is private; this one has the usual mode.
    let set = staging.path().join("set");
    fs::create_dir(&set).map_err(io)?;
    if let Some(current) = &current {
        link_tree(&current.join("node_modules"), &set.join("node_modules"), true).map_err(io)?;
    }
    let project = wanted.iter().map(|package| (package.clone(), line.version_of(package).into())).collect();
    private_project(&set, &project)?;
    let prefix = set.display().to_string();
    let label = format!("npm install {}", missing.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
    npm.run(
        &set,
        &[
            "install",
            "--no-save",
            "--no-package-lock",
            "--no-bin-links",
            "--install-strategy=hoisted",
            "--engine-strict=false",
            "--prefix",
            &prefix,
        ],
        &label,
        stop,
    )?;
    if let Some(lacking) =
        missing.iter().find(|package| !set.join("node_modules").join(package).join("package.json").is_file())
    {
        return Err(SourceError::Failed(format!("npm ended well, but {lacking} is not there")).into());
    }
    publish(&path, &set).map_err(io)?;
    tracing::info!("installed beside the runtimes: {label}");
    Ok(())
}

/// Moves a finished tree to its place and points the link at it.
fn publish(path: &Path, set: &Path) -> io::Result<()> {
    let sets = path.join("sets");
    fs::create_dir_all(&sets)?;
    let last = fs::read_dir(&sets)?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .unwrap_or(0);
    let number = (last + 1).to_string();
    fs::rename(set, sets.join(&number))?;
    link(&path.join("node_modules"), &Path::new("sets").join(number).join("node_modules"))
}

/// Points `path` at `target`, by a rename over whatever link was there.
fn link(path: &Path, target: &Path) -> io::Result<()> {
    if fs::read_link(path).is_ok_and(|found| found == target) {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let temporary =
        tempfile::Builder::new().make_in(directory, |name| std::os::unix::fs::symlink(target, name))?;
    temporary.into_temp_path().persist(path)?;
    Ok(())
}

/// The libraries that leave their client to the user, whose newest npm would otherwise choose.
fn companion(package: &str) -> Option<&'static str> {
    match package {
        "@aws-sdk/lib-dynamodb" => Some("@aws-sdk/client-dynamodb"),
        "@aws-sdk/lib-storage" => Some("@aws-sdk/client-s3"),
        _ => None,
    }
}

/// What a tree was asked to hold.
fn dependencies(set: &Path) -> Vec<String> {
    let project = fs::read(set.join("package.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<BTreeMap<String, serde_json::Value>>(&bytes).ok());
    let dependencies = project.as_ref().and_then(|project| project.get("dependencies")?.as_object());
    dependencies.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// The package that npm says does not exist, at all or in a version that fits.
fn unknown_package(said: &str, asked: &BTreeSet<String>) -> Option<String> {
    let lines = said.lines().filter(|line| line.contains(" 404 ") || line.contains("notarget"));
    // Names may begin alike: a name ends where its version begins.
    lines
        .flat_map(|line| line.split(|c: char| c.is_whitespace() || matches!(c, '\'' | '"')))
        .find_map(|word| {
            asked
                .iter()
                .find(|name| word.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('@')))
        })
        .cloned()
}

fn marker(package: &str) -> String {
    package.replace('/', "+")
}

fn mark_absent(cache: &Cache, line: &Line, package: &str) -> Result<(), SourceError> {
    let directory = line.path(cache).join("absent");
    fs::create_dir_all(&directory)
        .and_then(|()| fs::write(directory.join(marker(package)), ""))
        .map_err(|error| SourceError::io(directory.display().to_string(), error))
}

/// A second tree with the same files. npm replaces files and never writes into them, except for
/// its own notes at the top (their names begin with a dot), which stay behind.
fn link_tree(from: &Path, to: &Path, top: bool) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        if top && name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let target = to.join(&name);
        if kind.is_dir() {
            link_tree(&entry.path(), &target, false)?;
        } else if kind.is_file() && fs::hard_link(entry.path(), &target).is_err() {
            // A file system without hard links, or a file with too many.
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lambkin_model::runtime::Runtime;

    use super::{V2, V2_NODE4, V3, V3_NODE18, line, unknown_package};

    #[test]
    fn each_runtime_has_the_sdk_that_runs_on_it() {
        let of = |name| line(Runtime::from_name(name).unwrap());
        assert_eq!(of("nodejs4.3"), &V2_NODE4);
        assert_eq!(of("nodejs6.10"), &V2);
        assert_eq!(of("nodejs16.x"), &V2);
        assert_eq!(of("nodejs18.x"), &V3_NODE18);
        assert_eq!(of("nodejs20.x"), &V3_NODE18);
        assert_eq!(of("nodejs22.x"), &V3);
        assert_eq!(of("nodejs26.x"), &V3);
        for line in [&V2_NODE4, &V2, &V3_NODE18, &V3] {
            assert!(line.directory.ends_with(line.version), "{line:?}");
            assert!(line.common().iter().all(|package| line.has(package)));
        }
    }

    #[test]
    fn only_names_of_the_sdk_are_accepted() {
        for good in ["@aws-sdk/client-s3", "@smithy/node-http-handler", "@aws-sdk/types"] {
            assert!(V3.has(good), "{good}");
        }
        for bad in [
            "aws-sdk",
            "lodash",
            "@aws-sdk/",
            "@aws-sdk/../x",
            "@aws-sdk/a/b",
            "@aws-sdk/a b",
            "@aws-sdk/-g",
            "@x/y",
        ] {
            assert!(!V3.has(bad), "{bad}");
        }
        assert!(V2.has("aws-sdk") && !V2.has("@aws-sdk/client-s3"));
    }

    #[test]
    fn versions_are_pinned() {
        assert_eq!(V2.version_of("aws-sdk"), "2.1693.0");
        assert_eq!(V3.version_of("@aws-sdk/client-s3"), "<=3.1169.0");
        assert_eq!(V3.version_of("@smithy/types"), "*");
    }

    #[test]
    fn the_unknown_package_is_found_in_what_npm_says() {
        let asked = BTreeSet::from(["@aws-sdk/client-s3".to_owned(), "@aws-sdk/client-s3-nope".to_owned()]);
        let said =
            "npm error code E404\nnpm error 404  '@aws-sdk/client-s3-nope@<=3.1' is not in this registry.";
        assert_eq!(unknown_package(said, &asked).as_deref(), Some("@aws-sdk/client-s3-nope"));
        let said = "npm error code ETARGET\nnpm error notarget No matching version found for @aws-sdk/client-s3@<=3.1.";
        assert_eq!(unknown_package(said, &asked).as_deref(), Some("@aws-sdk/client-s3"));
        assert_eq!(unknown_package("npm error network ENOTFOUND @aws-sdk/client-s3@1", &asked), None);
    }
}
