use super::put::now;
use super::*;
use crate::metrics::MetricConfig;
use crate::metrics::resolution::this_minute;

fn service() -> (tempfile::TempDir, CloudWatch) {
    let directory = tempfile::tempdir().unwrap();
    let store = MetricStore::open(directory.path(), &MetricConfig::default()).unwrap();
    (directory, CloudWatch::new(Arc::new(store)))
}

fn metric(name: &str) -> Metric {
    Metric {
        account: "0".into(),
        region: "r".into(),
        namespace: "N".into(),
        name: name.into(),
        dimensions: vec![("b".into(), "2".into()), ("a".into(), "1".into())],
    }
}

fn datum(name: &str) -> Datum {
    let values = Values { value: Some(1.0), ..Values::default() };
    Datum { metric: metric(name), at: None, unit: None, values, resolution: None }
}

fn query() -> StatisticsQuery {
    StatisticsQuery {
        metric: metric("m"),
        start: 0.0,
        end: 600.0,
        period: 60,
        statistics: vec!["Sum".into()],
        extended: Vec::new(),
        unit: None,
    }
}

#[test]
fn what_cannot_be_put_is_refused() {
    let (_directory, service) = service();
    let values = |values: Values| Datum { values, ..datum("m") };
    let some = Values { value: Some(1.0), ..Values::default() };
    let list = Values { values: vec![1.0], ..Values::default() };
    let set = Values { set: Some((2.0, 2.0, 1.0, 1.0)), ..Values::default() };
    for (datum, expected) in [
        (values(Values::default()), "At least one of the parameters must be specified."),
        (
            values(Values { set: set.set, ..some.clone() }),
            "The parameters MetricData.member.1.Value and MetricData.member.1.StatisticValues are mutually exclusive and you have specified both.",
        ),
        (
            values(Values { values: vec![1.0], ..some.clone() }),
            "The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive and you have specified both.",
        ),
        (
            values(Values { set: set.set, ..list.clone() }),
            "The parameters MetricData.member.1.Values and MetricData.member.1.StatisticValues are mutually exclusive and you have specified both.",
        ),
        (
            values(Values { counts: vec![1.0, 2.0], ..list }),
            "The parameters MetricData.member.1.Values and MetricData.member.1.Counts must be of the same size.",
        ),
        (
            values(Values { values: vec![1.0; 151], ..Values::default() }),
            "The collection MetricData.member.1.Values must not have a size greater than 150.",
        ),
        (
            values(Values { value: Some(f64::NAN), ..Values::default() }),
            "The value NaN for parameter MetricData.member.1.Value is invalid.",
        ),
        (
            values(Values { set: Some((0.0, 0.0, 0.0, 0.0)), ..Values::default() }),
            "The value 0 for parameter MetricData.member.1.StatisticValues.SampleCount is invalid.",
        ),
        (
            Datum { at: Some(now() - 14.1 * 86_400.0), ..datum("m") },
            "The parameter MetricData.member.1.Timestamp must specify a time no more than two weeks in the past.",
        ),
        (
            Datum { at: Some(now() + 2.1 * 3600.0), ..datum("m") },
            "The parameter MetricData.member.1.Timestamp must specify a time no more than two hours in the future.",
        ),
        (
            Datum { resolution: Some(30), ..datum("m") },
            "The parameter MetricData.member.1.StorageResolution must be a value in the set [ 1, 60 ].",
        ),
        (
            Datum {
                metric: Metric { dimensions: vec![("d".into(), "v".into()); 31], ..metric("m") },
                ..datum("m")
            },
            "The collection MetricData.member.1.Dimensions must not have a size greater than 30.",
        ),
        (
            Datum {
                metric: Metric { dimensions: vec![(":d".into(), "v".into())], ..metric("m") },
                ..datum("m")
            },
            "The value :d for parameter MetricData.member.1.Dimensions.member.1.Name is invalid.",
        ),
    ] {
        let refused = service.put("N", std::slice::from_ref(&datum)).unwrap_err();
        assert_eq!(refused.to_string(), expected);
        // Nothing of a call that is refused is kept.
        let refused = service.put("N", &[self::datum("kept"), datum]).unwrap_err();
        assert_eq!(refused.to_string(), expected.replace("MetricData.member.1", "MetricData.member.2"));
    }
    assert!(matches!(service.put("AWS/Lambda", &[datum("m")]), Err(MetricsError::InvalidValue(_))));
    assert!(matches!(service.put("N", &[]), Err(MetricsError::Missing(_))));
    assert!(matches!(service.put("N", &vec![datum("m"); 1001]), Err(MetricsError::InvalidValue(_))));
    let wanted = Wanted { account: "0".into(), region: "r".into(), ..Wanted::default() };
    assert_eq!(service.list(&wanted).unwrap().metrics, []);
}

