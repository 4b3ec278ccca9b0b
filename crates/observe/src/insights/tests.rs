//! The guide's examples, results, and what is malformed and where.

use proptest::prelude::*;

use super::*;
use crate::store::search::Position;

const REPORT: &str = "REPORT RequestId: 8f507cfc-0a1b-4697-b07a-ac58fc914c95\tDuration: 12.50 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\tMax Memory Used: 64 MB\tInit Duration: 100.25 ms\t";

fn events() -> Vec<String> {
    let mut events: Vec<String> = (0..10)
        .map(|number| {
            format!(
                r#"{{"level":"{}","took":{},"user":{{"name":"u{}"}},"tags":["a","b{number}"],"ok":{}}}"#,
                if number % 3 == 0 { "ERROR" } else { "INFO" },
                number * 10,
                number % 2,
                number > 4
            )
        })
        .collect();
    events.push(REPORT.into());
    events.push("GET /index.html 200 took 17ms".into());
    events
}

fn rows(query: &str) -> Result<Vec<Vec<(String, String)>>, String> {
    let query = Query::parse(query, None).map_err(|error| format!("{} at {}", error.message, error.at))?;
    let mut run = Run::new(&query);
    for (index, message) in events().iter().enumerate() {
        let at = 1_767_323_040_000 + index as u64 * 30_000;
        let position = Position { at, block: 1, index: index as u32 };
        let source = Source { position, ingested: at + 5, log: "000000000000:/g", stream: "s", message };
        run.take(source);
    }
    run.finish().map_err(str::to_owned)
}

