//! Expressions as AWS's guide has them, over small lines, and what cannot be read.

use proptest::prelude::*;

use super::*;

/// `a` and `b` have points a minute apart, `b` lacks the second; `none` has no points.
fn lines() -> Vec<(&'static str, Line)> {
    let line = |label: &str, points: &[(i64, f64)]| Line {
        label: label.into(),
        period: 60,
        points: points.iter().copied().collect(),
    };
    vec![
        ("a", line("A", &[(0, 1.0), (60, 2.0), (120, 6.0)])),
        ("b", line("B", &[(0, 10.0), (120, 0.0)])),
        ("none", line("None", &[])),
    ]
}

fn value(texts: &[(&'static str, &str)], id: &str) -> Result<Value> {
    let read = |(id, text): &(&'static str, &str)| Ok((*id, Expression::parse(text, None)?));
    let expressions: Vec<(&str, Expression)> = texts.iter().map(read).collect::<Result<_>>()?;
    let times = |_| (0, 240);
    let known = expressions.iter().map(|(id, expression)| (*id, expression)).collect();
    let search = |_: &Search, stat: &Stat, period: u32| {
        let line = |label: &str| Line { label: format!("{label} {stat:?} {period}"), ..lines()[1].1.clone() };
        Ok(vec![line("x"), line("y")])
    };
    World::new(lines(), known, &times, &search).of(id)
}

/// Points as `time:value`, of several lines after their labels.
fn shown(text: &str) -> String {
    let points = |line: &Line| {
        line.points.iter().map(|(at, value)| format!("{at}:{value}")).collect::<Vec<_>>().join(" ")
    };
    match value(&[("e", text)], "e") {
        Err(reason) => reason,
        Ok(Value::Number(number)) => number.to_string(),
        Ok(Value::Line(line)) => points(&line),
        Ok(Value::Lines(lines)) => {
            lines.iter().map(|line| format!("{} {}", line.label, points(line))).collect::<Vec<_>>().join("; ")
        }
    }
}

#[test]
fn expressions_come_to_what_they_say() {
    for (text, expected) in [
        ("a * 2", "0:2 60:4 120:12"),
        ("100 * a / b", "0:10"),
        ("a + b", "0:11 120:6"),
        ("-a ^ 2 + 1", "0:0 60:-3 120:-35"),
        ("(a + 1) * 2 - 3 / 3", "0:3 60:5 120:13"),
        ("2 ^ 3 ^ 0 - -1", "3"),
        ("a > 1 AND a < 6 || b == 0", "0:0 120:1"),
        ("a >= 2", "0:0 60:1 120:1"),
        ("SUM(a)", "9"),
        ("a / SUM(a) * 9", "0:1 60:2 120:6"),
        ("SUM([a, b])", "0:11 60:2 120:6"),
        ("SUM(METRICS())", "0:11 60:2 120:6"),
        ("AVG([a, b])", "0:5.5 60:2 120:3"),
        ("MIN([a, b]) + MAX([a, b])", "0:11 60:4 120:6"),
        ("STDDEV(a)", "2.160246899469287"),
        ("METRICS('a') * 2", "A 0:2 60:4 120:12"),
        ("[a, b] + a", "A 0:2 60:4 120:12; B 0:11 120:6"),
        ("METRIC_COUNT(METRICS())", "3"),
        ("METRIC_COUNT(REMOVE_EMPTY(METRICS()))", "2"),
        ("FILL(b, 7)", "0:10 60:7 120:0 180:7"),
        ("FILL(b, REPEAT)", "0:10 60:10 120:0 180:0"),
        ("FILL(b, LINEAR)", "0:10 60:5 120:0"),
        ("FILL(none, 0) + 1", "0:1 60:1 120:1 180:1"),
        ("RATE(a) * PERIOD(a)", "60:1 120:4"),
        ("DIFF(a)", "60:1 120:4"),
        ("RUNNING_SUM(a)", "0:1 60:3 120:9"),
        ("IF(a > 1, a, 0)", "0:0 60:2 120:6"),
        ("IF(a > 1, b)", "120:0"),
        ("IF(SUM(a) > 5, a, b)", "0:1 60:2 120:6"),
        ("ABS(1 - a) + CEIL(0.2) + FLOOR(1.9) + LOG10(1000) + LOG(1)", "0:5 60:6 120:10"),
        ("a / 0", ""),
        ("SUM(SEARCH('{N,d} x', 'Sum', 300)) / 2", "0:10 120:0"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn a_search_has_its_own_period_or_the_querys() {
    let period = |text: &str, period: Option<i64>| match Expression::parse(text, period) {
        Ok(Expression::Search { period, .. }) => Some(period),
        _ => None,
    };
    assert_eq!(period("SEARCH('x', 'Sum')", Some(300)), Some(300));
    assert_eq!(period("SEARCH('x', 'Sum', 60)", Some(300)), Some(60));
    assert_eq!(period("SEARCH('x', 'Sum')", None), None);
}

#[test]
fn queries_are_made_of_others() {
    let all = [("twice", "a * 2"), ("four", "twice * twice_too / a"), ("twice_too", "twice + 0")];
    let Ok(Value::Line(line)) = value(&all, "four") else { panic!("a line") };
    assert_eq!(line.points.into_values().collect::<Vec<_>>(), [4.0, 8.0, 24.0]);
    let circle = [("x", "y + 1"), ("y", "x + 1")];
    assert_eq!(value(&circle, "x"), Err("'x' is made of itself".into()));
}

#[test]
fn what_is_wrong_says_where() {
    for (text, expected) in [
        ("", "a value is expected at position 1"),
        ("a +", "a value is expected at position 4"),
        ("a b", "'b' is not expected at position 3"),
        ("(a", "')' is expected at position 3"),
        ("[a, b", "']' is expected at position 6"),
        ("1.2.3", "'1.2.3' is no number at position 1"),
        ("a + 'x", "the closing ' is missing at position 5"),
        ("SEARCH('x', 'Sum')", "SEARCH takes what it looks for, a statistic and a period at position 1"),
        ("1 + SEARCH('(x', 'Sum', 60)", "SEARCH: ')' is expected at position 3 at position 5"),
        (
            "SEARCH('x', 'Sum', 7)",
            "The parameter Period must be a value in the set [ 1, 5, 10, 20, 30 ] or a multiple of 60. at position 1",
        ),
        ("SEARCH('x', 'Most', 60)", "The value Most for parameter Statistic is not supported. at position 1"),
        (
            "1 + ANOMALY_DETECTION_BAND(a)",
            "lambkin does not do the function ANOMALY_DETECTION_BAND at position 5",
        ),
        ("SUM()", "SUM does not take 0 values at position 1"),
        ("c", "there is no query 'c'"),
        ("'x'", "the text 'x' is no value"),
        ("[a, 1]", "a list takes lines, and no number"),
        ("[a, b] + [a]", "lists of 2 and of 1 lines do not go together"),
        ("RATE(1)", "RATE takes lines"),
        ("FILL(a, b)", "FILL takes a number, REPEAT or LINEAR"),
        ("METRICS(a)", "METRICS takes a text"),
        ("PERIOD([a])", "PERIOD takes a line"),
        ("IF([a], 1)", "the condition of IF is a number or a line"),
        ("IF(a, [b])", "IF chooses among numbers and lines"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
    for deep in ["(".repeat(5000), "-".repeat(5000), "ABS(".repeat(5000), "[".repeat(5000), "1^".repeat(5000)]
    {
        assert!(shown(&deep).starts_with("the expression is too deep"), "{}", &deep[..4]);
    }
    let times = |_| (0, 1_000_000_000);
    let fill = Expression::parse("FILL(a, 0)", None).unwrap();
    let mut lines = lines();
    lines[0].1.period = 1;
    let search = |_: &Search, _: &Stat, _| Ok(Vec::new());
    let read = World::new(lines, [("e", &fill)].into(), &times, &search).of("e");
    assert!(read.unwrap_err().starts_with("it makes more than"));
}

proptest! {
    #[test]
    fn reading_and_computing_end_whatever_comes(text in "([abe0-9.,()+*/^<>=!&| '\\[\\]-]|SUM\\(|FILL\\(|IF\\(|AND|METRICS\\(){0,30}") {
        let _ = value(&[("e", &text)], "e");
    }
}
