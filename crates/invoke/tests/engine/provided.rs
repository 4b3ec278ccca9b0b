//! Code and runtimes that are there, or are not.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lambkin_model::Pending;
use lambkin_model::code::{CodeRead, CodeSha256};
use lambkin_model::runtime::{InstalledRuntime, Runtime, RuntimeError, RuntimeNeed, RuntimeProvider};

#[derive(Default)]
pub struct CodeDirectory {
    pub missing: AtomicBool,
}

impl CodeRead for CodeDirectory {
    fn unpacked(&self, sha256: CodeSha256) -> Option<PathBuf> {
        (!self.missing.load(Ordering::SeqCst)).then(|| PathBuf::from(format!("/code/{}", sha256.hex())))
    }
}

#[derive(Default)]
pub struct Runtimes {
    /// None is installed any more.
    pub gone: AtomicBool,
}

impl RuntimeProvider for Runtimes {
    fn check_platform(&self, _: Runtime) -> Result<(), RuntimeError> {
        Ok(())
    }

    fn installed(&self, need: &RuntimeNeed) -> Option<InstalledRuntime> {
        // One is fetched at every look, so that both ways are gone.
        (need.runtime.major() != 20 && !self.gone.load(Ordering::SeqCst)).then(installed)
    }

    fn ensure(&self, need: RuntimeNeed) -> Pending<'_, Result<InstalledRuntime, RuntimeError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert_eq!(need.runtime.major(), 20);
            Ok(installed())
        })
    }
}

fn installed() -> InstalledRuntime {
    InstalledRuntime {
        version: "22.1.0".into(),
        sha256: "00".into(),
        node: "/runtimes/node".into(),
        runtime_dir: "/runtimes/dir".into(),
        modules: "/runtimes/modules".into(),
    }
}
