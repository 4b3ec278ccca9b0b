//! What expressions come to: numbers, lines (points by their times), and lists of lines. Where lines meet, a point is there
//! where both have one; what is no number (a division by zero) is no point.

use std::collections::{BTreeMap, HashMap};

use super::{Expression, Function, Operator, Search, Stat};

/// Most points that the expressions of a call make.
const POINTS: usize = 2_000_000;

#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Line {
    pub(in super::super) label: String,
    /// Seconds.
    pub(in super::super) period: u32,
    pub(in super::super) points: BTreeMap<i64, f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Value {
    Number(f64),
    Line(Line),
    Lines(Vec<Line>),
}

type Result<T> = std::result::Result<T, String>;

/// What finds the lines of a search.
pub(in super::super) type Found<'q> = dyn Fn(&Search, &Stat, u32) -> Result<Vec<Line>> + 'q;

/// What expressions may name, and what was found out already.
pub(in super::super) struct World<'q> {
    /// Metrics by their queries' ids, in order.
    metrics: Vec<(&'q str, Line)>,
    expressions: HashMap<&'q str, &'q Expression>,
    /// The times that FILL fills, by period: from, up to.
    times: &'q dyn Fn(u32) -> (i64, i64),
    /// The lines that a search finds.
    search: &'q Found<'q>,
    known: HashMap<&'q str, Option<Value>>,
    made: usize,
}

