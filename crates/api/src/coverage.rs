//! Which of Lambda's operations lambkin does, and why it does not do the others: for the answer that refuses one, and
//! for the README's table.

use std::fmt::Write as _;

use crate::operations::BUILT;
use crate::service_model::MODEL;

/// A word of their names, what the operations are about, and why they are refused.
const REFUSED: [(&str, &str, &str); 4] = [
    ("Durable", "durable executions", "they are journals that AWS itself keeps and replays"),
    ("CodeSigning", "code signing", "it needs profiles and signatures of AWS Signer"),
    ("CapacityProvider", "capacity providers", "they are EC2 instances that AWS runs"),
    ("ScalingConfig", "scaling of managed instances", "they are EC2 instances that AWS runs"),
];

/// Why an operation of Lambda's is not done.
pub(crate) fn refusal(operation: &str) -> String {
    let known = REFUSED.iter().find(|(word, _, _)| operation.contains(word));
    known.map_or_else(
        || format!("lambkin does not do {operation} yet."),
        |(_, what, why)| format!("lambkin does not do {operation}: it has no {what}; {why}."),
    )
}

/// All of Lambda's operations, in Markdown: those that are built, and the others by reason.
#[must_use]
pub fn coverage() -> String {
    let all: Vec<&str> = MODEL.operations.iter().map(|operation| &*operation.name).collect();
    let (built, others): (Vec<&str>, Vec<&str>) = all.iter().partition(|name| BUILT.contains(*name));
    let mut table = format!("| {} operations ({}) | |\n|---|---|\n", all.len(), MODEL.source);
    row(&mut table, "built", &built);
    for (word, what, why) in REFUSED {
        let of: Vec<&str> = others.iter().copied().filter(|name| name.contains(word)).collect();
        row(&mut table, &format!("refused, {what}: {why}"), &of);
    }
    let is_known = |name: &str| REFUSED.iter().any(|(word, _, _)| name.contains(word));
    let rest: Vec<&str> = others.into_iter().filter(|name| !is_known(name)).collect();
    if !rest.is_empty() {
        row(&mut table, "not yet", &rest);
    }
    table
}

fn row(table: &mut String, what: &str, operations: &[&str]) {
    // Writing to a string cannot fail.
    let _ = writeln!(table, "| {}, {what} | {} |", operations.len(), operations.join(", "));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

    #[test]
    fn the_readme_has_this_table() {
        let readme = fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
        assert!(readme.contains(&coverage()), "run `cargo xtask coverage`");
    }

    /// An operation that no real client ever calls is not built.
    #[test]
    fn a_client_test_calls_each_built_operation() {
        let mut tests = String::new();
        for entry in fs::read_dir(format!("{ROOT}/tests/clients")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "py") {
                tests += &fs::read_to_string(path).unwrap();
            }
        }
        // By its method, or by a paginator.
        let is_called = |name: &&str| {
            let name = snake(name);
            tests.contains(&format!(".{name}(")) || tests.contains(&format!("\"{name}\""))
        };
        let missing: BTreeSet<&str> = BUILT.iter().copied().filter(|name| !is_called(name)).collect();
        assert_eq!(missing, BTreeSet::new());
    }

    /// As boto3 calls it.
    fn snake(name: &str) -> String {
        let mut snake = String::new();
        for character in name.chars() {
            if character.is_ascii_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.push(character.to_ascii_lowercase());
        }
        snake
    }
}
