//! Giving up privileges before a function's program runs: capabilities, and the ways to get them back.
//!
//! Deliberately not here: secure bits. They change what user 0 gets at `execve`, which is what the
//! bounding set has, and that is empty.

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// Empties the bounding set of the calling thread: no program that it executes can get a capability.
/// Needs `CAP_SETPCAP`, so it comes before `setresuid` takes that away.
pub(crate) fn drop_bounding() -> io::Result<()> {
    // The kernel says EINVAL to the first number that it does not know; there are 41 today.
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(capability) {
            Ok(true) => remove_capability_from_bounding_set(capability)?,
            Ok(false) => {}
            Err(_) => break,
        }
    }
    Ok(())
}

/// Leaves the calling thread without any capability in any set, and with `no_new_privs`, so that set-id
/// files and file capabilities give nothing back either. May be called again.
///
/// # Errors
///
/// `EPERM` where the bounding set is not empty and the thread may not empty it (any more).
pub(crate) fn drop_all() -> io::Result<()> {
    drop_bounding()?;
    drop_held()
}

/// The same of the calling thread's own sets, which everybody may empty.
pub(crate) fn drop_held() -> io::Result<()> {
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    set_no_new_privs(true)?;
    Ok(())
}

/// Whether processes of the same user may look into this one (`/proc/PID/environ`, `ptrace`) and it
/// leaves core dumps. `execve` of a readable program sets it back to `true`.
pub(crate) fn set_dumpable(dumpable: bool) -> io::Result<()> {
    let behavior = if dumpable { DumpableBehavior::Dumpable } else { DumpableBehavior::NotDumpable };
    Ok(set_dumpable_behavior(behavior)?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::thread::{UnshareFlags, capabilities};

    use super::*;
    use crate::forked;

    /// Capabilities to lose, whoever runs the tests: those of a new user namespace.
    fn become_privileged() -> io::Result<()> {
        if !rustix::process::geteuid().is_root() {
            forked::unshare(UnshareFlags::NEWUSER)?;
        }
        Ok(())
    }

    /// The lines of the calling program's own status.
    fn status_of_program(prepare: fn() -> io::Result<()>) -> Vec<(String, String)> {
        let mut command = Command::new("/bin/grep");
        command.args(["-E", "^(Cap|NoNewPrivs)", "/proc/self/status"]);
        forked::before_program(&mut command, prepare);
        let output = command.output().expect("grep");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let pair = |line: &str| {
            let (name, value) = line.split_once(":\t").expect("a pair");
            (name.to_owned(), value.to_owned())
        };
        text.lines().map(pair).collect()
    }

    #[test]
    fn a_program_gets_nothing_back() {
        // The program is user 0's in its namespace, which would get the whole bounding set.
        let before = status_of_program(become_privileged);
        let bounding = before.iter().find(|(name, _)| name == "CapBnd").expect("a bounding set");
        assert_ne!(bounding.1, "0000000000000000");
        let after = status_of_program(|| {
            become_privileged()?;
            drop_all()?;
            drop_all()
        });
        let none = "0000000000000000";
        let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|name| (name, none));
        let expected = sets.into_iter().chain([("NoNewPrivs", "1")]);
        let expected: Vec<_> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(after, expected);
    }

    #[test]
    fn a_bounding_set_that_stays_is_said() {
        let code = forked::code(|| {
            become_privileged().expect("a namespace");
            let mut sets = capabilities(None).expect("sets");
            sets.effective -= CapabilitySet::SETPCAP;
            sets.permitted -= CapabilitySet::SETPCAP;
            set_capabilities(None, sets).expect("less");
            drop_all().expect_err("not allowed").raw_os_error().unwrap_or(0)
        });
        assert_eq!(code, libc::EPERM);
    }

    #[test]
    fn dumpable_is_switched() {
        let code = forked::code(|| {
            let mut seen = 0;
            for dumpable in [false, true] {
                set_dumpable(dumpable).expect("set");
                let now = rustix::process::dumpable_behavior().expect("asked");
                seen = 10 * seen + 1 + i32::from(now == DumpableBehavior::Dumpable);
            }
            seen
        });
        assert_eq!(code, 12);
    }
}
