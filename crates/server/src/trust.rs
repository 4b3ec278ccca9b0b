//! Whom lambkin trusts by TLS where it asks others: the authorities of `$AWS_CA_BUNDLE` (PEM), as the aws CLI and AWS's SDKs for
//! Python do, else Mozilla's.

use std::path::Path;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

pub(crate) fn config() -> Result<TlsConfig, String> {
    let bundle = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
    let roots = match bundle {
        Some(path) => read(Path::new(&path)).map_err(|error| format!("AWS_CA_BUNDLE: {error}"))?,
        None => RootCerts::WebPki,
    };
    Ok(TlsConfig::builder().root_certs(roots).build())
}

fn read(path: &Path) -> Result<RootCerts, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let pem = std::fs::read(path).map_err(|error| named(&error))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| named(&error))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(named(&"no certificate is in it"));
    }
    Ok(certificates.into())
}
