//! Reading a query. What is wrong is told with its place.

use regex::bytes::Regex;

use super::expression::{Arithmetic, Comparison, Expression};
use super::function::Function;
use super::stats::{Aggregate, Kind};
use super::value::Value;
use crate::need::Need;
use crate::pattern::condition::compile;
use crate::pattern::cursor::Cursor;

/// How deep expressions may stand in each other.
const DEPTH: usize = 64;
/// Most commands of a query.
const COMMANDS: usize = 100;
/// Results of a query that says no limit, and the most of one that does.
pub(super) const LIMIT: usize = 10_000;

/// A query that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MalformedQuery {
    pub message: String,
    /// In characters, from 0.
    pub at: usize,
}

/// A query that was read.
#[derive(Debug)]
pub(crate) struct Query {
    pub(super) commands: Vec<Command>,
    /// What is shown; empty: what is usual.
    pub(super) shown: Vec<String>,
    pub(super) limit: usize,
}

#[derive(Debug)]
pub(super) enum Command {
    /// Computed fields with their names.
    Fields(Vec<(Expression, String)>),
    Filter(Expression),
    Parse {
        from: Expression,
        with: Regex,
        names: Vec<String>,
    },
    Stats {
        aggregates: Vec<Aggregate>,
        by: Vec<(Expression, String)>,
    },
    /// By these, each descending or not.
    Sort(Vec<(Expression, bool)>),
    Dedup(Vec<Expression>),
    Limit(usize),
}

type Result<T> = std::result::Result<T, MalformedQuery>;

impl Query {
    /// Reads a query. `limit` is the request's.
    pub(crate) fn parse(text: &str, limit: Option<usize>) -> Result<Self> {
        let text = without_comments(text);
        let mut parser = Parser { cursor: Cursor::new(&text), shown: Vec::new(), only: None };
        let mut commands = Vec::new();
        loop {
            parser.spaces();
            if parser.cursor.peek().is_none() && commands.is_empty() && parser.shown.is_empty() {
                return Err(parser.error("the query is empty"));
            }
            if commands.len() >= COMMANDS {
                return Err(parser.error("there are too many commands"));
            }
            let stats = commands.iter().any(|command| matches!(command, Command::Stats { .. }));
            commands.extend(parser.command(stats)?);
            parser.spaces();
            if parser.cursor.peek().is_none() {
                break;
            }
            if !parser.cursor.eat("|") {
                return Err(parser.error("'|' or the end is expected"));
            }
        }
        let own = commands.iter().rev().find_map(|command| match command {
            Command::Limit(limit) => Some(*limit),
            Command::Fields(_)
            | Command::Filter(_)
            | Command::Parse { .. }
            | Command::Stats { .. }
            | Command::Sort(_)
            | Command::Dedup(_) => None,
        });
        let shown = parser.only.unwrap_or(parser.shown);
        Ok(Self { commands, shown, limit: own.or(limit).unwrap_or(LIMIT).min(LIMIT) })
    }

    /// What events must have to come through the first filters.
    pub(crate) fn need(&self) -> Need {
        let filters = self.commands.iter().map_while(|command| match command {
            Command::Filter(condition) => Some(condition.need()),
            Command::Fields(_) | Command::Sort(_) => Some(Need::Nothing),
            Command::Parse { .. } | Command::Stats { .. } | Command::Dedup(_) | Command::Limit(_) => None,
        });
        // A field that was computed has a name that events may have too.
        let computed = self.commands.iter().any(|command| match command {
            Command::Fields(fields) => fields
                .iter()
                .any(|(expression, name)| !matches!(expression, Expression::Field(field) if field == name)),
            Command::Filter(_)
            | Command::Parse { .. }
            | Command::Stats { .. }
            | Command::Sort(_)
            | Command::Dedup(_)
            | Command::Limit(_) => false,
        });
        if computed { Need::Nothing } else { Need::all(filters) }
    }
}

/// Comments, from `#` to the end of a line, as spaces: places stay what they are.
fn without_comments(text: &str) -> String {
    let (mut quote, mut comment) = (None, false);
    let mut before = ' ';
    text.chars()
        .map(|each| {
            match (quote, each) {
                _ if comment => comment = each != '\n',
                (None, '#') => comment = true,
                (None, '"' | '\'' | '`') => quote = Some(each),
                // A slash begins a regular expression where a value may stand after `like` or `=~`, or `parse`.
                (Some(open), _) if open == each && before != '\\' => quote = None,
                _ => {}
            }
            before = each;
            if comment { ' ' } else { each }
        })
        .collect()
}

