//! The hot code port on directories below roots that the operator named. A change is told by the kernel
//! (inotify, FSEvents); nothing is copied and nothing is written.
//!
//! Deliberately not here: what a change retires (`invoke`).

mod watch;

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use lambkin_model::Pending;
use lambkin_model::hot_code::{Changes as _, HotCode, Watched};
use lambkin_model::quota;

use crate::sdk_references::SdkScan;
use watch::Watch;

/// Deeper directories are not looked into for references to the SDK.
const DEPTH: usize = 32;

/// Directories below these roots.
#[derive(Debug)]
pub struct HotDirectories(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    roots: Vec<PathBuf>,
    /// What is nobody's code: neither these directories, nor what is in them or around them.
    reserved: Vec<PathBuf>,
    /// One for each directory, while somebody holds it.
    watches: Mutex<HashMap<PathBuf, Weak<Watch>>>,
}

impl HotDirectories {
    /// Below these, which must be there. No code is what is in `reserved`, or around it.
    pub fn new(roots: &[PathBuf], reserved: &[PathBuf]) -> io::Result<Self> {
        let named = |root: &PathBuf| {
            fs::canonicalize(root)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", root.display())))
        };
        let roots = roots.iter().map(named).collect::<io::Result<Vec<_>>>()?;
        let reserved = reserved.iter().map(named).collect::<io::Result<Vec<_>>>()?;
        for root in &roots {
            if let Some(reserved) = reserved.iter().find(|reserved| root.starts_with(reserved)) {
                let text = format!("{} is in lambkin's own {}", root.display(), reserved.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        }
        Ok(Self(Arc::new(Inner { roots, reserved, watches: Mutex::default() })))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Inner) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || run(&inner)).await.map_err(|error| error.to_string())?
    }
}

impl HotCode for HotDirectories {
    fn look(&self, directory: PathBuf) -> Pending<'_, Result<(PathBuf, BTreeSet<String>), String>> {
        Box::pin(self.blocking(move |inner| {
            let directory = inner.allowed(&directory)?;
            let mut look = Look { scan: SdkScan::default(), left: quota::ZIP_ENTRIES };
            look.below(&directory, &mut Vec::new());
            Ok((directory, look.scan.missing()))
        }))
    }

    fn watch(&self, directory: PathBuf) -> Pending<'_, Result<Watched, String>> {
        Box::pin(self.blocking(move |inner| inner.watch(&directory)))
    }
}

impl Inner {
    fn allowed(&self, given: &Path) -> Result<PathBuf, String> {
        let shown = given.display();
        if !given.is_absolute() {
            return Err(format!("{shown} is not an absolute path."));
        }
        // What is outside is not told apart from what is not there.
        let outside = || {
            let roots: Vec<String> = self.roots.iter().map(|root| root.display().to_string()).collect();
            format!("{shown} is not a directory below {} (--hot-reload).", roots.join(" or "))
        };
        let found = fs::canonicalize(given).map_err(|_| outside())?;
        if !found.is_dir() || !self.roots.iter().any(|root| found.starts_with(root)) {
            return Err(outside());
        }
        if self.reserved.iter().any(|reserved| found.starts_with(reserved) || reserved.starts_with(&found)) {
            return Err(format!("{shown} has lambkin's own files in it, or is among them."));
        }
        Ok(found)
    }

    /// `given` is without links; one that has come on its way since leads elsewhere.
    fn watch(&self, given: &Path) -> Result<Watched, String> {
        let directory = self.allowed(given)?;
        if directory != given {
            return Err(format!("{} is now {}.", given.display(), directory.display()));
        }
        if let Some(watch) = self.watched(&directory) {
            return Ok(Watched { directory, changes: watch });
        }
        // Not under the lock: a large directory takes its time.
        let made = Watch::new(&directory)
            .map_err(|reason| format!("{} cannot be watched: {reason}", directory.display()))?;
        let mut watches = self.watches();
        let there = watches.get(&directory).and_then(Weak::upgrade).filter(|watch| watch.is_good());
        let watch = there.unwrap_or_else(|| {
            let made = Arc::new(made);
            watches.insert(directory.clone(), Arc::downgrade(&made));
            made
        });
        Ok(Watched { directory, changes: watch })
    }

