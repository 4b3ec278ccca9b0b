//! `--tls-cert`, `--tls-key`: reading both, and reading them again at SIGHUP.

use std::path::{Path, PathBuf};

use lambkin_api::Tls;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::role_credentials::private;

/// The two files.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    pub(crate) fn open(&self) -> Result<Tls, String> {
        let (certificate, key) = self.read()?;
        Tls::new(&certificate, &key).map_err(|error| self.named(&error))
    }

    /// Reads them again at each SIGHUP, until it is aborted. What cannot be used leaves the former in place.
    pub(crate) fn follow(self, tls: Tls) -> Result<JoinHandle<()>, String> {
        let mut hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
        Ok(tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                let (files, tls) = (self.clone(), tls.clone());
                let renewed = tokio::task::spawn_blocking(move || {
                    let (certificate, key) = files.read()?;
                    tls.renew(&certificate, &key).map_err(|error| files.named(&error))
                });
                match renewed.await {
                    Ok(Ok(())) => tracing::info!("the TLS certificate was read again"),
                    Ok(Err(error)) => tracing::error!(%error, "the TLS certificate stays the former"),
                    Err(error) => tracing::error!(%error, "the TLS certificate stays the former"),
                }
            }
        }))
    }

    fn read(&self) -> Result<(Vec<u8>, Vec<u8>), String> {
        let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        let certificate =
            std::fs::read(&self.certificate).map_err(|error| failed(&self.certificate, error))?;
        Ok((certificate, private(&self.key)?.into_bytes()))
    }

    fn named(&self, error: &str) -> String {
        format!("{}, {}: {error}", self.certificate.display(), self.key.display())
    }
}