impl<'q> World<'q> {
    pub(in super::super) fn new(
        metrics: Vec<(&'q str, Line)>,
        expressions: HashMap<&'q str, &'q Expression>,
        times: &'q dyn Fn(u32) -> (i64, i64),
        search: &'q Found<'q>,
    ) -> Self {
        Self { metrics, expressions, times, search, known: HashMap::new(), made: 0 }
    }

    /// What a query comes to.
    pub(in super::super) fn of(&mut self, id: &str) -> Result<Value> {
        if let Some((_, line)) = self.metrics.iter().find(|(own, _)| *own == id) {
            return Ok(Value::Line(line.clone()));
        }
        let Some((&id, &expression)) = self.expressions.get_key_value(id) else {
            return Err(format!("there is no query '{id}'"));
        };
        match self.known.get(id) {
            Some(Some(known)) => return Ok(known.clone()),
            Some(None) => return Err(format!("'{id}' is made of itself")),
            None => {}
        }
        self.known.insert(id, None);
        let value = self.value(expression)?;
        self.known.insert(id, Some(value.clone()));
        Ok(value)
    }

    fn value(&mut self, expression: &Expression) -> Result<Value> {
        let value = match expression {
            Expression::Number(number) => Value::Number(*number),
            Expression::Text(text) => return Err(format!("the text '{text}' is no value")),
            Expression::Id(id) => self.of(id)?,
            Expression::List(list) => {
                let mut lines = Vec::new();
                for each in list {
                    lines.extend(self.value(each)?.lines("a list")?);
                }
                Value::Lines(lines)
            }
            Expression::Search { search, stat, period } => {
                Value::Lines((self.search)(search, stat, *period)?)
            }
            Expression::Negative(of) => map(self.value(of)?, |value| -value),
            Expression::Binary(operator, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                combine(left, right, operator.of())?
            }
            Expression::Call(function, arguments) => self.call(*function, arguments)?,
        };
        self.made += value.points();
        if self.made > POINTS { Err(too_many()) } else { Ok(value) }
    }

    fn call(&mut self, function: Function, arguments: &[Expression]) -> Result<Value> {
        if function == Function::Metrics {
            let wanted = match arguments {
                [] => "",
                [Expression::Text(text)] => text,
                _ => return Err("METRICS takes a text".into()),
            };
            let named = self.metrics.iter().filter(|(id, _)| id.contains(wanted));
            return Ok(Value::Lines(named.map(|(_, line)| line.clone()).collect()));
        }
        let first = self.value(&arguments[0])?;
        Ok(match function {
            Function::Abs => map(first, f64::abs),
            Function::Ceil => map(first, f64::ceil),
            Function::Floor => map(first, f64::floor),
            Function::Log => map(first, f64::ln),
            Function::Log10 => map(first, f64::log10),
            Function::Sum => over(first, |values| values.iter().sum()),
            Function::Avg => over(first, average),
            Function::Min => over(first, |values| values.iter().copied().fold(f64::INFINITY, f64::min)),
            Function::Max => over(first, |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            Function::Stddev => over(first, |values| {
                let mean = average(values);
                average(&values.iter().map(|value| (value - mean).powi(2)).collect::<Vec<_>>()).sqrt()
            }),
            Function::MetricCount => Value::Number(first.lines("METRIC_COUNT")?.len() as f64),
            Function::Metrics => first,
            Function::Period => match first {
                Value::Line(line) => Value::Number(f64::from(line.period)),
                Value::Number(_) | Value::Lines(_) => return Err("PERIOD takes a line".into()),
            },
            Function::Diff => steps(first, "DIFF", |_, before, value| value - before)?,
            Function::Rate => steps(first, "RATE", |seconds, before, value| (value - before) / seconds)?,
            Function::RunningSum => each(first, "RUNNING_SUM", |points| {
                let mut sum = 0.0;
                points.values_mut().for_each(|value| {
                    sum += *value;
                    *value = sum;
                });
            })?,
            Function::RemoveEmpty => {
                let mut lines = first.lines("REMOVE_EMPTY")?;
                lines.retain(|line| !line.points.is_empty());
                Value::Lines(lines)
            }
            Function::If => {
                let chosen = self.value(&arguments[1])?;
                let other = arguments.get(2).map(|other| self.value(other)).transpose()?;
                choose(&first, &chosen, other.as_ref())?
            }
            Function::Fill => self.fill(first, &arguments[1])?,
        })
    }

    fn fill(&mut self, of: Value, with: &Expression) -> Result<Value> {
        let word = if let Expression::Id(word) = with { word.as_str() } else { "" };
        let with = match word {
            "REPEAT" => Filling::Repeat,
            "LINEAR" => Filling::Linear,
            _ => match self.value(with)? {
                Value::Number(number) => Filling::With(number),
                Value::Line(_) | Value::Lines(_) => {
                    return Err("FILL takes a number, REPEAT or LINEAR".into());
                }
            },
        };
        let times = self.times;
        let lines = match &of {
            Value::Number(_) => return Err("FILL takes lines".into()),
            Value::Line(line) => std::slice::from_ref(line),
            Value::Lines(lines) => lines,
        };
        let points = |line: &Line| {
            let (from, until) = times(line.period);
            usize::try_from((until - from).max(0)).unwrap_or(usize::MAX) / line.period.max(1) as usize
        };
        if lines.iter().map(points).fold(self.made, usize::saturating_add) > POINTS {
            return Err(too_many());
        }
        let fill = |mut line: Line| {
            let (from, until) = times(line.period);
            let old = line.points.clone();
            for at in (from..until).step_by(line.period.max(1) as usize) {
                if old.contains_key(&at) {
                    continue;
                }
                let before = || old.range(..at).next_back();
                let value = match with {
                    Filling::With(number) => Some(number),
                    Filling::Repeat => before().map(|(_, value)| *value),
                    Filling::Linear => before()
                        .zip(old.range(at..).next())
                        .map(|((a, one), (b, two))| one + (two - one) * (at - a) as f64 / (b - a) as f64),
                };
                if let Some(value) = value {
                    line.points.insert(at, value);
                }
            }
            line
        };
        Ok(match of {
            Value::Number(_) => of,
            Value::Line(line) => Value::Line(fill(line)),
            Value::Lines(lines) => Value::Lines(lines.into_iter().map(fill).collect()),
        })
    }
}

fn too_many() -> String {
    format!("it makes more than {POINTS} points")
}

enum Filling {
    With(f64),
    Repeat,
    Linear,
}

impl Value {
    fn lines(self, of: &str) -> Result<Vec<Line>> {
        match self {
            Self::Number(_) => Err(format!("{of} takes lines, and no number")),
            Self::Line(line) => Ok(vec![line]),
            Self::Lines(lines) => Ok(lines),
        }
    }

    fn points(&self) -> usize {
        match self {
            Self::Number(_) => 1,
            Self::Line(line) => line.points.len(),
            Self::Lines(lines) => lines.iter().map(|line| line.points.len()).sum(),
        }
    }
}

impl Operator {
    fn of(self) -> fn(f64, f64) -> f64 {
        match self {
            Self::Add => |a, b| a + b,
            Self::Subtract => |a, b| a - b,
            Self::Multiply => |a, b| a * b,
            Self::Divide => |a, b| a / b,
            Self::Power => f64::powf,
            Self::Equal => |a, b| f64::from(u8::from(a == b)),
            Self::Unequal => |a, b| f64::from(u8::from(a != b)),
            Self::Less => |a, b| f64::from(u8::from(a < b)),
            Self::LessOrEqual => |a, b| f64::from(u8::from(a <= b)),
            Self::Greater => |a, b| f64::from(u8::from(a > b)),
            Self::GreaterOrEqual => |a, b| f64::from(u8::from(a >= b)),
            Self::And => |a, b| f64::from(u8::from(a != 0.0 && b != 0.0)),
            Self::Or => |a, b| f64::from(u8::from(a != 0.0 || b != 0.0)),
        }
    }
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Each value by itself.
fn map(value: Value, of: impl Fn(f64) -> f64) -> Value {
    let line = |mut line: Line| {
        line.points.values_mut().for_each(|value| *value = of(*value));
        line.points.retain(|_, value| value.is_finite());
        line
    };
    match value {
        Value::Number(number) => Value::Number(of(number)),
        Value::Line(one) => Value::Line(line(one)),
        Value::Lines(lines) => Value::Lines(lines.into_iter().map(line).collect()),
    }
}

fn each(value: Value, name: &str, of: impl Fn(&mut BTreeMap<i64, f64>)) -> Result<Value> {
    let line = |mut line: Line| {
        of(&mut line.points);
        line
    };
    match value {
        Value::Number(_) => Err(format!("{name} takes lines")),
        Value::Line(one) => Ok(Value::Line(line(one))),
        Value::Lines(lines) => Ok(Value::Lines(lines.into_iter().map(line).collect())),
    }
}

/// Of each point and the one before it: seconds between them, and both values.
fn steps(value: Value, name: &str, of: fn(f64, f64, f64) -> f64) -> Result<Value> {
    each(value, name, |points| {
        let mut before: Option<(i64, f64)> = None;
        let mut made = BTreeMap::new();
        for (at, value) in std::mem::take(points) {
            if let Some((then, old)) = before {
                made.insert(at, of((at - then) as f64, old, value));
            }
            before = Some((at, value));
        }
        *points = made;
    })
}

/// Of a line a number; of lines a line, of what each has at a time.
fn over(value: Value, of: impl Fn(&[f64]) -> f64) -> Value {
    match value {
        Value::Number(number) => Value::Number(of(&[number])),
        Value::Line(line) if line.points.is_empty() => Value::Lines(Vec::new()),
        Value::Line(line) => Value::Number(of(&line.points.into_values().collect::<Vec<_>>())),
        Value::Lines(lines) => {
            let period = lines.first().map_or(60, |line| line.period);
            let mut at_times: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
            for line in lines {
                for (at, value) in line.points {
                    at_times.entry(at).or_default().push(value);
                }
            }
            let points = at_times.into_iter().map(|(at, values)| (at, of(&values))).collect();
            Value::Line(Line { label: String::new(), period, points })
        }
    }
}

fn combine(left: Value, right: Value, of: fn(f64, f64) -> f64) -> Result<Value> {
    let two = |one: &Line, two: &Line| {
        let both = one.points.iter().filter_map(|(at, a)| Some((*at, of(*a, *two.points.get(at)?))));
        let points = both.filter(|(_, value)| value.is_finite()).collect();
        Line { label: one.label.clone(), period: one.period, points }
    };
    Ok(match (left, right) {
        (Value::Number(a), Value::Number(b)) => Value::Number(of(a, b)),
        (Value::Number(a), lines) => map(lines, |b| of(a, b)),
        (lines, Value::Number(b)) => map(lines, |a| of(a, b)),
        (Value::Line(a), Value::Line(b)) => Value::Line(two(&a, &b)),
        (Value::Line(a), Value::Lines(all)) => Value::Lines(all.iter().map(|b| two(&a, b)).collect()),
        (Value::Lines(all), Value::Line(b)) => Value::Lines(all.iter().map(|a| two(a, &b)).collect()),
        (Value::Lines(a), Value::Lines(b)) if a.len() == b.len() => {
            Value::Lines(a.iter().zip(&b).map(|(a, b)| two(a, b)).collect())
        }
        (Value::Lines(a), Value::Lines(b)) => {
            return Err(format!("lists of {} and of {} lines do not go together", a.len(), b.len()));
        }
    })
}

/// `IF`: of each time of the condition what was chosen, or the other.
fn choose(condition: &Value, chosen: &Value, other: Option<&Value>) -> Result<Value> {
    let at = |value: &Value, at: i64| match value {
        Value::Number(number) => Some(*number),
        Value::Line(line) => line.points.get(&at).copied(),
        Value::Lines(_) => None,
    };
    if matches!(chosen, Value::Lines(_)) || matches!(other, Some(Value::Lines(_))) {
        return Err("IF chooses among numbers and lines".into());
    }
    match condition {
        Value::Number(number) if *number != 0.0 => Ok(chosen.clone()),
        Value::Number(_) => Ok(other.cloned().unwrap_or(Value::Lines(Vec::new()))),
        Value::Line(line) => {
            let points = line.points.iter().filter_map(|(time, truth)| {
                let value =
                    if *truth != 0.0 { at(chosen, *time) } else { other.and_then(|other| at(other, *time)) };
                Some((*time, value?))
            });
            Ok(Value::Line(Line { points: points.collect(), ..line.clone() }))
        }
        Value::Lines(_) => Err("the condition of IF is a number or a line".into()),
    }
}
