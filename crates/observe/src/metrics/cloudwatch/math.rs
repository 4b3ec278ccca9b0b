//! CloudWatch's metric math: reading an expression such as `100 * errors / FILL(invocations, 1)`. What is wrong is told
//! with its place.
//!
//! Deliberately not here: what it comes to (`value`), and Metrics Insights and anomaly bands, which lambkin does not do.

mod search;
#[cfg(test)]
mod tests;
mod value;

pub(super) use search::Search;
pub(super) use value::{Line, Value, World};

use super::{Stat, period};
use crate::pattern::PatternError;
use crate::pattern::cursor::Cursor;

/// How deep expressions may stand in each other.
const DEPTH: usize = 64;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Number(f64),
    Text(String),
    /// Another query's.
    Id(String),
    List(Vec<Expression>),
    Negative(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
    Call(Function, Vec<Expression>),
    /// Metrics that are there, by a statistic and a period.
    Search {
        search: Search,
        stat: Stat,
        period: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

/// From those that bind least, and of each the longer before what it begins with.
const OPERATORS: [&[(&str, Operator)]; 5] = [
    &[("||", Operator::Or), ("OR", Operator::Or)],
    &[("&&", Operator::And), ("AND", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::Unequal),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide)],
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Avg,
    Ceil,
    Diff,
    Fill,
    Floor,
    If,
    Log,
    Log10,
    Max,
    MetricCount,
    Metrics,
    Min,
    Period,
    Rate,
    RemoveEmpty,
    RunningSum,
    Stddev,
    Sum,
}

/// Names, and how many arguments they take.
const FUNCTIONS: [(&str, Function, std::ops::RangeInclusive<usize>); 19] = [
    ("ABS", Function::Abs, 1..=1),
    ("AVG", Function::Avg, 1..=1),
    ("CEIL", Function::Ceil, 1..=1),
    ("DIFF", Function::Diff, 1..=1),
    ("FILL", Function::Fill, 2..=2),
    ("FLOOR", Function::Floor, 1..=1),
    ("IF", Function::If, 2..=3),
    ("LOG", Function::Log, 1..=1),
    ("LOG10", Function::Log10, 1..=1),
    ("MAX", Function::Max, 1..=1),
    ("METRIC_COUNT", Function::MetricCount, 1..=1),
    ("METRICS", Function::Metrics, 0..=1),
    ("MIN", Function::Min, 1..=1),
    ("PERIOD", Function::Period, 1..=1),
    ("RATE", Function::Rate, 1..=1),
    ("REMOVE_EMPTY", Function::RemoveEmpty, 1..=1),
    ("RUNNING_SUM", Function::RunningSum, 1..=1),
    ("STDDEV", Function::Stddev, 1..=1),
    ("SUM", Function::Sum, 1..=1),
];

type Result<T> = std::result::Result<T, String>;

impl Expression {
    /// `period` is the query's, for a search that says none.
    pub(super) fn parse(text: &str, period: Option<i64>) -> Result<Self> {
        let mut reader = Reader(Cursor::new(text), period);
        let expression = reader.binary(0, 0)?;
        reader.0.skip_spaces();
        match reader.0.peek() {
            None => Ok(expression),
            Some(more) => Err(reader.wrong(format!("'{more}' is not expected"))),
        }
    }
}

struct Reader<'t>(Cursor<'t>, Option<i64>);

