use serde_json::json;

use super::super::document::{Finder, Found};
use super::*;

/// A moment, at the beginning of a minute.
const NOW: u64 = 1_780_000_020_000;
const SECOND: u32 = (NOW / 1000) as u32;

/// What an event says: each value as `namespace name{dimensions} unit count sum`, with `1s` where it is of high resolution, and its faults of form and of rule. `None`
/// where it is none of the format.
fn said(message: &[u8]) -> Option<(Vec<String>, usize, usize)> {
    let reading = match Finder::new().find(message)? {
        Found::Broken => Reading { malformed: 1, ..Reading::default() },
        Found::Document(document) => {
            let (account, region) = ("1".into(), "r".into());
            read(&document, &Place { account: &account, region: &region }, NOW)
        }
    };
    let data = reading.data.iter().map(|(at, series, statistics)| {
        assert_eq!((&*series.account, &*series.region), ("1", "r"));
        let dimensions: Vec<String> =
            series.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let Series { namespace, name, unit, .. } = series;
        let Statistics { count, sum, .. } = statistics;
        let resolution = if at.resolution == StorageResolution::High { " 1s" } else { "" };
        format!("{namespace} {name}{{{}}} {unit} {count} {sum}{resolution}", dimensions.join(","))
    });
    Some((data.collect(), reading.malformed, reading.invalid))
}

/// A document of one directive, changed by `change`.
fn document(change: impl FnOnce(&mut Value)) -> String {
    let mut document = json!({
        "_aws": {
            "Timestamp": NOW,
            "CloudWatchMetrics": [{
                "Namespace": "Shop",
                "Dimensions": [["page"]],
                "Metrics": [{"Name": "Took", "Unit": "Milliseconds"}],
            }],
        },
        "page": "cart",
        "Took": 12.5,
        "user": {"id": [1, null, {"deep": true}]},
    });
    change(&mut document);
    document.to_string()
}

fn set(pointer: &str, to: Value) -> String {
    document(|document| *document.pointer_mut(pointer).expect(pointer) = to)
}

fn put(pointer: &str, name: &str, to: Value) -> String {
    document(|document| document.pointer_mut(pointer).expect(pointer)[name] = to)
}

fn remove(pointer: &str, name: &str) -> String {
    document(|document| {
        document.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    })
}

const DIRECTIVE: &str = "/_aws/CloudWatchMetrics/0";
const METRIC: &str = "/_aws/CloudWatchMetrics/0/Metrics/0";
const ONE: &str = "Shop Took{page=cart} Milliseconds 1 12.5";