#[test]
fn statistics_that_cannot_be_asked_for_are_refused() {
    let (_directory, service) = service();
    let period = "The parameter Period must be a value in the set [ 1, 5, 10, 20, 30 ] or a multiple of 60.";
    for (query, expected) in [
        (StatisticsQuery { period: 90, ..query() }, MetricsError::InvalidValue(period.into())),
        (StatisticsQuery { period: 15, ..query() }, MetricsError::InvalidValue(period.into())),
        (StatisticsQuery { period: 0, ..query() }, MetricsError::InvalidValue(period.into())),
        (
            StatisticsQuery { end: 0.0, ..query() },
            MetricsError::InvalidValue("The parameter StartTime must be less than the parameter EndTime.".into()),
        ),
        (
            StatisticsQuery { statistics: Vec::new(), ..query() },
            MetricsError::InvalidCombination("Must specify either Statistics or ExtendedStatistics".into()),
        ),
        (
            StatisticsQuery { end: 1441.0 * 60.0, ..query() },
            MetricsError::InvalidCombination(
                "You have requested up to 1,441 datapoints, which exceeds the limit of 1,440. You may reduce the datapoints requested by increasing Period, or decreasing the time range.".into(),
            ),
        ),
        (
            StatisticsQuery { extended: vec!["p101".into()], ..query() },
            MetricsError::InvalidValue("The value p101 for parameter Statistic is not supported.".into()),
        ),
        (
            StatisticsQuery { extended: vec!["tm90".into()], ..query() },
            MetricsError::InvalidValue("lambkin does not do the statistic tm90: of the extended ones it knows percentiles.".into()),
        ),
    ] {
        assert_eq!(service.statistics(&query), Err(expected));
    }
}

#[test]
fn periods_begin_at_the_start() {
    let (_directory, service) = service();
    let begin = f64::from(this_minute() - 100) * 60.0;
    for (minute, value, unit) in
        [(0, 1.0, "Count"), (1, 2.0, "Count"), (4, 4.0, "Count"), (5, 8.0, "Count"), (0, 16.0, "Bytes")]
    {
        let at = Some(begin + f64::from(minute) * 60.0 + 59.0);
        let values = Values { value: Some(value), ..Values::default() };
        service.put("N", &[Datum { at, values, unit: Some(unit.into()), ..datum("m") }]).unwrap();
    }
    let ask = |start: f64, period: i64, unit: Option<&str>| {
        let mut dimensions = metric("m").dimensions;
        // In whatever order.
        dimensions.reverse();
        let query = StatisticsQuery {
            metric: Metric { dimensions, ..metric("m") },
            start: begin + start,
            end: begin + 600.0,
            period,
            statistics: vec!["Sum".into(), "SampleCount".into()],
            unit: unit.map(str::to_owned),
            ..query()
        };
        let points = service.statistics(&query).unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "whole minutes")]
        let shown = points
            .iter()
            .map(|point| (point.at - begin as i64, point.statistics["Sum"], point.statistics["SampleCount"]));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(
        ask(0.0, 60, Some("Count")),
        [(0, 1.0, 1.0), (60, 2.0, 1.0), (240, 4.0, 1.0), (300, 8.0, 1.0)]
    );
    assert_eq!(ask(0.0, 300, Some("Count")), [(0, 7.0, 3.0), (300, 8.0, 1.0)]);
    assert_eq!(ask(70.0, 300, Some("Count")), [(60, 14.0, 3.0)]);
    assert_eq!(ask(0.0, 600, None), [(0, 16.0, 1.0), (0, 15.0, 4.0)]);
    assert_eq!(ask(0.0, 600, Some("Seconds")), []);
}

