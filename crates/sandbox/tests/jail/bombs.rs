//! Attacks on what there is only so much of: processes, threads, memory, descriptors, `/tmp`.

use lambkin_model::exit::ExitStatus;

use crate::bed::{Bed, MEMORY_MB, TMP_MB, directory, line, outside, pipe};
use crate::report::Report;
use crate::rows::Row;
use crate::sandboxes::read;
use crate::waiting::{run, within};

/// `RLIMIT_NPROC` of functions, as recorded on AWS.
const PROCESSES: u64 = 742;
/// What is tried: more than any limit in question.
const MANY: u64 = 1_100;

/// "number outcome".
fn counted(said: &str) -> (u64, &str) {
    let (count, outcome) = said.trim_end().split_once(' ').expect("a number and an outcome");
    (count.parse().expect("a number"), outcome)
}

pub(crate) fn forks(_: &Row, report: &mut Report) {
    stops_at_the_limit("forks", report);
}

pub(crate) fn threads(_: &Row, report: &mut Report) {
    stops_at_the_limit("threads", report);
}

/// While it is at its limit, another jail starts, and so does its own next process.
fn stops_at_the_limit(act: &str, report: &mut Report) {
    let many = MANY.to_string();
    let without = outside(&[act, &many]);
    run(async {
        let bed = Bed::new().await;
        let mut spec = bed.spec(&[act, &many]);
        // So many processes take memory in the kernel, too.
        spec.memory_mb = 512;
        let mut sandbox = bed.open(spec).await;
        let process = within(sandbox.start()).await.expect("a process");
        let mut output = pipe(process.output);
        let said = line(&mut output).await;
        let (count, outcome) = counted(&said);
        assert_eq!(outcome, "EAGAIN");
        // Itself is one; nothing else of this user's is in the jail, except init for an ordinary user.
        assert!((PROCESSES - 2..PROCESSES).contains(&count), "{count}");
        let (other, neighbour) = bed.act(&["exit", "5"]).await;
        assert_eq!(within(neighbour.exit).await, ExitStatus::Code(5), "another jail starts");
        process.control.kill();
        assert_eq!(within(process.exit).await, ExitStatus::Signal(9));
        let next = within(sandbox.start()).await.expect("the next process in the same jail");
        next.control.kill();
        within(next.exit).await;
        drop(sandbox);
        drop(other);
        bed.end().await;
    });
    if counted(&without) == (MANY, "done") {
        report.held();
    } else {
        report.not_tested(format!("outside too there can only be {without}"));
    }
}

pub(crate) fn memory(_: &Row, report: &mut Report) {
    let much = (3 * MEMORY_MB).to_string();
    assert_eq!(outside(&["memory", &much]), format!("{much} megabytes\n"));
    run(async {
        let bed = Bed::new().await;
        let at_once = bed.lacks("memory limit").is_none();
        let (mut sandbox, process) = bed.act(&["memory", &much, "/tmp/kept"]).await;
        assert_eq!(within(process.exit).await, ExitStatus::Signal(9), "the kernel kills it");
        let said = read(process.output).await;
        assert!(said.is_empty() || !at_once, "{said}");
        let next = within(sandbox.start()).await.expect("init has survived");
        assert_eq!(read(next.output).await, "kept since the first run\n");
        assert_eq!(within(next.exit).await, ExitStatus::Code(0));
        let (other, small) = bed.act(&["memory", "8"]).await;
        assert_eq!(line(&mut pipe(small.output)).await, "8 megabytes", "what fits is given");
        drop(sandbox);
        drop(other);
        bed.end().await;
        report.held();
    });
}

pub(crate) fn descriptors(_: &Row, report: &mut Report) {
    const MANY: u64 = 3_000;
    let without = outside(&["descriptors", &MANY.to_string()]);
    run(async {
        let bed = Bed::new().await;
        let (sandbox, process) = bed.act(&["descriptors", &MANY.to_string()]).await;
        let said = read(process.output).await;
        // 0 to 3 are open already.
        assert_eq!(said, "EPERM 1020 EMFILE\n");
        assert_eq!(within(process.exit).await, ExitStatus::Code(0));
        drop(sandbox);
        bed.end().await;
    });
    if without == "done 3000 done\n" {
        report.held();
    } else {
        report.not_tested(format!("outside too there can only be {without}"));
    }
}

/// What is there at first, and whose it is.
const NEW_TMP: &str = r#"
for file in /tmp/* /tmp/.*; do echo "$file"; done
[ -k /tmp ] && echo sticky
echo mine > /tmp/mine && echo done
"#;

pub(crate) fn tmp(_: &Row, report: &mut Report) {
    let bytes = u64::from(TMP_MB) << 20;
    // One for every 8 KiB.
    let files = bytes / 8192;
    let place = directory();
    let plainly = |act: &str, many: u64| {
        let said = outside(&[act, &many.to_string(), &place.path().to_string_lossy()]);
        assert_eq!(counted(&said).1, "done", "{said}");
    };
    plainly("bytes", 2 * bytes);
    plainly("files", 3 * files);
    run(async {
        let bed = Bed::new().await;
        let mut spec = bed.spec(&[]);
        spec.command = ["/bin/sh", "-c", NEW_TMP].map(str::to_owned).into();
        let mut new = bed.open(spec).await;
        let process = within(new.start()).await.expect("a process");
        assert_eq!(read(process.output).await, "/tmp/*\n/tmp/.\n/tmp/..\nsticky\ndone\n");
        drop(new);
        let (sandbox, process) = bed.act(&["bytes", &(2 * bytes).to_string()]).await;
        let said = read(process.output).await;
        let (written, outcome) = counted(&said);
        assert_eq!(within(process.exit).await, ExitStatus::Code(0), "not killed");
        assert_eq!(outcome, "ENOSPC");
        // On disk the file system itself takes a part.
        assert!(written <= bytes && written > bytes / 4 * 3, "{written} of {bytes}");
        report.held();
        let (other, process) = bed.act(&["files", &(3 * files).to_string()]).await;
        let said = read(process.output).await;
        let (made, outcome) = counted(&said);
        assert_eq!(within(process.exit).await, ExitStatus::Code(0), "not killed");
        assert_eq!(outcome, "ENOSPC");
        // On disk there are twice as many.
        assert!(made <= 2 * files && made + 16 > files, "{made} of {files}");
        report.held();
        drop([sandbox, other]);
        bed.end().await;
    });
}