#[test]
fn what_is_valid_is_read() {
    let plain = document(|_| {});
    let in_text = |level: &str| {
        format!("2026-05-28T20:27:00.123Z\t3a1e5a6e-0e3c-4a4e-9d1f-7b8f5d6c1a2b\t{level}{plain}")
    };
    let wide: Vec<String> = (0..30).map(|n| format!("d{n:02}")).collect();
    let many: Vec<f64> = (1..=100).map(f64::from).collect();
    let rows: Vec<(&str, String, Vec<&str>)> = vec![
        ("a document", plain.clone(), vec![ONE]),
        ("space around it", format!(" \r\n{plain}\n"), vec![ONE]),
        ("after what console.log writes", in_text("INFO\t"), vec![ONE]),
        ("after console.error", in_text("ERROR\t"), vec![ONE]),
        ("after what nodejs8.10 writes", in_text(""), vec![ONE]),
        (
            "during init",
            in_text("INFO\t").replace("3a1e5a6e-0e3c-4a4e-9d1f-7b8f5d6c1a2b", "undefined"),
            vec![ONE],
        ),
        (
            "over several lines",
            serde_json::to_string_pretty(&serde_json::from_str::<Value>(&plain).unwrap()).unwrap(),
            vec![ONE],
        ),
        (
            "metadata last",
            {
                let mut members: Vec<_> = serde_json::from_str::<serde_json::Map<String, Value>>(&plain)
                    .unwrap()
                    .into_iter()
                    .collect();
                members.rotate_left(1);
                Value::Object(members.into_iter().collect()).to_string()
            },
            vec![ONE],
        ),
        ("no unit", remove(METRIC, "Unit"), vec!["Shop Took{page=cart} None 1 12.5"]),
        (
            "an empty unit, as AWS's exporter writes",
            put(METRIC, "Unit", json!("")),
            vec!["Shop Took{page=cart} None 1 12.5"],
        ),
        (
            "by the second",
            put(METRIC, "StorageResolution", json!(1)),
            vec!["Shop Took{page=cart} Milliseconds 1 12.5 1s"],
        ),
        ("by the minute", put(METRIC, "StorageResolution", json!(60)), vec![ONE]),
        ("what the format does not know", put(METRIC, "More", json!({"a": [1]})), vec![ONE]),
        ("more metadata", put("/_aws", "LogGroupName", json!("g")), vec![ONE]),
        ("values", set("/Took", json!([1, 2.5, 3])), vec!["Shop Took{page=cart} Milliseconds 3 6.5"]),
        ("a hundred values", set("/Took", json!(many)), vec!["Shop Took{page=cart} Milliseconds 100 5050"]),
        (
            "a negative value",
            set("/Took", json!(-3e-7)),
            vec!["Shop Took{page=cart} Milliseconds 1 -0.0000003"],
        ),
        (
            "a summary",
            set("/Took", json!({"Max": 9, "Min": 1, "Count": 4, "Sum": 20})),
            vec!["Shop Took{page=cart} Milliseconds 4 20"],
        ),
        (
            "a histogram",
            set("/Took", json!({"Values": [1, 9, 5], "Counts": [3, 1, 0]})),
            vec!["Shop Took{page=cart} Milliseconds 4 12"],
        ),
        (
            "both",
            set(
                "/Took",
                json!({"Values": [1, 9], "Counts": [3, 1], "Max": 9.5, "Min": 0.9, "Count": 4, "Sum": 12.2}),
            ),
            vec!["Shop Took{page=cart} Milliseconds 4 12.2"],
        ),
        ("no dimension set", remove(DIRECTIVE, "Dimensions"), vec!["Shop Took{} Milliseconds 1 12.5"]),
        (
            "no dimension sets",
            put(DIRECTIVE, "Dimensions", json!([])),
            vec!["Shop Took{} Milliseconds 1 12.5"],
        ),
        (
            "an empty dimension set",
            put(DIRECTIVE, "Dimensions", json!([[], ["page"]])),
            vec!["Shop Took{} Milliseconds 1 12.5", ONE],
        ),
        (
            "dimensions are in order",
            document(|document| {
                document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = json!([["page", "a.b"], ["a.b"]]);
                document["a.b"] = json!("c d");
                document["a"] = json!({"b": "no"});
            }),
            vec![
                "Shop Took{a.b=c d,page=cart} Milliseconds 1 12.5",
                "Shop Took{a.b=c d} Milliseconds 1 12.5",
            ],
        ),
        ("a name that is escaped", plain.replace("\"page\":", "\"p\\u0061ge\":"), vec![ONE]),
        (
            "two members of a name: the last",
            plain.replace("\"Took\":12.5", "\"Took\":\"no\",\"Took\":7"),
            vec!["Shop Took{page=cart} Milliseconds 1 7"],
        ),
        (
            "two metrics and two directives",
            document(|document| {
                document["Left"] = json!(3);
                let own = &mut document["_aws"]["CloudWatchMetrics"];
                own[0]["Metrics"] = json!([{"Name": "Took"}, {"Name": "Left", "Unit": "Count"}]);
                let other = json!({"Namespace": "Other", "Dimensions": [["page"]], "Metrics": [{"Name": "Left", "Unit": "Count"}]});
                own.as_array_mut().unwrap().push(other);
            }),
            vec![
                "Shop Took{page=cart} None 1 12.5",
                "Shop Left{page=cart} Count 1 3",
                "Other Left{page=cart} Count 1 3",
            ],
        ),
        ("no metrics", put(DIRECTIVE, "Metrics", json!([])), vec![]),
        ("no directives", put("/_aws", "CloudWatchMetrics", json!([])), vec![]),
        (
            "the longest names",
            document(|document| {
                let (name, dimension) = ("n".repeat(255), "d".repeat(250));
                document["_aws"]["CloudWatchMetrics"][0] = json!({"Namespace": "s".repeat(255), "Dimensions": [[dimension]], "Metrics": [{"Name": name}]});
                document[name] = json!(1);
                document[dimension] = json!("v".repeat(1024));
            }),
            vec![],
        ),
    ];
    for (what, message, expected) in rows {
        let (data, malformed, invalid) =
            said(message.as_bytes()).unwrap_or_else(|| panic!("{what}: ordinary"));
        assert_eq!((malformed, invalid), (0, 0), "{what}");
        if what == "the longest names" {
            assert_eq!(data.len(), 1, "{what}");
        } else {
            assert_eq!(data, expected, "{what}");
        }
    }
    // Thirty dimensions, and each of a hundred metrics.
    let full = document(|document| {
        let metrics: Vec<Value> = (0..100).map(|n| json!({"Name": format!("m{n}")})).collect();
        (0..100).for_each(|n| document[format!("m{n}")] = json!(n));
        wide.iter().for_each(|name| document[name] = json!("v"));
        document["_aws"]["CloudWatchMetrics"][0]["Metrics"] = json!(metrics);
        document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = json!([wide]);
    });
    let (data, malformed, invalid) = said(full.as_bytes()).unwrap();
    assert_eq!((data.len(), malformed, invalid), (100, 0, 0));
    // The time is the document's.
    let (early, late) = (NOW - 14 * 86_400_000, NOW + 2 * 3_600_000);
    for (at, second) in
        [(NOW, SECOND), (NOW + 999, SECOND), (early, (early / 1000) as u32), (late, (late / 1000) as u32)]
    {
        let message = set("/_aws/Timestamp", json!(at));
        let Some(Found::Document(document)) = Finder::new().find(message.as_bytes()) else { panic!("{at}") };
        let (account, region) = ("1".into(), "r".into());
        let reading = read(&document, &Place { account: &account, region: &region }, NOW);
        let seconds: Vec<u32> = reading.data.iter().map(|(at, ..)| at.second).collect();
        assert_eq!((seconds, reading.invalid), (vec![second], 0), "{at}");
    }
}