/// What was put with `StorageResolution` 1 is told by the second, and all else at the beginning of its minute.
#[test]
fn short_periods_tell_seconds() {
    let (_directory, service) = service();
    let begin = this_second() / 60 * 60 - 600;
    let put = |name: &str, second: u32, value: f64, resolution: i64| {
        let values = Values { value: Some(value), ..Values::default() };
        let at = Some(f64::from(second) + 0.9);
        let datum = Datum { at, values, resolution: Some(resolution), ..datum(name) };
        service.put("N", &[datum]).unwrap();
    };
    for (second, value, resolution) in
        [(0, 1.0, 1), (3, 2.0, 1), (3, 4.0, 1), (5, 8.0, 1), (61, 16.0, 1), (150, 32.0, 60)]
    {
        put("m", begin + second, value, resolution);
    }
    let ask = |name: &str, start: f64, end: f64, period: i64| {
        let of = f64::from(begin);
        let query =
            StatisticsQuery { metric: metric(name), start: of + start, end: of + end, period, ..query() };
        let points = service.statistics(&query).unwrap();
        points.iter().map(|point| (point.at - i64::from(begin), point.statistics["Sum"])).collect::<Vec<_>>()
    };
    for (period, expected) in [
        (1, &[(0, 1.0), (3, 6.0), (5, 8.0), (61, 16.0), (120, 32.0)][..]),
        (5, &[(0, 7.0), (5, 8.0), (60, 16.0), (120, 32.0)]),
        (10, &[(0, 15.0), (60, 16.0), (120, 32.0)]),
        (20, &[(0, 15.0), (60, 16.0), (120, 32.0)]),
        (30, &[(0, 15.0), (60, 16.0), (120, 32.0)]),
        (60, &[(0, 15.0), (60, 16.0), (120, 32.0)]),
        (120, &[(0, 31.0), (120, 32.0)]),
    ] {
        assert_eq!(ask("m", 0.0, 200.0, period), expected, "{period}");
    }
    // The start is rounded down to where a period begins, and the end is not of it.
    assert_eq!(ask("m", 4.5, 61.0, 1), [(5, 8.0)].map(|(at, sum)| (at, sum)));
    assert_eq!(ask("m", 3.9, 61.0, 1), [(3, 6.0), (5, 8.0)]);
    assert_eq!(ask("m", 9.0, 61.5, 5), [(5, 8.0), (60, 16.0)]);
    assert_eq!(ask("m", 29.0, 61.5, 10), [(60, 16.0)]);
    // Three hours ago seconds end; minutes do not, of whatever resolution they were put with.
    let hours = |hours: u32| begin - hours * 3600;
    put("old", hours(2), 1.0, 1);
    put("old", hours(4), 2.0, 1);
    put("old", hours(5), 4.0, 60);
    let since = |hours: u32| -f64::from(hours) * 3600.0;
    assert_eq!(ask("old", since(6), 0.0, 30), [(-2 * 3600, 1.0)]);
    assert_eq!(ask("old", since(6), 0.0, 60), [(-5 * 3600, 4.0), (-4 * 3600, 2.0), (-2 * 3600, 1.0)]);
    let refused = service.statistics(&StatisticsQuery {
        start: f64::from(begin),
        end: f64::from(begin + 1441),
        period: 1,
        ..query()
    });
    assert!(refused.unwrap_err().to_string().starts_with("You have requested up to 1,441 datapoints"));
}

