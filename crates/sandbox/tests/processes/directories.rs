//! The directories of an environment: kept from one process to the next, removed with it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use lambkin_model::exit::ExitStatus;
use lambkin_model::sandbox::Launcher as _;
use lambkin_sandbox::{Config, ProcessLauncher};

use crate::bed::{Bed, with_text};
use crate::cases::Test;
use crate::sandboxes::{fresh_id, read, until};
use crate::waiting::{run, within};

pub(crate) const TESTS: &[Test] = &[
    ("tmp_is_kept_between_starts_and_removed_with_the_sandbox", || run(tmp())),
    ("directories_without_permissions_are_removed_too", || run(no_permissions())),
    ("leftovers_of_a_former_lambkin_are_killed_and_removed", || run(leftovers())),
    ("sdk_is_where_import_finds_it", || run(sdk())),
    ("layout_names_directories_of_the_host", || run(layout())),
];

async fn tmp() {
    let bed = Bed::new().await;
    let spec =
        bed.spec(&["/bin/sh", "-c", "echo line >> $TMPDIR/kept; cat $TMPDIR/kept; stat -c %a $TMPDIR"]);
    let mut sandbox = bed.open(&spec).await;
    let first = within(sandbox.start()).await.expect("a process");
    assert_eq!(within(first.exit).await, ExitStatus::Code(0));
    assert_eq!(read(first.output).await, "line\n700\n");
    let second = within(sandbox.start()).await.expect("a process");
    assert_eq!(within(second.exit).await, ExitStatus::Code(0));
    assert_eq!(read(second.output).await, "line\nline\n700\n");
    drop(sandbox);
    until("it is removed", || !bed.environment(&spec.id).exists()).await;
    bed.launcher.shutdown().await;
}

async fn no_permissions() {
    let bed = Bed::new().await;
    let script = "mkdir -p $TMPDIR/a/b; echo > $TMPDIR/a/b/file; ln -s / $TMPDIR/a/root; chmod 0 $TMPDIR/a/b $TMPDIR/a $TMPDIR";
    let (sandbox, id, process) = bed.shell(script).await;
    within(process.exit).await;
    drop(sandbox);
    until("it is removed", || !bed.environment(&id).exists()).await;
    assert!(fs::exists("/etc/passwd").expect("a look"));
    bed.launcher.shutdown().await;
}

async fn leftovers() {
    let bed = Bed::new().await;
    within(bed.launcher.shutdown()).await;
    let id = fresh_id();
    fs::create_dir_all(bed.environment(&id).join("tmp/deep")).expect("a leftover");
    // Its spawner was killed as well, so that nobody killed it.
    let mut stray =
        Command::new("sleep").arg("1000").env("TMPDIR", bed.environment(&id)).spawn().expect("sleep");
    until("it is there", || with_text(&id).len() == 1).await;
    let next = ProcessLauncher::start(Config::new(bed.environment("."))).await.expect("a launcher");
    until("both are gone", || with_text(&id).is_empty() && !bed.environment(&id).exists()).await;
    stray.wait().expect("its end");
    next.shutdown().await;
}

async fn sdk() {
    let bed = Bed::new().await;
    let link = bed.directory.path().join("code/node_modules");
    let spec = bed.spec(&["/bin/true"]);
    drop(bed.open(&spec).await);
    assert!(!link.is_symlink(), "the runtime has none");

    let sdk = |name: &str| {
        let real = bed.directory.path().join(name);
        fs::create_dir_all(&real).expect("an SDK");
        let _ = fs::remove_file(spec.sources.runtime_dir.join("node_modules"));
        symlink(&real, spec.sources.runtime_dir.join("node_modules")).expect("a link");
        fs::canonicalize(real).expect("its path")
    };
    fs::create_dir_all(&spec.sources.runtime_dir).expect("a runtime");
    for name in ["sdk-2", "sdk-3", "sdk-3"] {
        let real = sdk(name);
        drop(bed.open(&bed.spec(&["/bin/true"])).await);
        assert_eq!(fs::read_link(&link).expect("a link"), real);
    }
    // What a user has there stays.
    fs::remove_file(&link).expect("removed");
    fs::create_dir_all(link.join("theirs")).expect("a directory");
    drop(bed.open(&bed.spec(&["/bin/true"])).await);
    assert!(link.join("theirs").is_dir());
    let left = fs::read_dir(bed.directory.path().join("code")).expect("a directory").count();
    assert_eq!(left, 2, "nothing else is left there");
    bed.launcher.shutdown().await;
}

async fn layout() {
    let bed = Bed::new().await;
    let spec = bed.spec(&["/bin/true"]);
    let _sandbox = bed.open(&spec).await;
    let layout = bed.launcher.layout(&spec.sources, &spec.id);
    assert_eq!(Some(layout.task_root), spec.sources.code);
    assert_eq!(layout.runtime_dir, spec.sources.runtime_dir);
    assert_eq!(layout.bin.join("node"), spec.sources.node);
    assert_eq!(fs::read_dir(&layout.opt).expect("an empty directory").count(), 0);
    let tmp = layout.tmp.expect("another path than /tmp");
    assert_eq!(fs::metadata(&tmp).expect("a directory").permissions().mode() & 0o777, 0o700);
    assert!(tmp.starts_with(bed.environment(&spec.id)));
    bed.launcher.shutdown().await;
}
