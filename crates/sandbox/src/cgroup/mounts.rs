//! Where this process's own groups are: `/proc/self/cgroup` says which, `/proc/self/mountinfo` where
//! they can be seen.
//!
//! Deliberately not here: what can be done there. Nothing is mounted or remounted, ever: the
//! hierarchies belong to the machine.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use super::Version;

/// One hierarchy in which this process has a group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) version: Version,
    /// Only of v1; v2 says in a file what it offers.
    pub(super) controllers: Vec<String>,
    /// This process's own group, or why it cannot be seen.
    pub(super) own: Result<PathBuf, String>,
}

/// cgroups(7): a line is `number:controllers:path`. v2 is number 0 without controllers, and listed
/// whether it is mounted or not.
pub(super) fn places(groups: &str, mountinfo: &str) -> Vec<Place> {
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(Mount::parse).collect();
    groups
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let version = if number == "0" && controllers.is_empty() { Version::V2 } else { Version::V1 };
            let controllers: Vec<String> =
                controllers.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            let own = own_directory(&mounts, version, &controllers, Path::new(path));
            Some(Place { version, controllers, own })
        })
        .collect()
}

fn own_directory(
    mounts: &[Mount],
    version: Version,
    controllers: &[String],
    group: &Path,
) -> Result<PathBuf, String> {
    let what = match version {
        Version::V1 => format!("the cgroup v1 hierarchy of {}", controllers.join(",")),
        Version::V2 => "cgroup v2".to_owned(),
    };
    // Seen from a cgroup namespace a group outside of it begins with "/..".
    let is_outside = |path: &Path| path.components().any(|part| part == Component::ParentDir);
    let of_it = || mounts.iter().filter(|mount| mount.version == version && mount.has(controllers));
    if of_it().next().is_none() {
        return Err(format!("{what} is not mounted"));
    }
    of_it()
        .filter(|mount| !is_outside(group) && !is_outside(&mount.root))
        .filter_map(|mount| Some(mount.point.join(group.strip_prefix(&mount.root).ok()?)))
        // What was mounted last hides what was there before.
        .next_back()
        .ok_or_else(|| format!("{what} is mounted, but our own group {} is not below it", group.display()))
}

struct Mount {
    version: Version,
    /// The group that is seen at the mount point.
    root: PathBuf,
    point: PathBuf,
    options: String,
}

impl Mount {
    /// proc_pid_mountinfo(5): `number parent device root point options tags… - type source options`.
    fn parse(line: &str) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        let version = match system.next()? {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => return None,
        };
        let mut mount = mount.split(' ').skip(3);
        Some(Self {
            version,
            root: unescape(mount.next()?),
            point: unescape(mount.next()?),
            options: system.nth(1)?.to_owned(),
        })
    }

    fn has(&self, controllers: &[String]) -> bool {
        controllers.iter().all(|name| self.options.split(',').any(|option| option == name))
    }
}

/// Spaces and the like are written as a backslash and three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let escaped = after
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(escaped.unwrap_or(*first));
        if escaped.is_some() {
            rest = &after[3..];
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version, controllers, own directory or a word of the reason.
    type Row = (Version, &'static str, Result<&'static str, &'static str>);

    fn check(groups: &str, mountinfo: &str, expected: &[Row]) {
        let found = places(groups, mountinfo);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (place, (version, controllers, own)) in found.iter().zip(expected) {
            assert_eq!((place.version, place.controllers.join(",")), (*version, (*controllers).to_owned()));
            match (&place.own, own) {
                (Ok(path), Ok(wanted)) => assert_eq!(path, Path::new(wanted)),
                (Err(why), Err(word)) => assert!(why.contains(word), "{why}"),
                (found, wanted) => panic!("{found:?} instead of {wanted:?}"),
            }
        }
    }

    #[test]
    fn a_service_of_systemd_on_v2() {
        check(
            "0::/system.slice/lambkin.service\n",
            "24 30 0:22 / /proc rw,nosuid shared:12 - proc proc rw\n\
             28 22 0:25 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 \
             rw,nsdelegate,memory_recursiveprot\n",
            &[(Version::V2, "", Ok("/sys/fs/cgroup/system.slice/lambkin.service"))],
        );
    }

    #[test]
    fn v1_alone_with_controllers_mounted_together() {
        check(
            "11:cpu,cpuacct:/user.slice\n3:pids:/user.slice/user-0.slice/session-1.scope\n\
             1:name=systemd:/init.scope\n0::/init.scope\n",
            "33 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:10 - cgroup cgroup rw,cpu,cpuacct\n\
             34 25 0:29 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
             35 25 0:30 / /sys/fs/cgroup/systemd rw shared:8 master:1 - cgroup cgroup rw,xattr,name=systemd\n",
            &[
                (Version::V1, "cpu,cpuacct", Ok("/sys/fs/cgroup/cpu,cpuacct/user.slice")),
                (Version::V1, "pids", Ok("/sys/fs/cgroup/pids/user.slice/user-0.slice/session-1.scope")),
                (Version::V1, "name=systemd", Ok("/sys/fs/cgroup/systemd/init.scope")),
                (Version::V2, "", Err("not mounted")),
            ],
        );
    }

    #[test]
    fn a_hybrid_whose_memory_group_is_not_the_root() {
        check(
            "4:memory:/agent/b4a0\n2:cpuacct:/\n1:cpu:/\n0::/\n",
            "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
             32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
             33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n\
             35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
            &[
                (Version::V1, "memory", Ok("/sys/fs/cgroup/memory/agent/b4a0")),
                (Version::V1, "cpuacct", Ok("/sys/fs/cgroup/cpuacct/")),
                (Version::V1, "cpu", Ok("/sys/fs/cgroup/cpu/")),
                (Version::V2, "", Ok("/sys/fs/cgroup/unified/")),
            ],
        );
    }

    #[test]
    fn containers() {
        // v2 with a cgroup namespace of its own.
        check(
            "0::/\n",
            "613 612 0:25 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n",
            &[(Version::V2, "", Ok("/sys/fs/cgroup/"))],
        );
        // v1 without one: the mount shows only the container's group.
        check(
            "9:memory:/docker/0123abcd\n",
            "700 690 0:33 /docker/0123abcd /sys/fs/cgroup/memory ro,relatime master:15 - cgroup cgroup rw,memory\n",
            &[(Version::V1, "memory", Ok("/sys/fs/cgroup/memory/"))],
        );
        // The host's hierarchy inside a namespace, and a group outside of it.
        check(
            "0::/\n",
            "613 612 0:25 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
            &[(Version::V2, "", Err("not below it"))],
        );
        check(
            "0::/../x\n",
            "613 612 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
            &[(Version::V2, "", Err("not below it"))],
        );
    }

    #[test]
    fn escapes_colons_and_nonsense() {
        check(
            "0::/a:b\nrubbish\n\n",
            "1 0 0:1 / /mnt/my\\040groups rw - cgroup2 none rw\n1 0 0:1 / /x rw\n",
            &[(Version::V2, "", Ok("/mnt/my groups/a:b"))],
        );
        assert_eq!(unescape("a\\134b\\"), Path::new("a\\b\\"));
    }
}
