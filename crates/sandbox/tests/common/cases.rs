//! Tests that are functions, each of which fails by a panic.

use std::panic::catch_unwind;
use std::process::ExitCode;

use crate::command_line::asked_for;

pub(crate) type Test = (&'static str, fn());

pub(crate) fn run(arguments: &[String], tests: &[&[Test]]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (name, test) in asked_for(arguments, tests.concat(), |(name, _)| name).unwrap_or_default() {
        let passed = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            code = ExitCode::from(101);
        }
    }
    code
}