#[test]
fn data_come_in_pages() {
    let (_directory, service) = service();
    let begin = f64::from(this_minute() - 10) * 60.0;
    for minute in 0..3 {
        let at = Some(begin + f64::from(minute) * 60.0);
        service.put("N", &[Datum { at, ..datum("a") }, Datum { at, ..datum("b") }]).unwrap();
    }
    let query = |id: &str, name: &str| DataQuery {
        id: id.into(),
        asked: Expressed::Stat { metric: metric(name), period: 60, stat: "Sum".into(), unit: None },
        label: None,
        returned: true,
    };
    let data = |most: Option<i64>, token: Option<String>| Data {
        account: "0".into(),
        region: "r".into(),
        queries: vec![query("x", "a"), query("none", "c"), query("y", "b")],
        start: begin,
        end: begin + 600.0,
        ascending: true,
        most,
        token,
    };
    let shown = |results: &[DataResult]| -> Vec<(String, usize, bool)> {
        results.iter().map(|result| (result.id.clone(), result.points.len(), result.complete)).collect()
    };
    let (results, next) = service.data(&data(None, None)).unwrap();
    let all = [("x", 3, true), ("none", 0, true), ("y", 3, true)];
    assert_eq!(shown(&results), all.map(|(id, count, complete)| (id.to_owned(), count, complete)));
    assert_eq!(next, None);
    let (mut token, mut counted) = (None, std::collections::HashMap::<String, usize>::new());
    for page in 0.. {
        let (results, next) = service.data(&data(Some(2), token)).unwrap();
        assert!(results.iter().map(|result| result.points.len()).sum::<usize>() <= 2);
        results
            .iter()
            .for_each(|result| *counted.entry(result.id.clone()).or_default() += result.points.len());
        token = next;
        if token.is_none() {
            assert_eq!(page, 2);
            break;
        }
    }
    assert_eq!((counted["x"], counted["y"]), (3, 3));
    for (changed, expected) in [
        (Data { queries: Vec::new(), ..data(None, None) }, "The parameter MetricDataQueries is required."),
        (
            Data { queries: vec![query("x", "a"), query("x", "b")], ..data(None, None) },
            "The values for parameter id in MetricDataQueries are not unique.",
        ),
        (
            Data {
                queries: vec![DataQuery {
                    asked: Expressed::Expression { text: "a +".into(), period: None },
                    ..query("e", "a")
                }],
                ..data(None, None)
            },
            "Error in expression 'e': a value is expected at position 4.",
        ),
        (
            Data {
                queries: vec![
                    query("x", "a"),
                    DataQuery {
                        asked: Expressed::Expression { text: "SUM(x)".into(), period: Some(60) },
                        ..query("e", "a")
                    },
                ],
                ..data(None, None)
            },
            "Error in expression 'e': it comes to a number, and is to come to lines.",
        ),
        (
            Data { queries: vec![query("X", "a")], ..data(None, None) },
            "The value X in parameter MetricDataQueries.member.1.Id must start with a lowercase letter and have letters, digits and _ alone.",
        ),
    ] {
        assert_eq!(service.data(&changed), Err(MetricsError::Validation(expected.into())));
    }
    assert_eq!(service.data(&data(None, Some("x".into()))), Err(MetricsError::InvalidToken));
}

#[test]
fn metrics_are_listed_in_pages() {
    let (_directory, service) = service();
    let data: Vec<Datum> = (0..501).map(|n| datum(&format!("m{n:03}"))).collect();
    service.put("N", &data).unwrap();
    service.put("N", &[Datum { unit: Some("Bytes".into()), ..datum("m000") }]).unwrap();
    let old = Datum { at: Some(now() - 4.0 * 3600.0), ..datum("old") };
    service.put("N", &[old]).unwrap();
    let wanted = Wanted { account: "0".into(), region: "r".into(), ..Wanted::default() };
    let first = service.list(&wanted).unwrap();
    assert_eq!(first.metrics.len(), 500);
    let second = service.list(&Wanted { token: first.next, ..wanted.clone() }).unwrap();
    let names: Vec<&str> = second.metrics.iter().map(|series| &*series.name).collect();
    assert_eq!((names, second.next), (vec!["m500", "old"], None));
    let dimension = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    let of = |wanted: Wanted| service.list(&wanted).unwrap().metrics.len();
    let named = Wanted { name: Some("m000".into()), ..wanted.clone() };
    assert_eq!(of(named.clone()), 1, "in two units");
    assert_eq!(of(Wanted { dimensions: vec![dimension("a", None)], ..named.clone() }), 1);
    assert_eq!(
        of(Wanted { dimensions: vec![dimension("a", Some("1")), dimension("b", None)], ..named.clone() }),
        1
    );
    assert_eq!(of(Wanted { dimensions: vec![dimension("a", Some("2"))], ..named.clone() }), 0);
    assert_eq!(of(Wanted { region: "elsewhere".into(), ..named }), 0);
    let recent = Wanted { name: Some("old".into()), recently_active: true, ..wanted.clone() };
    assert_eq!(of(recent), 0);
    assert_eq!(service.list(&Wanted { token: Some("x".into()), ..wanted }), Err(MetricsError::InvalidToken));
}