/// The rows without pointers, as `name=value, …; …`.
fn shown(query: &str) -> String {
    let rows = rows(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let row = |row: &Vec<(String, String)>| {
        let fields = row.iter().filter(|(name, _)| name != "@ptr");
        fields.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
    };
    rows.iter().map(row).collect::<Vec<_>>().join("; ")
}

#[test]
fn queries_find_what_they_say() {
    for (query, expected) in [
        ("fields took | filter level = 'ERROR' | sort took asc", "took=0; took=30; took=60; took=90"),
        (
            "fields took | filter level = \"ERROR\" and took > 20 | sort took desc | limit 2",
            "took=90; took=60",
        ),
        (
            "filter level like /^ERR/ | fields took, took * 2 as double | sort @timestamp | limit 1",
            "took=0, double=0",
        ),
        ("fields user.name as who | filter took in [10, 20] | sort who desc", "who=u1; who=u0"),
        ("fields tags.1 | filter tags.1 = 'b4'", "tags.1=b4"),
        ("filter ok = true and not (took >= 70) | fields took | sort took", "took=50; took=60"),
        (
            "filter ispresent(took) = 0 | fields @timestamp | sort @timestamp | limit 1",
            "@timestamp=2026-01-02 03:09:00.000",
        ),
        ("stats count(*)", "count(*)=12"),
        ("filter level = 'NONE' | stats count(*) as n", "n=0"),
        (
            "filter ispresent(level) | stats count(*) as n by level | sort n desc",
            "level=INFO, n=6; level=ERROR, n=4",
        ),
        (
            "stats avg(took), min(took), max(took), sum(took) as total, count(took)",
            "avg(took)=45, min(took)=0, max(took)=90, total=450, count(took)=10",
        ),
        (
            "filter ispresent(took) | stats count(*) by bin(2m)",
            "bin(2m)=2026-01-02 03:04:00.000, count(*)=4; bin(2m)=2026-01-02 03:06:00.000, count(*)=4; \
             bin(2m)=2026-01-02 03:08:00.000, count(*)=2",
        ),
        ("stats count_distinct(level) as levels", "levels=2"),
        ("stats latest(took) as l, earliest(took) as e", "l=90, e=0"),
        ("stats sortsFirst(level) as f, sortsLast(level) as l", "f=ERROR, l=INFO"),
        ("stats sum(took) / count(took) * 2 as twice, avg(took)", "twice=90, avg(took)=45"),
        (
            "stats max(took) as most, min(took) as least, most - least as between, ceil(avg(took)/2)",
            "most=90, least=0, between=90, ceil(avg(took)/2)=23",
        ),
        // Of the guide's samples for Lambda.
        (
            "filter @type = 'REPORT' | stats max(@memorySize / 1000 / 1000) as provisonedMemoryMB, \
          max(@maxMemoryUsed / 1000 / 1000) as maxMemoryUsedMB, provisonedMemoryMB - maxMemoryUsedMB as overProvisionedMB",
            "provisonedMemoryMB=128, maxMemoryUsedMB=64, overProvisionedMB=64",
        ),
        (
            "filter @type = 'REPORT' | stats sum(strcontains(@message, 'Init Duration')) / count(*) * 100 as coldStartPct, \
          avg(@duration) by bin(5m)",
            "bin(5m)=2026-01-02 03:05:00.000, coldStartPct=100, avg(@duration)=12.5",
        ),
        (
            "stats count(*) as n by level, ok | filter ispresent(level) | stats sum(n) as sum, count(*) as groups by level",
            "level=ERROR, sum=4, groups=2; level=INFO, sum=6, groups=2",
        ),
        (
            "fields strlen(@message) as l | stats sum(l)/l0 as x, count(*) as n by bin(2m) as t | stats max(n) as most by datefloor(t, 1h) as h",
            "h=2026-01-02 03:00:00.000, most=4",
        ),
        (
            "limit 1 | fields datefloor(@timestamp, 1h) as f, dateceil(@timestamp, 1mo) as c, fromMillis(0) as z, toMillis(f) as m, \
          now() > 1700000000 as n, @timestamp as t",
            "f=2026-01-02 03:00:00.000, c=2026-02-01 00:00:00.000, z=1970-01-01 00:00:00.000, m=1767322800000, n=1, \
             t=2026-01-02 03:09:30.000",
        ),
        (
            "fields jsonParse(@message) as j | filter j.user.name = 'u1' | sort took | limit 1 | display j.took, j.tags[1], jsonStringify(j.tags)",
            "j.took=10, j.tags.1=b1, jsonStringify(j.tags)=[\"a\",\"b1\"]",
        ),
        (
            "limit 1 | fields isValidIp('10.1.2.3') as a, isValidIpv4('::1') as b, isValidIpv6('::1') as c, isIpInSubnet('10.1.2.3', '10.0.0.0/8') as d, \
          isIpv4InSubnet('11.1.2.3', '10.0.0.0/8') as e, isIpv6InSubnet('fe80::1', 'fe80::/10') as f, isIpInSubnet('1.2.3.4', '0.0.0.0/0') as g, \
          isIpInSubnet('::1', '0.0.0.0/0') as h, isIpInSubnet('1.2.3.4', '1.2.3.4/99') as i",
            "a=1, b=0, c=1, d=1, e=0, f=1, g=1, h=0, i=0",
        ),
        (
            "filter @type = 'REPORT' | fields @requestId, @duration, @billedDuration, @initDuration, @maxMemoryUsed, @memorySize",
            "@requestId=8f507cfc-0a1b-4697-b07a-ac58fc914c95, @duration=12.5, @billedDuration=13, @initDuration=100.25, \
             @maxMemoryUsed=64000000, @memorySize=128000000",
        ),
        (
            "parse @message 'GET * * took *ms' as path, status, took | filter status = 200 | display path, took",
            "path=/index.html, took=17",
        ),
        (
            r"parse @message /took (?<millis>\d+)ms/ | filter ispresent(millis) | fields millis + 1 as next",
            "next=18",
        ),
        ("parse 'GET *' as rest | filter ispresent(rest) | display rest", "rest=/index.html 200 took 17ms"),
        // Of a value the first by the sort, the newest by default; nothing is no value, and is kept.
        (
            "fields level, took | filter ispresent(level) | dedup level",
            "level=ERROR, took=90; level=INFO, took=80",
        ),
        (
            "fields level, took | filter ispresent(level) | sort took | dedup level",
            "level=ERROR, took=0; level=INFO, took=10",
        ),
        ("dedup level | stats count(*) as n", "n=4"),
        (
            "fields took | filter ispresent(took) | sort took desc | limit 3 | sort took",
            "took=70; took=80; took=90",
        ),
        ("filter ispresent(took) | limit 3 | stats count(*) as n, max(took)", "n=3, max(took)=90"),
        ("fields took | sort took desc | limit 4 | filter took < 80", "took=70; took=60"),
        (
            "filter @logStream = 's' and @log like 'g' | fields concat(level, '-', strlen(level)) as x | sort @timestamp | limit 1",
            "x=ERROR-5",
        ),
        (
            "filter took not in [0,10,20,30,40,50,60,70,80] and ispresent(took) # a comment | here\n| fields took",
            "took=90",
        ),
        ("filter took = 7 - -3 | fields toupper(user.name) as n, (1 + 2) * 3 ^ 2 % 4 as m", "n=U1, m=3"),
        (
            "filter ispresent(took) | stats count(*) as n by level, ok | filter n = 2 | display level, ok, n",
            "level=ERROR, ok=0, n=2; level=ERROR, ok=1, n=2",
        ),
    ] {
        assert_eq!(shown(query), expected.replace("; \\\n", "; "), "{query}");
    }
    let percentiles = shown("filter ispresent(took) | stats pct(took, 50) as p50, pct(took, 99) as p99");
    let numbers: Vec<f64> =
        percentiles.split(", ").map(|part| part.split('=').nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, [40.0, 90.0], "of few values it is exact");
    let all = rows("fields @timestamp, @message").unwrap();
    assert_eq!(all.len(), 12);
    assert_eq!(all[0][1].1, events()[11], "the newest first");
    assert_eq!(all[0][2].0, "@ptr");
    assert_eq!(rows("limit 3").unwrap().len(), 3);
}

/// Numbers come from events: none may keep a query from ending.
#[test]
fn what_is_no_time_is_nothing() {
    for call in ["datefloor(N, 1mo)", "dateceil(N, 1q)", "datefloor(N, 1d)", "fromMillis(N)"] {
        for number in ["10^300", "0 - 1", "0 - 10^300", "253402300800000"] {
            let query = format!("limit 1 | fields ispresent({}) as there", call.replace('N', number));
            assert_eq!(shown(&query), "there=0", "{query}");
        }
    }
    assert_eq!(
        shown("limit 1 | fields datefloor(253402300799999, 1mo) as f, dateceil(253402300799999, 1mo) as c"),
        "f=9999-12-01 00:00:00.000",
        "the next month cannot be shown"
    );
}

#[test]
fn what_is_malformed_says_where() {
    for (query, expected) in [
        ("", "the query is empty at 0"),
        (
            "fields @timestamp |",
            "'' is no command; there are fields, display, filter, parse, stats, sort, limit and dedup at 19",
        ),
        (
            "find x",
            "'find' is no command; there are fields, display, filter, parse, stats, sort, limit and dedup at 0",
        ),
        ("filter level = ", "a value is expected at 15"),
        ("filter level = 'x", "the closing ' is missing at 15"),
        ("filter level like x", "a text in quotes or a regular expression in slashes is expected at 18"),
        ("filter level like /x", "the closing / is missing at 19"),
        ("fields a b", "'|' or the end is expected at 9"),
        ("stats total(x)", "'total' is no aggregation at 6"),
        ("stats took", "'took' is no aggregation at 6"),
        ("stats count(*) as n, m * 2", "'m * 2' is no aggregation at 21"),
        ("stats sum(count(took))", "'count' is no function at 10"),
        ("stats sum()", "'sum' wants a field at 11"),
        ("stats pct(x, 101)", "a percentile from 0 to 100 is expected at 16"),
        ("stats count(*) by bin(5)", "a period such as 5m is expected at 23"),
        ("limit 0", "a number from 1 to 10000 is expected at 7"),
        ("limit 10001", "a number from 1 to 10000 is expected at 11"),
        ("parse @message '* *' as a", "1 names for 2 asterisks at 16"),
        ("parse @message /x/", "the regular expression has no named group, (?<name>…) at 18"),
        ("fields nothing(1)", "'nothing' is no function at 7"),
        ("fields strlen()", "'strlen' does not take 0 values at 7"),
    ] {
        assert_eq!(rows(query), Err(expected.to_owned()), "{query}");
    }
    let deep = format!("filter {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(rows(&deep).unwrap_err().starts_with("the expression is too deep"));
    assert!(
        rows(&format!("filter {}1", "not ".repeat(5000)))
            .unwrap_err()
            .starts_with("the expression is too deep")
    );
    assert!(
        rows(&format!("filter {}1", "-".repeat(5000))).unwrap_err().starts_with("the expression is too deep")
    );
}

proptest! {
    #[test]
    fn reading_and_running_end_whatever_comes(
        query in "((fields|filter|stats|sort|parse|limit) [a-z@'\"/(),*+=<>. 0-9|`-]{0,20}\\|? ?){1,3}"
    ) {
        drop(rows(&query));
    }

    #[test]
    fn needs_are_in_what_matches(value in "[a-c0-9-]{1,6}", text in "[a-c0-9-]{1,6}") {
        let query = Query::parse(&format!("filter a = '{value}'"), None).unwrap();
        let message = format!(r#"{{"a":"{text}"}}"#);
        let mut run = Run::new(&query);
        let position = Position::of(1);
        run.take(Source { position, ingested: 1, log: "l", stream: "s", message: &message });
        if run.matched() > 0 {
            let mut words = crate::store::words::Gatherer::default();
            words.add(message.as_bytes());
            prop_assert!(crate::store::words::may_have(&words.filter(), false, &query.need()));
        }
    }
}
