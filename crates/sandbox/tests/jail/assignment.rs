//! A process that is started before it is known whose it will be, and given its code while it runs.

use std::fs;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use crate::bed::{Bed, line, pipe};
use crate::report::Report;
use crate::rows::Row;
use crate::sandboxes::read;
use crate::waiting::{run, within};

/// Looks, waits for a line on its channel, looks again by the same name, and tries to write.
const SCRIPT: &str = r#"
cd /
echo /var/task/* /var/task/lib/*
read line <&3
read text < /var/task/text && echo "$text"
cd /var/task
echo more > /var/task/text
echo more > new
echo kept > /tmp/new && echo done
"#;

/// What a function would see of the host, and could write, were the mount not what it is.
pub(crate) fn late(_: &Row, report: &mut Report) {
    run(async {
        let bed = Bed::new().await;
        let code = bed.directory.path().join("late");
        fs::create_dir(&code).expect("a directory");
        fs::write(code.join("text"), "the function's\n").expect("a file");
        let mut generic = bed.spec(&[]);
        generic.command = ["/bin/sh", "-c", SCRIPT].map(str::to_owned).into();
        generic.sources.code = None;
        generic.runtime_api = true;
        let mut assigned = generic.clone();
        assigned.sources.code = Some(code.clone());
        assigned.variables.insert("MINE".into(), "m".into());

        let mut sandbox = bed.open(generic).await;
        let process = within(sandbox.start()).await.expect("a process");
        let mut output = pipe(process.output);
        assert_eq!(line(&mut output).await, "/var/task/lib /var/task/lib/*", "an empty directory is there");
        let variables = within(sandbox.assign(assigned)).await.expect("it is assigned");
        assert_eq!(variables["MINE"], "m");
        assert_eq!(variables["AWS_LAMBDA_RUNTIME_API"], "127.0.0.1:9001");
        let mut channel = UnixStream::from_std(process.channel.into()).expect("a non-blocking socket");
        within(channel.write_all(b"go\n")).await.expect("it reads");
        assert_eq!(line(&mut output).await, "the function's");
        for _ in 0..2 {
            let refused = line(&mut output).await;
            assert!(refused.ends_with("Read-only file system"), "{refused}");
        }
        assert_eq!(line(&mut output).await, "done");
        within(process.exit).await;
        assert_eq!(fs::read_to_string(code.join("text")).expect("the file"), "the function's\n");

        // The next one is started as any other of the function's.
        let process = within(sandbox.start()).await.expect("a process");
        drop(process.channel);
        let said = read(process.output).await;
        assert!(said.starts_with("/var/task/text /var/task/lib/*\n"), "{said}");
        report.held();
        drop(sandbox);
        bed.end().await;
    });
}
