use bytes::Bytes;
use lambkin_model::time::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::log_writer::millis;
use crate::metrics::MetricConfig;
use crate::metrics::cloudwatch::{CloudWatch, Metric, StatisticsQuery, Wanted};

struct World {
    extractor: Extractor,
    cloudwatch: CloudWatch,
    now: u64,
    _directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(MetricStore::open(directory.path(), &MetricConfig::default()).unwrap());
        let cloudwatch = CloudWatch::new(Arc::clone(&store));
        Self { extractor: Extractor::new(store), cloudwatch, now: millis(), _directory: directory }
    }

    fn take(&mut self, group: &str, messages: &[String]) {
        let stream = LogStreamName {
            account: "1".into(),
            region: "r".into(),
            group: group.into(),
            stream: "s".into(),
        };
        let at = Timestamp(self.now * 1000);
        let event = |message: &String| LogEvent { at, message: Bytes::from(message.clone()) };
        let events: Vec<LogEvent> = messages.iter().map(event).collect();
        self.extractor.take(&stream, &events, self.now);
    }

    /// Number of values and sum of a metric; zeros where there is none.
    fn statistics(&self, namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> (f64, f64) {
        let metric = Metric {
            account: "1".into(),
            region: "r".into(),
            namespace: namespace.into(),
            name: name.into(),
            dimensions: dimensions.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        };
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
        let now = (self.now / 1000) as f64;
        let points = self
            .cloudwatch
            .statistics(&StatisticsQuery {
                metric,
                start: now - 3600.0,
                end: now + 3600.0,
                period: 7200,
                statistics: vec!["SampleCount".into(), "Sum".into()],
                extended: Vec::new(),
                unit: None,
            })
            .unwrap();
        points.iter().fold((0.0, 0.0), |(count, sum), point| {
            (count + point.statistics["SampleCount"], sum + point.statistics["Sum"])
        })
    }

    fn errors(&self, group: &str) -> (f64, f64) {
        let of = |name| self.statistics("AWS/Logs", name, &[("LogGroupName", group)]).1;
        (of("EMFParsingErrors"), of("EMFValidationErrors"))
    }
}

fn document(now: u64, values: &Value) -> String {
    json!({
        "_aws": {
            "Timestamp": now,
            "CloudWatchMetrics": [{
                "Namespace": "Shop",
                "Dimensions": [["page"], []],
                "Metrics": [{"Name": "Took", "Unit": "Milliseconds"}],
            }],
        },
        "page": "cart",
        "Took": values,
    })
    .to_string()
}

#[test]
fn what_lines_say_is_summed_up_and_errors_are_their_groups() {
    let mut world = World::new();
    let line = |values: Value| document(world.now, &values);
    let lines = [
        line(json!(2)),
        "an ordinary line".into(),
        line(json!([3, 4])),
        line(json!("text")),
        line(json!(1)).replace("cart\"", "cart"),
    ];
    world.take("a", &lines);
    world.take("b", &lines[..3]);
    for dimensions in [&[("page", "cart")][..], &[]] {
        assert_eq!(world.statistics("Shop", "Took", dimensions), (6.0, 18.0));
    }
    assert_eq!((world.errors("a"), world.errors("b")), ((1.0, 1.0), (0.0, 0.0)));
    let listed =
        world.cloudwatch.list(&Wanted { account: "1".into(), region: "r".into(), ..Wanted::default() });
    let names: Vec<String> = listed
        .unwrap()
        .metrics
        .iter()
        .map(|series| format!("{} {} {}", series.namespace, series.name, series.dimensions.len()))
        .collect();
    assert_eq!(
        names,
        ["AWS/Logs EMFParsingErrors 1", "AWS/Logs EMFValidationErrors 1", "Shop Took 0", "Shop Took 1"]
    );
}

/// A group that asks too much of the log store's thread loses what is beyond, in this second, and nobody else does; all
/// together may not ask too much either.
#[test]
fn what_a_second_costs_is_bounded() {
    let mut world = World::new();
    let heavy = |now| document(now, &json!(vec![1; 100]));
    // A document, its bytes, a hundred values, two series.
    let cost = 1 + heavy(world.now).len() / BYTES + 100 / 8 + 2;
    let fits = COST_OF_GROUP.div_ceil(cost);
    let lines = vec![heavy(world.now); fits + 5];
    let page = [("page", "cart")];
    world.take("a", &lines);
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let of = |documents: usize| documents as f64 * 100.0;
    assert_eq!((world.statistics("Shop", "Took", &page).1, world.errors("a")), (of(fits), (0.0, 5.0)));
    world.take("b", &lines[..1]);
    assert_eq!((world.statistics("Shop", "Took", &page).1, world.errors("b")), (of(fits + 1), (0.0, 0.0)));
    world.now += 1000;
    let lines = vec![heavy(world.now); fits + 5];
    for group in ["a", "b", "c", "d"] {
        world.take(group, &lines);
    }
    assert_eq!(world.errors("a").1, 10.0);
    // The last one found what the others left.
    assert!(world.errors("d").1 > of(fits) / 100.0 - 10.0, "{:?}", world.errors("d"));
    world.now += 1000;
    world.take("d", &lines[..1]);
    let before = world.errors("d").1;
    world.take("d", &lines[..1]);
    assert_eq!(world.errors("d").1, before);
}