impl Reader<'_> {
    fn wrong(&self, reason: impl Into<String>) -> String {
        let PatternError { position, reason } = self.0.error(reason);
        format!("{reason} at position {position}")
    }

    fn eat(&mut self, text: &str) -> bool {
        self.0.skip_spaces();
        if text.starts_with(char::is_alphabetic) { self.0.eat_word(text) } else { self.0.eat(text) }
    }

    fn expect(&mut self, text: &str) -> Result<()> {
        if self.eat(text) { Ok(()) } else { Err(self.wrong(format!("'{text}' is expected"))) }
    }

    fn binary(&mut self, level: usize, depth: usize) -> Result<Expression> {
        let Some(operators) = OPERATORS.get(level) else { return self.power(depth) };
        let mut left = self.binary(level + 1, depth)?;
        loop {
            let Some((_, operator)) = operators.iter().find(|(text, _)| self.eat(text)) else {
                return Ok(left);
            };
            let right = self.binary(level + 1, depth)?;
            left = Expression::Binary(*operator, Box::new(left), Box::new(right));
        }
    }

    fn power(&mut self, depth: usize) -> Result<Expression> {
        if depth > DEPTH {
            return Err(self.wrong("the expression is too deep"));
        }
        if self.eat("-") {
            return Ok(Expression::Negative(Box::new(self.power(depth + 1)?)));
        }
        let base = self.primary(depth)?;
        if !self.eat("^") {
            return Ok(base);
        }
        let exponent = self.power(depth + 1)?;
        Ok(Expression::Binary(Operator::Power, Box::new(base), Box::new(exponent)))
    }

    fn primary(&mut self, depth: usize) -> Result<Expression> {
        self.0.skip_spaces();
        let begin = self.0.clone();
        match self.0.peek() {
            Some('(') => {
                self.0.next();
                let inner = self.binary(0, depth + 1)?;
                self.expect(")")?;
                Ok(inner)
            }
            Some('[') => {
                self.0.next();
                Ok(Expression::List(self.list("]", depth)?))
            }
            Some(quote @ ('"' | '\'')) => {
                self.0.next();
                let text = self.0.quoted(quote);
                text.map(Expression::Text)
                    .map_err(|_| Self(begin, None).wrong(format!("the closing {quote} is missing")))
            }
            Some(first) if first.is_ascii_digit() || first == '.' => {
                let digits = self.0.take_while(|each| each.is_ascii_digit() || each == '.');
                let number = digits.parse().ok().filter(|number: &f64| number.is_finite());
                number
                    .map(Expression::Number)
                    .ok_or_else(|| Self(begin, None).wrong(format!("'{digits}' is no number")))
            }
            Some(first) if first.is_ascii_alphabetic() => {
                let name = self.0.take_while(|each| each.is_ascii_alphanumeric() || each == '_');
                if !self.eat("(") {
                    return Ok(Expression::Id(name.to_owned()));
                }
                if name == "SEARCH" {
                    let arguments = self.list(")", depth)?;
                    return search_of(&arguments, self.1).map_err(|reason| Self(begin, None).wrong(reason));
                }
                let Some((_, function, takes)) = FUNCTIONS.iter().find(|(own, ..)| *own == name) else {
                    return Err(Self(begin, None).wrong(format!("lambkin does not do the function {name}")));
                };
                let arguments = self.list(")", depth)?;
                if !takes.contains(&arguments.len()) {
                    return Err(
                        Self(begin, None).wrong(format!("{name} does not take {} values", arguments.len()))
                    );
                }
                Ok(Expression::Call(*function, arguments))
            }
            _ => Err(self.wrong("a value is expected")),
        }
    }

    /// Expressions between commas, up to what ends them.
    fn list(&mut self, end: &str, depth: usize) -> Result<Vec<Expression>> {
        let mut list = Vec::new();
        if self.eat(end) {
            return Ok(list);
        }
        loop {
            list.push(self.binary(0, depth + 1)?);
            if !self.eat(",") {
                self.expect(end)?;
                return Ok(list);
            }
        }
    }
}

/// What SEARCH is asked: which metrics, which statistic, and a period, or the query's.
fn search_of(arguments: &[Expression], of_query: Option<i64>) -> Result<Expression> {
    let (text, stat, seconds) = match (arguments, of_query) {
        ([Expression::Text(text), Expression::Text(stat), Expression::Number(seconds)], _) => {
            #[expect(clippy::cast_possible_truncation, reason = "saturates, and is refused then")]
            let whole = if seconds.fract() == 0.0 { *seconds as i64 } else { 0 };
            (text, stat, whole)
        }
        ([Expression::Text(text), Expression::Text(stat)], Some(seconds)) => (text, stat, seconds),
        (_, _) => return Err("SEARCH takes what it looks for, a statistic and a period".into()),
    };
    let period = period(seconds, "Period").map_err(|error| error.to_string())?;
    Ok(Expression::Search { search: Search::parse(text)?, stat: Stat::parse(stat)?, period })
}
