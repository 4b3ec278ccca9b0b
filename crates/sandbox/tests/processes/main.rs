//! Tests with real processes. A program of its own rather than libtest's: it starts itself as the
//! spawner, which must have one thread, and as a lambkin to be killed.

mod bed;
mod directories;
mod kill;
mod start;

use std::panic::catch_unwind;
use std::process::ExitCode;

/// As which programs it starts itself.
const VICTIM: &str = "__victim";
const DESCRIPTORS: &str = "__descriptors";
const FLOOD: &str = "__flood";
/// Measures instead of testing.
const COSTS: &str = "costs";

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(lambkin_sandbox::SPAWNER_ARGUMENT) => lambkin_sandbox::run_spawner(),
        Some(VICTIM) => kill::victim(&arguments[1], &arguments[2]),
        Some(DESCRIPTORS) => start::print_descriptors(),
        Some(FLOOD) => start::flood(),
        Some(COSTS) => start::costs(),
        Some(_) | None => return test(&arguments),
    }
    ExitCode::SUCCESS
}

/// The part of libtest's command line that cargo and nextest use.
fn test(arguments: &[String]) -> ExitCode {
    let said = |word| arguments.iter().any(|argument| argument == word);
    let all = [start::TESTS, kill::TESTS, directories::TESTS].concat();
    if said("--list") {
        if !said("--ignored") {
            all.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let is_wanted = |name: &str| {
        let fits =
            |word: &&String| if said("--exact") { **word == name } else { name.contains(word.as_str()) };
        wanted.is_empty() || wanted.iter().any(fits)
    };
    let mut code = ExitCode::SUCCESS;
    for (name, test) in all.into_iter().filter(|(name, _)| is_wanted(name)) {
        let passed = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            code = ExitCode::from(101);
        }
    }
    code
}