struct Parser<'t> {
    cursor: Cursor<'t>,
    /// What `fields` and `stats` show.
    shown: Vec<String>,
    /// What `display` shows instead.
    only: Option<Vec<String>>,
}

impl Parser<'_> {
    fn error(&self, message: impl Into<String>) -> MalformedQuery {
        let error = self.cursor.error(message);
        MalformedQuery { message: error.reason, at: error.position - 1 }
    }

    fn spaces(&mut self) {
        self.cursor.skip_spaces();
    }

    fn word(&mut self, word: &str) -> bool {
        self.spaces();
        self.cursor.eat_word(word)
    }

    fn expect(&mut self, text: &str) -> Result<()> {
        self.spaces();
        if self.cursor.eat(text) { Ok(()) } else { Err(self.error(format!("'{text}' is expected"))) }
    }

    fn comma(&mut self) -> bool {
        self.spaces();
        self.cursor.eat(",")
    }

    fn command(&mut self, after_stats: bool) -> Result<Option<Command>> {
        let command = if self.word("fields") {
            let fields = self.named_list()?;
            for (_, name) in &fields {
                if !self.shown.contains(name) {
                    self.shown.push(name.clone());
                }
            }
            Command::Fields(fields)
        } else if self.word("display") {
            let fields = self.named_list()?;
            self.only = Some(fields.iter().map(|(_, name)| name.clone()).collect());
            Command::Fields(fields)
        } else if self.word("filter") || self.word("where") {
            Command::Filter(self.expression(0)?)
        } else if self.word("parse") {
            self.parse()?
        } else if self.word("stats") {
            if after_stats {
                return Err(self.error("a query has one stats"));
            }
            self.stats()?
        } else if self.word("sort") || self.word("order by") {
            self.word("by");
            let mut keys = Vec::new();
            loop {
                let key = self.expression(0)?;
                let descending = self.word("desc");
                if !descending {
                    self.word("asc");
                }
                keys.push((key, descending));
                if !self.comma() {
                    break Command::Sort(keys);
                }
            }
        } else if self.word("limit") || self.word("head") {
            self.spaces();
            let digits = self.cursor.take_while(|each| each.is_ascii_digit());
            let limit = digits.parse().ok().filter(|limit| (1..=LIMIT).contains(limit));
            Command::Limit(limit.ok_or_else(|| self.error("a number from 1 to 10000 is expected"))?)
        } else if self.word("dedup") {
            let mut keys = Vec::new();
            loop {
                keys.push(self.expression(0)?);
                if !self.comma() {
                    break Command::Dedup(keys);
                }
            }
        } else {
            let word: String = self.cursor.rest().chars().take_while(|each| each.is_alphanumeric()).collect();
            return Err(self.error(format!(
                "'{word}' is no command; there are fields, display, filter, parse, stats, sort, limit and dedup"
            )));
        };
        Ok(Some(command))
    }

    /// Expressions, each with the name that `as` gives it, or as it was written.
    fn named_list(&mut self) -> Result<Vec<(Expression, String)>> {
        let mut list = Vec::new();
        loop {
            self.spaces();
            let begin = self.cursor.rest();
            let expression = self.expression(0)?;
            let written = begin[..begin.len() - self.cursor.rest().len()].trim();
            list.push(self.named(expression, written)?);
            if !self.comma() {
                return Ok(list);
            }
        }
    }

    fn named(&mut self, expression: Expression, written: &str) -> Result<(Expression, String)> {
        let name = match &expression {
            _ if self.word("as") => self.name()?,
            Expression::Field(name) => name.clone(),
            _ => written.to_owned(),
        };
        Ok((expression, name))
    }

    fn name(&mut self) -> Result<String> {
        self.spaces();
        if self.cursor.eat("`") {
            return self.quoted('`');
        }
        let name = self.cursor.take_while(|each| each.is_alphanumeric() || "@_.$".contains(each));
        if name.is_empty() { Err(self.error("a name is expected")) } else { Ok(name.to_owned()) }
    }

    fn quoted(&mut self, quote: char) -> Result<String> {
        let text = self.cursor.quoted(quote);
        text.map_err(|error| MalformedQuery { message: error.reason, at: error.position.saturating_sub(2) })
    }

    /// The rest of `/…/`, whose first slash was taken.
    fn regex(&mut self) -> Result<Regex> {
        let begin = self.error("");
        let mut text = String::new();
        loop {
            match self.cursor.next() {
                None => return Err(MalformedQuery { message: "the closing / is missing".into(), ..begin }),
                Some('/') => break,
                Some('\\') => {
                    let escaped = self.cursor.next().unwrap_or('\\');
                    if escaped != '/' {
                        text.push('\\');
                    }
                    text.push(escaped);
                }
                Some(other) => text.push(other),
            }
        }
        // As Java writes named groups.
        compile(&text, false).map_err(|message| MalformedQuery { message, ..begin })
    }

    fn parse(&mut self) -> Result<Command> {
        self.spaces();
        let from = if self.cursor.peek().is_some_and(|next| "\"'/".contains(next)) {
            Expression::Field("@message".into())
        } else {
            Expression::Field(self.name()?)
        };
        self.spaces();
        if self.cursor.eat("/") {
            let with = self.regex()?;
            let names: Vec<String> = with.capture_names().flatten().map(str::to_owned).collect();
            if names.is_empty() {
                return Err(self.error("the regular expression has no named group, (?<name>…)"));
            }
            self.made(&names);
            return Ok(Command::Parse { from, with, names });
        }
        let Some(quote @ ('"' | '\'')) = self.cursor.peek() else {
            return Err(self.error("a pattern in quotes or slashes is expected"));
        };
        self.cursor.next();
        let begin = self.error("");
        let glob = self.quoted(quote)?;
        if !self.word("as") {
            return Err(self.error("'as' is expected"));
        }
        let mut names = vec![self.name()?];
        while self.comma() {
            names.push(self.name()?);
        }
        let parts: Vec<&str> = glob.split('*').collect();
        if parts.len() != names.len() + 1 {
            let message = format!("{} names for {} asterisks", names.len(), parts.len() - 1);
            return Err(MalformedQuery { message, ..begin });
        }
        let mut text = String::from("(?s)");
        for (index, part) in parts.iter().enumerate() {
            let last = index + 1 == parts.len();
            text.push_str(&regex::escape(part));
            if !last {
                // The last one takes all that is left, where nothing follows it.
                let greedy = index + 2 == parts.len() && parts[index + 1].is_empty();
                text.push_str(&format!("(?P<f{index}>.*{})", if greedy { "" } else { "?" }));
            }
        }
        let with = compile(&text, false).map_err(|message| MalformedQuery { message, ..begin })?;
        self.made(&names);
        Ok(Command::Parse { from, with, names })
    }

    /// Names that a command made are shown where nothing says what is.
    fn made(&mut self, names: &[String]) {
        if !self.shown.is_empty() {
            for name in names {
                if !self.shown.contains(name) {
                    self.shown.push(name.clone());
                }
            }
        }
    }

    fn stats(&mut self) -> Result<Command> {
        let mut aggregates = Vec::new();
        loop {
            self.spaces();
            let begin = self.cursor.rest();
            let function =
                self.cursor.take_while(|each| each.is_alphanumeric() || each == '_').to_lowercase();
            self.expect("(")?;
            self.spaces();
            let of = if self.cursor.eat("*") || self.cursor.peek() == Some(')') {
                None
            } else {
                Some(self.expression(0)?)
            };
            let share = if self.comma() {
                self.spaces();
                let text = self.cursor.take_while(|each| each.is_ascii_digit() || each == '.');
                let share = text.parse::<f64>().ok().filter(|share| (0.0..=100.0).contains(share));
                Some(share.ok_or_else(|| self.error("a percentile from 0 to 100 is expected"))?)
            } else {
                None
            };
            self.expect(")")?;
            let written = begin[..begin.len() - self.cursor.rest().len()].trim().to_owned();
            let kind = match (function.as_str(), share) {
                ("count", None) => Kind::Count,
                ("count_distinct", None) => Kind::Distinct,
                ("sum", None) => Kind::Sum,
                ("avg", None) => Kind::Average,
                ("min", None) => Kind::Least,
                ("max", None) => Kind::Greatest,
                ("stddev", None) => Kind::Deviation,
                ("median", None) => Kind::Percentile(50.0),
                ("pct" | "percentile", Some(share)) => Kind::Percentile(share),
                ("earliest", None) => Kind::Earliest,
                ("latest", None) => Kind::Latest,
                _ => return Err(self.error(format!("'{written}' is no aggregation"))),
            };
            if of.is_none() && kind != Kind::Count {
                return Err(self.error(format!("'{function}' wants a field")));
            }
            let name = if self.word("as") { self.name()? } else { written };
            aggregates.push(Aggregate { kind, of, name });
            if !self.comma() {
                break;
            }
        }
        let by = if self.word("by") { self.named_list()? } else { Vec::new() };
        self.shown = by
            .iter()
            .map(|(_, name)| name.clone())
            .chain(aggregates.iter().map(|each| each.name.clone()))
            .collect();
        self.only = None;
        Ok(Command::Stats { aggregates, by })
    }

    fn expression(&mut self, depth: usize) -> Result<Expression> {
        if depth > DEPTH {
            return Err(self.error("the expression is too deep"));
        }
        let mut any = vec![self.conjunction(depth)?];
        while self.word("or") || self.symbol("||") {
            any.push(self.conjunction(depth)?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Expression::Or(any) })
    }

    fn symbol(&mut self, text: &str) -> bool {
        self.spaces();
        self.cursor.eat(text)
    }

    fn conjunction(&mut self, depth: usize) -> Result<Expression> {
        let mut all = vec![self.negation(depth)?];
        while self.word("and") || self.symbol("&&") {
            all.push(self.negation(depth)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expression::And(all) })
    }

    fn negation(&mut self, depth: usize) -> Result<Expression> {
        if depth > DEPTH {
            return Err(self.error("the expression is too deep"));
        }
        if self.word("not") {
            return Ok(Expression::Not(Box::new(self.negation(depth + 1)?)));
        }
        self.comparison(depth)
    }

    fn comparison(&mut self, depth: usize) -> Result<Expression> {
        let left = self.sum(depth)?;
        self.spaces();
        let before = self.cursor.clone();
        let not = self.word("not");
        let found = if self.word("like") || self.symbol("=~") {
            self.spaces();
            let left = Box::new(left);
            Some(match self.cursor.peek() {
                Some('/') => {
                    self.cursor.next();
                    Expression::Like(left, self.regex()?)
                }
                Some(quote @ ('"' | '\'')) => {
                    self.cursor.next();
                    Expression::Has(left, self.quoted(quote)?)
                }
                _ => {
                    return Err(self.error("a text in quotes or a regular expression in slashes is expected"));
                }
            })
        } else if self.word("in") {
            self.expect("[")?;
            let mut all = Vec::new();
            if !self.symbol("]") {
                loop {
                    all.push(self.sum(depth + 1)?);
                    if !self.comma() {
                        break;
                    }
                }
                self.expect("]")?;
            }
            Some(Expression::In(Box::new(left), all))
        } else if not {
            self.cursor = before;
            return Ok(left);
        } else {
            let operator = [
                ("!=", Comparison::Unequal),
                ("<=", Comparison::LessOrEqual),
                (">=", Comparison::GreaterOrEqual),
                ("=", Comparison::Equal),
                ("<", Comparison::Less),
                (">", Comparison::Greater),
            ]
            .into_iter()
            .find(|(text, _)| self.cursor.eat(text));
            let Some((_, comparison)) = operator else { return Ok(left) };
            let right = self.sum(depth + 1)?;
            Some(Expression::Compare(comparison, Box::new(left), Box::new(right)))
        };
        let found = found.ok_or_else(|| self.error("a comparison is expected"))?;
        Ok(if not { Expression::Not(Box::new(found)) } else { found })
    }

    fn sum(&mut self, depth: usize) -> Result<Expression> {
        let mut left = self.product(depth)?;
        loop {
            let operation = if self.symbol("+") {
                Arithmetic::Add
            } else if self.symbol("-") {
                Arithmetic::Subtract
            } else {
                return Ok(left);
            };
            left = Expression::Arithmetic(operation, Box::new(left), Box::new(self.product(depth)?));
        }
    }

    fn product(&mut self, depth: usize) -> Result<Expression> {
        let mut left = self.power(depth)?;
        loop {
            let operation = if self.symbol("*") {
                Arithmetic::Multiply
            } else if self.symbol("/") {
                Arithmetic::Divide
            } else if self.symbol("%") {
                Arithmetic::Remainder
            } else {
                return Ok(left);
            };
            left = Expression::Arithmetic(operation, Box::new(left), Box::new(self.power(depth)?));
        }
    }

    fn power(&mut self, depth: usize) -> Result<Expression> {
        let left = self.primary(depth)?;
        if self.symbol("^") {
            let right = self.primary(depth + 1)?;
            return Ok(Expression::Arithmetic(Arithmetic::Power, Box::new(left), Box::new(right)));
        }
        Ok(left)
    }

    fn primary(&mut self, depth: usize) -> Result<Expression> {
        if depth > DEPTH {
            return Err(self.error("the expression is too deep"));
        }
        self.spaces();
        match self.cursor.peek() {
            Some('(') => {
                self.cursor.next();
                let inner = self.expression(depth + 1)?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(quote @ ('"' | '\'')) => {
                self.cursor.next();
                Ok(Expression::Constant(Value::Text(self.quoted(quote)?)))
            }
            Some('-') => {
                self.cursor.next();
                let zero = Box::new(Expression::Constant(Value::Number(0.0)));
                let inner = Box::new(self.primary(depth + 1)?);
                Ok(Expression::Arithmetic(Arithmetic::Subtract, zero, inner))
            }
            Some(first) if first.is_ascii_digit() => {
                let text = self.cursor.take_while(|each| each.is_ascii_digit() || each == '.');
                let number = text.parse().map_err(|_| self.error(format!("'{text}' is no number")))?;
                Ok(Expression::Constant(Value::Number(number)))
            }
            Some(_) => self.field_or_call(depth),
            None => Err(self.error("a value is expected")),
        }
    }

    fn field_or_call(&mut self, depth: usize) -> Result<Expression> {
        let quoted = self.cursor.peek() == Some('`');
        let before = self.cursor.clone();
        let name = self.name().map_err(|_| self.error("a value is expected"))?;
        if quoted || self.cursor.peek() != Some('(') {
            return Ok(match name.as_str() {
                "true" | "false" if !quoted => Expression::Constant(Value::Truth(name == "true")),
                _ => Expression::Field(name),
            });
        }
        self.cursor.next();
        if name.eq_ignore_ascii_case("bin") || name.eq_ignore_ascii_case("datefloor") {
            let of = if name.eq_ignore_ascii_case("bin") {
                Expression::Field("@timestamp".into())
            } else {
                let of = self.expression(depth + 1)?;
                self.expect(",")?;
                of
            };
            let width = self.period()?;
            self.expect(")")?;
            return Ok(Expression::Call(Function::Bin(width), vec![of]));
        }
        let Some((function, takes)) = Function::named(&name) else {
            self.cursor = before;
            return Err(self.error(format!("'{name}' is no function")));
        };
        let mut arguments = Vec::new();
        if !self.symbol(")") {
            loop {
                arguments.push(self.expression(depth + 1)?);
                if !self.comma() {
                    break;
                }
            }
            self.expect(")")?;
        }
        if !takes.contains(&arguments.len()) {
            self.cursor = before;
            return Err(self.error(format!("'{name}' does not take {} values", arguments.len())));
        }
        Ok(Expression::Call(function, arguments))
    }

    /// `5m` in milliseconds.
    fn period(&mut self) -> Result<f64> {
        self.spaces();
        let digits = self.cursor.take_while(|each| each.is_ascii_digit());
        let count: f64 = digits.parse().unwrap_or(0.0);
        self.spaces();
        let unit = self.cursor.take_while(char::is_alphabetic);
        let millis = match unit {
            "ms" | "msec" | "millisecond" | "milliseconds" => 1.0,
            "s" | "sec" | "second" | "seconds" => 1e3,
            "m" | "min" | "minute" | "minutes" => 6e4,
            "h" | "hr" | "hour" | "hours" => 36e5,
            "d" | "day" | "days" => 864e5,
            "w" | "week" | "weeks" => 7.0 * 864e5,
            _ => 0.0,
        };
        if count * millis > 0.0 {
            Ok(count * millis)
        } else {
            Err(self.error("a period such as 5m is expected"))
        }
    }
}