/// What is wrong drops what it says, is counted, and leaves what stands beside it.
#[test]
fn what_is_wrong_is_dropped_and_counted() {
    let beside = |wrong: Value| {
        document(|document| {
            let metrics = document.pointer_mut("/_aws/CloudWatchMetrics/0/Metrics").unwrap();
            metrics.as_array_mut().unwrap().insert(0, wrong);
            document["text"] = json!("1");
            document["nothing"] = Value::Null;
            document["truth"] = json!(true);
            document["none"] = json!([]);
            document["mixed"] = json!([1, "2"]);
            document["nested"] = json!([[1]]);
            document["many"] = json!(vec![1; 101]);
            document["huge"] = json!(1e109);
            document["A"] = json!({"a": 1});
            document["odd"] = json!({"Values": [1, 2], "Counts": [1]});
            document["less"] = json!({"Values": [1], "Counts": [-1]});
            document["zero"] = json!({"Values": [1], "Counts": [0]});
            document["turned"] = json!({"Max": 1, "Min": 2, "Count": 1, "Sum": 1});
            document["part"] = json!({"Max": 1, "Min": 1, "Count": 1});
            document["crowd"] = json!({"Values": vec![1; 101]});
            document["n".repeat(256)] = json!(1);
            document["bell\u{7}"] = json!(1);
        })
    };
    let named = |name: &str| beside(json!({"Name": name}));
    let (form, rule) = ((1, 0), (0, 1));
    let metrics: Vec<(&str, String, (usize, usize))> = vec![
        ("a metric that is none", beside(json!("Took")), form),
        ("without a name", beside(json!({"Unit": "Count"})), form),
        ("a name that is no text", beside(json!({"Name": 7})), form),
        ("a unit that is no text", beside(json!({"Name": "Took", "Unit": 1})), form),
        ("a resolution that is no number", beside(json!({"Name": "Took", "StorageResolution": "1"})), form),
        ("an unknown unit", beside(json!({"Name": "Took", "Unit": "count"})), rule),
        ("a resolution that there is not", beside(json!({"Name": "Took", "StorageResolution": 30})), rule),
        ("no name", named(""), rule),
        ("a long name", named(&"n".repeat(256)), rule),
        ("a name with a control character", named("bell\u{7}"), rule),
        ("a member that is not there", named("missing"), rule),
        ("a nested member", named("A.a"), rule),
        ("text", named("text"), rule),
        ("null", named("nothing"), rule),
        ("a boolean", named("truth"), rule),
        ("no values", named("none"), rule),
        ("values of which one is text", named("mixed"), rule),
        ("values in values", named("nested"), rule),
        ("101 values", named("many"), rule),
        ("a value beyond 2^360", named("huge"), rule),
        ("an object", named("A"), rule),
        ("the metadata", named("_aws"), rule),
        ("counts of some", named("odd"), rule),
        ("a negative count", named("less"), rule),
        ("counts of nothing", named("zero"), rule),
        ("a maximum below the minimum", named("turned"), rule),
        ("half a summary", named("part"), rule),
        ("101 values with counts", named("crowd"), rule),
        ("a dimension set that is none", put(DIRECTIVE, "Dimensions", json!(["page", ["page"]])), form),
        ("null as a dimension set", put(DIRECTIVE, "Dimensions", json!([null, ["page"]])), form),
        ("a dimension that is no text", put(DIRECTIVE, "Dimensions", json!([[1], ["page"]])), form),
        (
            "a dimension that is not there",
            put(DIRECTIVE, "Dimensions", json!([["page", "missing"], ["page"]])),
            rule,
        ),
        ("a dimension of a number", put(DIRECTIVE, "Dimensions", json!([["Took"], ["page"]])), rule),
        ("a dimension twice", put(DIRECTIVE, "Dimensions", json!([["page", "page"], ["page"]])), rule),
        (
            "31 dimensions",
            document(|document| {
                let wide: Vec<String> = (0..31).map(|n| format!("d{n}")).collect();
                wide.iter().for_each(|name| document[name] = json!("v"));
                document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = json!([wide, ["page"]]);
            }),
            rule,
        ),
        (
            "a directive that is none",
            document(|document| {
                document["_aws"]["CloudWatchMetrics"].as_array_mut().unwrap().insert(0, json!(["Shop"]));
            }),
            form,
        ),
    ];
    let dimensions = [
        ("long", "v".repeat(1025)),
        ("empty", String::new()),
        ("blank", " ".into()),
        ("umlaut", "ä".into()),
        ("control", "a\nb".into()),
        (":colon", "v".into()),
        ("ä", "v".into()),
        ("", "v".into()),
    ];
    let dimensions = dimensions.map(|(name, value)| {
        let message = document(|document| {
            document[name] = json!(value);
            document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = json!([["page", name], ["page"]]);
        });
        (name, message, rule)
    });
    let directives = ["", "AWS/Lambda", ":Shop", " ", "Schön"].map(|namespace| {
        let message = document(|document| {
            let mut wrong = document["_aws"]["CloudWatchMetrics"][0].clone();
            wrong["Namespace"] = json!(namespace);
            document["_aws"]["CloudWatchMetrics"].as_array_mut().unwrap().insert(0, wrong);
        });
        (namespace, message, rule)
    });
    for (what, message, faults) in metrics.into_iter().chain(dimensions).chain(directives) {
        let (data, malformed, invalid) =
            said(message.as_bytes()).unwrap_or_else(|| panic!("{what}: ordinary"));
        assert_eq!((data, (malformed, invalid)), (vec![ONE.to_owned()], faults), "{what}");
    }
    let whole: Vec<(&str, String, (usize, usize))> = vec![
        ("no time", remove("/_aws", "Timestamp"), form),
        ("a time that is text", set("/_aws/Timestamp", json!(NOW.to_string())), form),
        ("a time in seconds", set("/_aws/Timestamp", json!(NOW / 1000)), rule),
        ("too old", set("/_aws/Timestamp", json!(NOW - 14 * 86_400_000 - 1)), rule),
        ("too new", set("/_aws/Timestamp", json!(NOW + 2 * 3_600_000 + 1)), rule),
        ("negative", set("/_aws/Timestamp", json!(-1)), rule),
        ("the end of time", set("/_aws/Timestamp", json!(1e300)), rule),
        ("directives that are none", set("/_aws/CloudWatchMetrics", json!({"Namespace": "Shop"})), form),
        ("no namespace", remove(DIRECTIVE, "Namespace"), form),
        ("no metrics", remove(DIRECTIVE, "Metrics"), form),
        ("metrics that are none", put(DIRECTIVE, "Metrics", json!({"Name": "Took"})), form),
        ("dimensions that are none", put(DIRECTIVE, "Dimensions", json!("page")), form),
        ("a long namespace", put(DIRECTIVE, "Namespace", json!("s".repeat(256))), rule),
        ("101 metrics", put(DIRECTIVE, "Metrics", json!(vec![json!({"Name": "Took"}); 101])), rule),
        (
            "11 dimension sets of 91 metrics",
            document(|document| {
                let own = &mut document["_aws"]["CloudWatchMetrics"][0];
                own["Dimensions"] = json!(vec![["page"]; 11]);
                own["Metrics"] = json!(vec![json!({"Name": "Took"}); 91]);
            }),
            rule,
        ),
        ("1,001 dimension sets", put(DIRECTIVE, "Dimensions", json!(vec![["page"]; 1001])), rule),
        ("cut off", document(|_| {}).replace("\"user\":", "\"user\""), form),
        ("something after it", format!("{}}}", document(|_| {})), form),
        ("two documents", format!("{0}{0}", document(|_| {})), form),
        (
            "metadata that is too deep",
            set("/_aws/Timestamp", json!(0))
                .replace(":0,", &format!(":{}0{},", "[".repeat(200), "]".repeat(200))),
            form,
        ),
    ];
    for (what, message, faults) in whole {
        let (data, malformed, invalid) =
            said(message.as_bytes()).unwrap_or_else(|| panic!("{what}: ordinary"));
        assert_eq!((data, (malformed, invalid)), (vec![], faults), "{what}");
    }
    let mut message = document(|_| {}).into_bytes();
    let at = message.windows(4).position(|bytes| bytes == b"cart").unwrap();
    message[at] = 0xFF;
    assert_eq!(said(&message), Some((vec![], 1, 0)), "no UTF-8");
}

