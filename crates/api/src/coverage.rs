//! Which of Lambda's operations lambkin does, and why it does not do the others: for the answer that refuses one, and
//! for the README's table.

use std::fmt::Write as _;

use crate::operations::BUILT;
use crate::service_model::MODEL;

/// A word of their names, what the operations are about, and why they are refused.
const REFUSED: [(&str, &str, &str); 3] = [
    ("Durable", "durable executions", "they are journals that AWS itself keeps and replays"),
    ("CodeSigning", "code signing", "it needs profiles and signatures of AWS Signer"),
    ("CapacityProvider", "capacity providers", "they are EC2 instances that AWS runs"),
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

    /// An operation that no real client calls is not built: all of them go through this table (`test_tour.py`).
    #[test]
    fn the_clients_tour_has_each_built_operation() {
        let table = fs::read_to_string(format!("{ROOT}/tests/clients/tour/lambda.jsonl")).unwrap();
        let rows = table.lines().filter(|line| !line.is_empty());
        let rows = rows.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let of_lambda = rows.filter(|row| row.get("service").is_none());
        let called: BTreeSet<String> = of_lambda.map(|row| row["call"].as_str().unwrap().into()).collect();
        assert_eq!(called, BUILT.iter().map(|&name| name.into()).collect());
    }
}