    fn watches(&self) -> MutexGuard<'_, HashMap<PathBuf, Weak<Watch>>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What watches it already.
    fn watched(&self, directory: &Path) -> Option<Arc<Watch>> {
        let mut watches = self.watches();
        watches.retain(|_, watch| watch.strong_count() > 0);
        let watch = watches.get(directory)?.upgrade()?;
        drop(watches);
        watch.mark();
        watch.is_good().then_some(watch)
    }
}

/// Looks for references to the SDK. What cannot be read refers to nothing.
struct Look {
    scan: SdkScan,
    /// Entries that are still looked at.
    left: usize,
}

impl Look {
    fn below(&mut self, directory: &Path, path: &mut Vec<String>) {
        let Ok(entries) = fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else { continue };
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            path.push(name);
            let names: Vec<&str> = path.iter().map(String::as_str).collect();
            let wanted = self.scan.entry(&names);
            if kind.is_dir() && path.len() < DEPTH {
                self.below(&entry.path(), path);
            } else if kind.is_file() && wanted > 0 {
                let mut beginning = Vec::new();
                let read = File::open(entry.path())
                    .and_then(|file| file.take(wanted as u64).read_to_end(&mut beginning));
                if read.is_ok() {
                    self.scan.file(&beginning);
                }
            }
            path.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::watch::WATCHES;
    use super::*;

    fn eventually(condition: impl Fn() -> bool) -> Duration {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not happen");
            std::thread::yield_now();
        }
        begun.elapsed()
    }

    /// What the kernel watches for this process, of which nextest gives each test one.
    #[cfg(target_os = "linux")]
    fn kernel_watches() -> usize {
        let files = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
        let texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
        texts.map(|text| text.lines().filter(|line| line.starts_with("inotify wd:")).count()).sum()
    }