/// Nanoseconds of CPU that the threads of this process that live have used.
fn cpu() -> u64 {
    let used = |task: std::io::Result<std::fs::DirEntry>| {
        let said = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        said.split(' ').next()?.parse::<u64>().ok()
    };
    std::fs::read_dir("/proc/self/task").unwrap().filter_map(used).sum()
}

/// Run with `--run-ignored only`, in release: what the log store costs of CPU with and without what takes metrics out, in pairs.
#[test]
#[ignore = "measures, and holds nothing"]
#[expect(clippy::cast_precision_loss, reason = "nanoseconds fit")]
fn measure_extraction() {
    use lambkin_model::log::LogSink;

    use crate::{Config, LogStore};

    type Kind<'k> = (&'k str, &'k dyn Fn(usize) -> String, usize);
    const LINES: usize = 400_000;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let stream = Arc::new(LogStreamName {
        account: "000000000000".into(),
        region: "us-east-1".into(),
        group: "/aws/lambda/shop".into(),
        stream: "2026/01/02/[$LATEST]8f507cfc0a1b4697b07aac58fc914c95".into(),
    });
    let took = |lines: &[Bytes], extracting: bool| {
        let directory = tempfile::tempdir().unwrap();
        let metrics = Arc::new(MetricStore::open(directory.path(), &MetricConfig::default()).unwrap());
        let store =
            LogStore::open(directory.path(), &Config::default(), extracting.then(|| Arc::clone(&metrics)))
                .unwrap();
        let begin = cpu();
        for batch in lines.chunks(40) {
            let at = Timestamp(millis() * 1000);
            let events = batch.iter().map(|line| LogEvent { at, message: line.clone() }).collect();
            if let Some(room) = store.append(&stream, events) {
                runtime.block_on(room);
            }
        }
        assert!(store.flush(Duration::from_secs(600)));
        cpu() - begin
    };
    let now = millis();
    let text = |n: usize| {
        format!(
            "2026-05-28T20:27:00.123Z\t3a1e5a6e-0e3c-4a4e-9d1f-{n:012}\tINFO\torder {n} took {} ms",
            n % 900
        )
    };
    let record = |n: usize| {
        json!({"timestamp": "2026-05-28T20:27:00.123Z", "level": "INFO", "requestId": format!("3a1e5a6e-0e3c-4a4e-9d1f-{n:012}"), "message": {"order": n, "took": n % 900}}).to_string()
    };
    let emf = |n: usize| {
        json!({
            "_aws": {"Timestamp": now, "CloudWatchMetrics": [{"Namespace": "Shop", "Dimensions": [["service", "page"]],
                "Metrics": [{"Name": "Took", "Unit": "Milliseconds"}, {"Name": "Orders", "Unit": "Count"}]}]},
            "service": "shop", "page": format!("page-{}", n % 20), "Took": n % 900, "Orders": 1,
            "requestId": format!("3a1e5a6e-0e3c-4a4e-9d1f-{n:012}"),
        })
        .to_string()
    };
    // Fewer documents than a group may have in a second.
    let kinds: [Kind<'_>; 3] =
        [("text", &text, LINES), ("JSON", &record, LINES), ("metrics", &emf, LINES / 16)];
    for (what, line, count) in kinds {
        let lines: Vec<Bytes> = (0..count).map(|n| line(n).into()).collect();
        let mut ratios: Vec<(f64, u64, u64)> = (0..9)
            .map(|round| {
                // Who is first changes.
                let first = took(&lines, round % 2 == 0);
                let second = took(&lines, round % 2 != 0);
                let (with, without) = if round % 2 == 0 { (first, second) } else { (second, first) };
                (with as f64 / without as f64, with, without)
            })
            .collect();
        ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (ratio, with, without) = ratios[ratios.len() / 2];
        let each = count as u64;
        // The same by itself, which is steadier: the least of all rounds.
        let mut world = World::new();
        let at = Timestamp(millis() * 1000);
        let events: Vec<LogEvent> = lines.iter().map(|line| LogEvent { at, message: line.clone() }).collect();
        let alone = (0..9).map(|second| {
            let begin = cpu();
            world.extractor.take(&stream, &events, now + second * 1000);
            cpu() - begin
        });
        let alone = alone.min().unwrap() / each;
        let (with, without) = (with / each, without / each);
        println!("{what}: {ratio:.3} (with {with} ns a line, without {without} ns); alone {alone} ns");
    }
}
