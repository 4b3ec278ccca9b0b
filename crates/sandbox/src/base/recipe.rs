//! What is in a base: programs, libraries, files that lambkin writes, mount points.

use std::io;
use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use super::tree::Tree;

/// Where to look, and for what. The lists have no order that matters.
#[derive(Debug)]
pub(super) struct Recipe {
    /// Directories of programs; the first that has one wins.
    pub(super) search: Vec<PathBuf>,
    pub(super) programs: Vec<&'static str>,
    /// Directories that may be copied from: a link that leads out of the system's own is not followed.
    pub(super) tops: Vec<PathBuf>,
}

impl Recipe {
    pub(super) fn of_host() -> Self {
        Self {
            search: vec!["/usr/bin".into(), "/bin".into()],
            programs: PROGRAMS.concat(),
            tops: TOPS.map(PathBuf::from).into(),
        }
    }
}

const TOPS: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives"];

/// About what Amazon Linux has in AWS's image. No `ps` (as there): it alone would bring 4 MB of libraries.
const PROGRAMS: [&[&str]; 5] = [
    &["sh", "bash", "dash", "env", "which", "getconf", "ldd"],
    &[
        "ls", "cat", "cp", "mv", "rm", "mkdir", "rmdir", "ln", "chmod", "touch", "stat", "du", "df",
        "mktemp", "tee",
    ],
    &[
        "echo", "printf", "test", "true", "false", "expr", "seq", "sleep", "date", "timeout", "nproc",
        "uname", "id",
    ],
    &[
        "head",
        "tail",
        "wc",
        "sort",
        "uniq",
        "cut",
        "tr",
        "od",
        "comm",
        "paste",
        "base64",
        "md5sum",
        "sha1sum",
        "sha256sum",
    ],
    &[
        "pwd", "dirname", "basename", "readlink", "realpath", "xargs", "find", "grep", "sed", "awk", "mawk",
        "gawk", "tar", "gzip", "gunzip",
    ],
];

/// What the pinned Node.js binaries need, by the names in their headers.
pub(super) const NEEDED: [&str; 6] =
    ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libstdc++.so.6", "libgcc_s.so.1"];

/// Where the host has them. Node.js 4 to 10 need librt, 26 libatomic; then come the C library's own
/// resolver and what native addons expect, as AWS's image has it.
pub(super) const WANTED: [&str; 11] = [
    "librt.so.1",
    "libatomic.so.1",
    "libresolv.so.2",
    "libnss_files.so.2",
    "libnss_dns.so.2",
    "libutil.so.1",
    "libanl.so.1",
    "libz.so.1",
    "libssl.so.3",
    "libcrypto.so.3",
    "libgomp.so.1",
];

/// Kept as links where the host has links (`/lib` to `usr/lib`): the loader's own path and `#!` lines
/// go through them.
pub(super) const LINKS: [&str; 4] = ["/bin", "/sbin", "/lib", "/lib64"];

/// The first that the host has.
const CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// Time zones, which `TZ` names: Node.js before 13 and all programs read them from here.
const ZONES: &str = "/usr/share/zoneinfo";

/// Empty directories. `/home` exists on AWS too, and the user's own in it does not. `/var/tmp` is there and
/// as read-only as on AWS.
const MOUNT_POINTS: [&str; 16] = [
    "/proc",
    "/sys",
    "/dev",
    "/tmp",
    "/opt",
    "/mnt",
    "/run",
    "/home",
    "/var/task",
    // Code covers it. The dynamic linker of a process that is booted ahead forgets directories that are not there.
    "/var/task/lib",
    "/var/runtime",
    "/var/runtime/node_modules",
    "/var/tmp",
    "/var/lang/bin",
    "/var/lang/lib",
    COMPILE_CACHE,
];

/// Where the bootstrap looks for Node.js's: beside the directory of `node`.
pub(crate) const COMPILE_CACHE: &str = "/var/lang/cache/compile";

/// An empty file, as files can only be mounted over files.
const NODE: &str = "/var/lang/bin/node";

/// `import` does not look at NODE_PATH, only into `node_modules` of the directories above `/var/task`:
/// so the SDK is seen there.
const MODULES: &str = "/var/node_modules";

/// Empty, for a resolver's address to be mounted over.
const RESOLVER: &str = "/etc/resolv.conf";

const TEXTS: [(&str, &str); 9] = [
    (
        "/etc/passwd",
        "root:x:0:0:root:/root:/sbin/nologin\nsbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n",
    ),
    ("/etc/group", "root:x:0:\nsbx_user1051:x:990:\n"),
    ("/etc/hosts", "127.0.0.1 localhost localhost.localdomain\n::1 localhost6 localhost6.localdomain6\n"),
    ("/etc/host.conf", "multi on\n"),
    (
        "/etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    ),
    (
        "/etc/services",
        "domain 53/tcp\ndomain 53/udp\nhttp 80/tcp\nhttps 443/tcp\nhttps 443/udp\npostgresql 5432/tcp\nmysql 3306/tcp\n",
    ),
    (
        "/etc/os-release",
        // Libraries choose their binaries by it (Prisma's engines), and packages for Lambda bring
        // Amazon Linux's.
        "NAME=\"lambkin\"\nID=lambkin\nID_LIKE=\"amzn rhel fedora\"\nPRETTY_NAME=\"lambkin\"\n",
    ),
    (RESOLVER, ""),
    (NODE, ""),
];

/// Everything that is not a program or a library.
pub(super) fn write(tree: &mut Tree, manifest: &mut Manifest) -> io::Result<()> {
    for directory in MOUNT_POINTS {
        tree.directory(Path::new(directory))?;
    }
    for (path, text) in TEXTS {
        tree.file(Path::new(path), text.as_bytes(), path == NODE)?;
    }
    for path in CERTIFICATES.map(Path::new) {
        manifest.add(path);
        let Ok(text) = std::fs::read(path) else { continue };
        manifest.add(&std::fs::canonicalize(path)?);
        // The other one is where Amazon Linux has it.
        tree.file(Path::new(CERTIFICATES[1]), &text, false)?;
        tree.link(Path::new(CERTIFICATES[0]), Path::new("../../pki/tls/certs/ca-bundle.crt"))?;
        break;
    }
    tree.link(Path::new(MODULES), Path::new("runtime/node_modules"))?;
    zones(Path::new(ZONES), tree, manifest)?;
    if tree.has(&Path::new(ZONES).join("UTC")) {
        tree.link(Path::new("/etc/localtime"), Path::new("../usr/share/zoneinfo/UTC"))?;
    }
    Ok(())
}

fn zones(directory: &Path, tree: &mut Tree, manifest: &mut Manifest) -> io::Result<()> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        // The same zones once more, one set with leap seconds.
        if name == "right" || name == "posix" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            zones(&entry.path(), tree, manifest)?;
        } else if let Err(error) = tree.copy(&entry.path(), manifest) {
            // Such as Debian's link to the host's own /etc/localtime.
            tracing::debug!("{} is not in the base: {error}", entry.path().display());
        }
    }
    Ok(())
}

/// Which lists a base was made by.
pub(super) fn identity(recipe: &Recipe) -> String {
    let lists = (recipe, NEEDED, WANTED, LINKS, CERTIFICATES, MOUNT_POINTS, MODULES, TEXTS);
    format!("{} {lists:?}", env!("CARGO_PKG_VERSION"))
}
