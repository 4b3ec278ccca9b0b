//! Reading a query. What is wrong is told with its place.

mod expression;
mod stats;

use regex::bytes::Regex;

use super::expression::Expression;
use super::query::{Command, LIMIT, MalformedQuery, Query};
use super::stats::Aggregate;
use crate::pattern::condition::compile;
use crate::pattern::cursor::Cursor;

/// Most commands of a query.
const COMMANDS: usize = 100;

type Result<T> = std::result::Result<T, MalformedQuery>;

impl Query {
    /// Reads a query. `limit` is the request's.
    pub(crate) fn parse(text: &str, limit: Option<usize>) -> Result<Self> {
        let text = without_comments(text);
        let mut parser =
            Parser { cursor: Cursor::new(&text), shown: Vec::new(), only: None, aggregates: None };
        let mut commands = Vec::new();
        loop {
            parser.spaces();
            if parser.cursor.peek().is_none() && commands.is_empty() && parser.shown.is_empty() {
                return Err(parser.error("the query is empty"));
            }
            if commands.len() >= COMMANDS {
                return Err(parser.error("there are too many commands"));
            }
            commands.push(parser.command()?);
            parser.spaces();
            if parser.cursor.peek().is_none() {
                break;
            }
            if !parser.cursor.eat("|") {
                return Err(parser.error("'|' or the end is expected"));
            }
        }
        // What a `limit` let through is not cut again by what the request says.
        let own = commands.iter().any(|command| matches!(command, Command::Limit(_)));
        let shown = parser.only.unwrap_or(parser.shown);
        let limit = limit.filter(|_| !own).unwrap_or(LIMIT).min(LIMIT);
        Ok(Self { commands, shown, limit })
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
    /// Those of the `stats` that is being read, outside of their arguments: there a call may be one.
    aggregates: Option<Vec<Aggregate>>,
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

    fn command(&mut self) -> Result<Command> {
        Ok(if self.word("fields") {
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
        })
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
        let mut name =
            self.cursor.take_while(|each| each.is_alphanumeric() || "@_.$".contains(each)).to_owned();
        if name.is_empty() {
            return Err(self.error("a name is expected"));
        }
        // `list[0].member` is `list.0.member`.
        loop {
            let before = self.cursor.clone();
            let index =
                if self.cursor.eat("[") { self.cursor.take_while(|each| each.is_ascii_digit()) } else { "" };
            if index.is_empty() || !self.cursor.eat("]") {
                self.cursor = before;
                return Ok(name);
            }
            name.push('.');
            name.push_str(index);
        }
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
}