#[test]
fn what_is_not_of_the_format_is_ordinary() {
    let plain = document(|_| {});
    let rows = [
        "",
        "}",
        "{}",
        "{\"a\":1}\n",
        "an ordinary line",
        "null",
        "[1]",
        // The runtime's record in JSON: `message` is text in which quotes are escaped, or the object itself.
        &json!({"timestamp": "2026-05-28T20:27:00.123Z", "level": "INFO", "requestId": "r", "message": plain}).to_string(),
        &json!({"level": "INFO", "message": serde_json::from_str::<Value>(&plain).unwrap()}).to_string(),
        &format!("[{plain}]"),
        &format!("metrics: {plain}"),
        &format!("metrics:\t{plain}"),
        &format!("2026-05-28T20:27:00.123Z\t{plain}"),
        &format!("2026-05-28T20:27:00.123Z\tid\tINFO\tmetrics: {plain}"),
        &format!("2026-05-28 20:27:00.123Z\tid\tINFO\t{plain}"),
        &format!("2026-05-28T20:27:00.123Z\tan id\tINFO\t{plain}"),
        &format!("2026-05-28T20:27:00.123Z\t{}\tINFO\t{plain}", "i".repeat(65)),
        &format!("{plain} is what it is"),
        &plain.replace("CloudWatchMetrics", "Metrics"),
        "{\"_aws\":1,\"CloudWatchMetrics\":[]}",
        "{\"_aws\":null,\"CloudWatchMetrics\":[]}",
        "{\"_aws\":{\"Timestamp\":1},\"CloudWatchMetrics\":[]}",
        "{\"_aws\": broken}",
    ];
    for message in rows {
        assert_eq!(said(message.as_bytes()), None, "{message}");
    }
}