    #[tokio::test]
    async fn only_directories_below_the_roots() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        fs::create_dir_all(at("root/app/node_modules/x")).unwrap();
        fs::create_dir_all(at("outside")).unwrap();
        fs::write(at("root/file"), "").unwrap();
        fs::write(at("root/app/index.js"), "require('@aws-sdk/client-s3')").unwrap();
        fs::write(at("root/app/node_modules/x/index.js"), "require('@aws-sdk/client-sqs')").unwrap();
        std::os::unix::fs::symlink(at("outside"), at("root/link")).unwrap();
        std::os::unix::fs::symlink(at("root/app"), at("root/current")).unwrap();
        let hot = HotDirectories::new(&[at("root")], &[]).unwrap();
        for (path, expected) in [
            ("root/app", Some("root/app")),
            ("root/current", Some("root/app")),
            ("root/app/../app", Some("root/app")),
            ("root/link", None),
            ("root/../outside", None),
            ("root/file", None),
            ("root/missing", None),
        ] {
            let found = hot.look(at(path)).await;
            let there = fs::canonicalize(directory.path()).unwrap();
            assert_eq!(
                found.as_ref().ok().map(|(found, _)| found.clone()),
                expected.map(|e| there.join(e)),
                "{path}"
            );
            let same = expected == Some(path);
            assert_eq!(
                hot.watch(there.join(path)).await.is_ok(),
                same,
                "{path}: watched under its own name only"
            );
            if let Ok((_, sdk)) = found {
                assert_eq!(sdk.into_iter().collect::<Vec<_>>(), ["@aws-sdk/client-s3"]);
            }
        }
        assert!(hot.look("root/app".into()).await.unwrap_err().contains("absolute"));
        assert!(HotDirectories::new(&[at("missing")], &[]).is_err());
    }

    #[tokio::test]
    async fn changes_are_seen_and_reading_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        fs::create_dir_all(at("app/lib")).unwrap();
        fs::write(at("app/index.js"), "1").unwrap();
        let hot = HotDirectories::new(&[directory.path().to_owned()], &[]).unwrap();
        let watched = hot.watch(at("app")).await.unwrap();
        let changes = &watched.changes;
        let mut before = changes.mark();
        let steps: [(&str, &dyn Fn() -> io::Result<()>); 6] = [
            ("written", &|| fs::write(at("app/index.js"), "2")),
            ("made below", &|| fs::write(at("app/lib/new.js"), "")),
            ("replaced", &|| {
                fs::write(at("fresh"), "3")?;
                fs::rename(at("fresh"), at("app/index.js"))
            }),
            ("removed", &|| fs::remove_file(at("app/lib/new.js"))),
            ("a directory made", &|| fs::create_dir(at("app/other"))),
            ("the directory removed", &|| fs::remove_dir_all(at("app"))),
        ];
        for (what, step) in steps {
            step().unwrap();
            let took = eventually(|| changes.mark() != before);
            assert!(took < Duration::from_millis(500), "{what}: {took:?}");
            before = changes.mark();
        }
        // Another directory in its place is watched.
        fs::create_dir(at("app")).unwrap();
        fs::write(at("app/index.js"), "4").unwrap();
        let again = hot.watch(at("app")).await.unwrap();
        let before = again.changes.mark();
        fs::write(at("app/index.js"), "5").unwrap();
        eventually(|| again.changes.mark() != before);
        assert!(changes.mark() != again.changes.mark());
    }

    #[tokio::test]
    async fn lambkin_s_own_files_are_nobody_s_code() {
        let directory = tempfile::tempdir().unwrap();
        let there = fs::canonicalize(directory.path()).unwrap();
        let at = |path: &str| there.join(path);
        for path in ["home/app", "home/lambkin/data/deep"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        std::os::unix::fs::symlink(at("home/lambkin"), at("home/link")).unwrap();
        let reserved = [at("home/lambkin/data")];
        let hot = HotDirectories::new(&[at("home")], &reserved).unwrap();
        for (path, good) in [
            ("home/app", true),
            ("home", false),
            ("home/lambkin", false),
            ("home/link", false),
            ("home/lambkin/data", false),
            ("home/lambkin/data/deep", false),
        ] {
            assert_eq!(hot.look(at(path)).await.is_ok(), good, "{path}");
            assert_eq!(hot.watch(at(path)).await.is_ok(), good, "{path}");
        }
        for root in ["home/lambkin/data", "home/lambkin/data/deep"] {
            let refused = HotDirectories::new(&[at(root)], &reserved).unwrap_err().to_string();
            assert!(refused.contains("lambkin's own"), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_directory_above_that_is_moved_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let there = fs::canonicalize(directory.path()).unwrap();
        let at = |path: &str| there.join(path);
        fs::create_dir_all(at("root/a/app")).unwrap();
        fs::create_dir_all(at("root/b/app")).unwrap();
        let hot = HotDirectories::new(&[at("root")], &[]).unwrap();
        let watched = hot.watch(at("root/a/app")).await.unwrap();
        let before = watched.changes.mark();
        fs::rename(at("root/a"), at("root/c")).unwrap();
        assert_ne!(watched.changes.mark(), before);
        assert!(hot.watch(at("root/a/app")).await.is_err(), "it is not there");
        std::os::unix::fs::symlink(at("root/b"), at("root/a")).unwrap();
        assert!(hot.watch(at("root/a/app")).await.err().unwrap().contains("is now"));
        fs::remove_file(at("root/a")).unwrap();
        fs::rename(at("root/b"), at("root/a")).unwrap();
        let again = hot.watch(at("root/a/app")).await.unwrap();
        let before = again.changes.mark();
        fs::write(at("root/a/app/index.js"), "").unwrap();
        eventually(|| again.changes.mark() != before);
    }

    #[tokio::test]
    async fn watching_follows_no_link_and_has_an_end() {
        let directory = tempfile::tempdir().unwrap();
        let there = fs::canonicalize(directory.path()).unwrap();
        let at = |path: &str| there.join(path);
        fs::create_dir_all(at("root/app")).unwrap();
        for number in 0..=WATCHES {
            fs::create_dir_all(at(&format!("outside/{number}"))).unwrap();
        }
        std::os::unix::fs::symlink(at("outside"), at("root/app/link")).unwrap();
        std::os::unix::fs::symlink(at("root"), at("root/app/circle")).unwrap();
        let hot = HotDirectories::new(std::slice::from_ref(&there), &[]).unwrap();
        let watched = hot.watch(at("root/app")).await.unwrap();
        #[cfg(target_os = "linux")]
        assert_eq!(kernel_watches(), 1);
        drop(watched);
        let refused = hot.watch(at("outside")).await.err().unwrap();
        assert!(refused.contains("more than 8000 directories"), "{refused}");
    }
}
