//! `/var/runtime/ca-cert.pem`, which AWS tells functions to name in `NODE_EXTRA_CA_CERTS`. There it has
//! Amazon's certificates; lambkin has none to give and makes it of what this machine trusts.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Beside the bootstrap.
const FILE: &str = "ca-cert.pem";

/// AWS's runtimes have the file since nodejs16.x (node-runtime §8.2).
pub(crate) const SINCE: u32 = 16;

/// Where systems keep what they trust: Debian and Alpine, Red Hat and Amazon Linux, SUSE, macOS.
pub(crate) const HOST: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Copies the first bundle that there is, unless the copy is as new. A copy, not a link: what the link
/// points at is not inside a jail. Without a bundle there is no file.
pub(crate) fn place(directory: &Path, bundles: &[impl AsRef<Path>]) -> io::Result<()> {
    let path = directory.join(FILE);
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let there = bundles.iter().find_map(|bundle| Some((bundle.as_ref(), modified(bundle.as_ref())?)));
    let Some((bundle, changed)) = there else { return Ok(()) };
    if modified(&path).is_some_and(|copied| copied >= changed) {
        return Ok(());
    }
    // A bundle that lambkin may not read is none.
    let Ok(certificates) = fs::read(bundle) else { return Ok(()) };
    let file = tempfile::NamedTempFile::new_in(directory)?;
    fs::write(file.path(), certificates)?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))?;
    file.persist(&path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn the_first_bundle_is_copied_and_copied_again_when_it_is_newer() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let copy = || fs::read_to_string(at(FILE)).ok();
        let bundles = [at("gone"), at("bundle"), at("other")];
        place(directory.path(), &bundles).unwrap();
        assert_eq!(copy(), None);
        fs::write(at("bundle"), "one").unwrap();
        fs::write(at("other"), "other").unwrap();
        place(directory.path(), &bundles).unwrap();
        assert_eq!(copy().as_deref(), Some("one"));
        assert_eq!(fs::metadata(at(FILE)).unwrap().permissions().mode() & 0o777, 0o644);
        fs::write(at("bundle"), "two").unwrap();
        let date = |to| fs::File::options().write(true).open(at("bundle")).unwrap().set_modified(to).unwrap();
        date(SystemTime::now() - Duration::from_secs(100));
        place(directory.path(), &bundles).unwrap();
        assert_eq!(copy().as_deref(), Some("one"), "it is not newer");
        date(SystemTime::now() + Duration::from_secs(100));
        place(directory.path(), &bundles).unwrap();
        assert_eq!(copy().as_deref(), Some("two"));
    }
}