/// Whatever a megabyte says costs no more than it, and no more than a thousand values come of it.
#[test]
fn what_is_huge_is_bounded() {
    let long = "x".repeat(1000);
    let rows: Vec<(&str, String)> = vec![
        (
            "directives",
            put("/_aws", "CloudWatchMetrics", {
                let one = json!({"Namespace": "s", "Metrics": [{"Name": "Took"}]});
                json!(vec![one; 20_000])
            }),
        ),
        (
            "full directives",
            put("/_aws", "CloudWatchMetrics", {
                let one = json!({"Namespace": "s", "Dimensions": vec![["page"]; 10], "Metrics": vec![json!({"Name": "Took"}); 100]});
                json!(vec![one; 400])
            }),
        ),
        (
            "dimension sets of one long value",
            document(|document| {
                document["page"] = json!(long);
                document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = json!(vec![["page"]; 100_000]);
            }),
        ),
        ("members", document(|document| (0..90_000).for_each(|n| document[format!("m{n}")] = json!(0)))),
        ("values", set("/Took", json!(vec![0; 500_000]))),
        (
            "nesting",
            document(|_| {}).replace(
                "\"user\":",
                &format!("\"nest\":{}1{},\"user\":", "[".repeat(400_000), "]".repeat(400_000)),
            ),
        ),
        (
            "nesting without an end",
            format!("{{\"_aws\":\"CloudWatchMetrics\",\"a\":{}}}", "{\"a\":".repeat(200_000)),
        ),
        ("digits", set("/Took", json!("N")).replace("\"N\"", &"9".repeat(1_000_000))),
        ("text", put("", "text", json!("\u{0}".repeat(200_000)))),
    ];
    for (what, message) in rows {
        let Some((data, malformed, invalid)) = said(message.as_bytes()) else { panic!("{what}: ordinary") };
        assert!(data.len() <= DATA, "{what}: {}", data.len());
        assert!(!data.is_empty() || malformed + invalid > 0, "{what}: nothing is told of it");
    }
}
