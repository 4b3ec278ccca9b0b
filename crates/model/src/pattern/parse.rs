//! From text to rules: each way through the `$or`s of a pattern is a list of places and what is asked of them.
//! The order in which things are looked at, and the refusals, are event-ruler's; SNS passes them on as they are.
//!
//! Deliberately not here: matching, limits of AWS's services.

use std::net::IpAddr;
use std::sync::Arc;

use super::PatternError;
use super::test::{Bound, RANGE_LIMIT, Test, Words};
use super::tokens::{Token, Tokens};
use super::wildcard::Wildcard;
use crate::jackson;

/// What is asked of one way: names from the root, and the list of which one has to pass.
pub(super) type Rule = Vec<(Arc<[String]>, Arc<[Test]>)>;

/// Whose patterns: SNS has no wildcards, no ignored case in prefixes and suffixes, and bars prefixes only
/// (recorded, and its documentation).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    EventBridge,
    Sns,
}

const RESERVED: [&str; 9] = [
    "exact",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
];
const ONE_KEY: &str = "Only one key allowed in match expression";
const NUMERIC_LENGTH: &str = "Too many elements in numeric expression";

/// The ways through a pattern, at most `limit`.
pub(super) fn rules(text: &str, dialect: Dialect, limit: usize) -> Result<Vec<Rule>, PatternError> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        PatternError::Json(jackson::complaint(text.as_bytes()).unwrap_or_else(|| error.to_string()))
    })?;
    let text = value.to_string();
    // What is no `$or` is a member of that name: people had those before there was one.
    match Parser::new(&text, dialect, limit, true).pattern() {
        Err(PatternError::Syntax { .. }) => Parser::new(&text, dialect, limit, false).pattern(),
        done => done,
    }
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    dialect: Dialect,
    limit: usize,
    /// Whether `$or` is more than a name.
    or: bool,
    path: Vec<String>,
    rules: Vec<Rule>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, dialect: Dialect, limit: usize, or: bool) -> Self {
        Self { tokens: Tokens::new(text), dialect, limit, or, path: Vec::new(), rules: Vec::new() }
    }

    fn pattern(mut self) -> Result<Vec<Rule>, PatternError> {
        if self.next() != Token::ObjectStart {
            return self.refuse("Filter is not an object");
        }
        self.object(false)?;
        Ok(self.rules)
    }

    /// The next token. There is one: what is read is JSON, and nobody reads behind its end.
    fn next(&mut self) -> Token {
        self.tokens.next().unwrap_or(Token::Null)
    }

    fn refuse<T>(&self, reason: impl Into<String>) -> Result<T, PatternError> {
        Err(self.tokens.refuse(reason))
    }

    /// An object's members, up to its end.
    fn object(&mut self, in_or: bool) -> Result<(), PatternError> {
        let mut empty = true;
        while let Token::Name(name) = self.next() {
            empty = false;
            if self.or && name == "$or" {
                self.alternatives()?;
                continue;
            }
            if in_or && RESERVED.contains(&name.as_str()) {
                return self
                    .refuse(format!("{name} is Ruler reserved fieldName which cannot be used inside $or."));
            }
            self.path.push(name);
            match self.next() {
                Token::ObjectStart => self.object(in_or)?,
                Token::ArrayStart => self.list()?,
                _ => {
                    let name = self.path.last().map_or("", String::as_str);
                    return self.refuse(format!("\"{name}\" must be an object or an array"));
                }
            }
            self.path.pop();
        }
        if empty { self.refuse("Empty objects are not allowed") } else { Ok(()) }
    }

    fn alternatives(&mut self) -> Result<(), PatternError> {
        if self.next() != Token::ArrayStart {
            return self.refuse("It must be an Array followed with $or.");
        }
        let mut before = std::mem::take(&mut self.rules);
        if before.is_empty() {
            before.push(Rule::new());
        }
        let mut all = Vec::new();
        let mut alternatives = 0;
        loop {
            match self.next() {
                Token::ArrayEnd => break,
                Token::ObjectStart => {
                    alternatives += 1;
                    self.rules.clone_from(&before);
                    self.object(true)?;
                    all.append(&mut self.rules);
                    if all.len() > self.limit {
                        return Err(PatternError::TooComplex { limit: self.limit });
                    }
                }
                _ => return self.refuse("Only JSON object is allowed in array of $or relationship."),
            }
        }
        if alternatives < 2 {
            return self.refuse("There must have at least 2 Objects in $or relationship.");
        }
        self.rules = all;
        Ok(())
    }

    /// The values of which one has to pass, for the place of `self.path`.
    fn list(&mut self) -> Result<(), PatternError> {
        let mut tests = Vec::new();
        loop {
            tests.push(match self.next() {
                Token::ArrayEnd => break,
                Token::ObjectStart => self.expression()?,
                Token::Text(text) => match text.parse() {
                    Ok(address) => Test::Address(address),
                    Err(_) => Test::Words(Words::Equals(text)),
                },
                Token::Number(number, _) => Test::Number(number),
                Token::Null => Test::Null,
                Token::True => Test::Bool(true),
                Token::False => Test::Bool(false),
                Token::ArrayStart | Token::ObjectEnd | Token::Name(_) => {
                    return self.refuse("Match value must be String, number, true, false, or null");
                }
            });
        }
        if tests.is_empty() {
            return self.refuse("Empty arrays are not allowed");
        }
        if self.rules.is_empty() {
            self.rules.push(Rule::new());
        }
        let (path, tests): (Arc<[String]>, Arc<[Test]>) = (self.path.clone().into(), tests.into());
        for rule in &mut self.rules {
            // A place asked for twice is asked for the last time, as a key is put into a map.
            rule.retain(|(known, _)| *known != path);
            rule.push((Arc::clone(&path), Arc::clone(&tests)));
        }
        Ok(())
    }

    /// `{"prefix": "a"}`, up to its end.
    fn expression(&mut self) -> Result<Test, PatternError> {
        let Token::Name(kind) = self.next() else { return self.refuse("Match expression name not found") };
        let known = self.dialect == Dialect::EventBridge || kind != "wildcard";
        match kind.as_str() {
            "exact" => self.only_text("exact match pattern must be a string", Words::Equals),
            "prefix" => self.edge("prefix", Words::Prefix, Words::PrefixIgnoreCase),
            "suffix" => self.edge("suffix", Words::Suffix, Words::SuffixIgnoreCase),
            "equals-ignore-case" => {
                let reason = "equals-ignore-case match pattern must be a string";
                self.only_text(reason, |text| Words::EqualsIgnoreCase(text.to_lowercase()))
            }
            "wildcard" if known => {
                let text = self.text("wildcard match pattern must be a string")?;
                let wildcard = self.wildcard(&text)?;
                self.end(ONE_KEY)?;
                Ok(Test::Words(wildcard))
            }
            "numeric" => {
                if self.next() != Token::ArrayStart {
                    return self.refuse("Value of numeric must be an array.");
                }
                let range = self.range()?;
                self.end(NUMERIC_LENGTH)?;
                Ok(range)
            }
            "anything-but" => self.anything_but(),
            "exists" => {
                let test = match self.next() {
                    Token::True => Test::Present,
                    Token::False => Test::Absent,
                    _ => return self.refuse("exists match pattern must be either true or false."),
                };
                self.end(ONE_KEY)?;
                Ok(test)
            }
            "cidr" => {
                let text = self.text("prefix match pattern must be a string")?;
                let network = self.network(&text)?;
                self.end(ONE_KEY)?;
                Ok(network)
            }
            kind => self.refuse(format!("Unrecognized match type {kind}")),
        }
    }

    fn text(&mut self, otherwise: &str) -> Result<String, PatternError> {
        let Token::Text(text) = self.next() else { return self.refuse(otherwise) };
        Ok(text)
    }

    /// The end of an object that has one member only.
    fn end(&mut self, otherwise: &str) -> Result<(), PatternError> {
        if self.next() == Token::ObjectEnd { Ok(()) } else { self.refuse(otherwise) }
    }

    fn only_text(&mut self, otherwise: &str, words: impl Fn(String) -> Words) -> Result<Test, PatternError> {
        let text = self.text(otherwise)?;
        self.end(ONE_KEY)?;
        Ok(Test::Words(words(text)))
    }

    /// A prefix or suffix: a text, or `{"equals-ignore-case": "a"}`.
    fn edge(
        &mut self,
        kind: &str,
        exact: fn(String) -> Words,
        ignore_case: fn(String) -> Words,
    ) -> Result<Test, PatternError> {
        let words = match self.next() {
            Token::Text(text) => exact(text),
            Token::ObjectStart if self.dialect == Dialect::EventBridge => {
                match self.next() {
                    Token::Name(name) if name == "equals-ignore-case" => {}
                    Token::Name(name) => return self.refuse(format!("Unsupported {kind} pattern: {name}")),
                    _ => return self.refuse(format!("{kind} expression name not found")),
                }
                let text = self.text("equals-ignore-case match pattern must be a string")?;
                self.end(ONE_KEY)?;
                ignore_case(text.to_lowercase())
            }
            _ => return self.refuse(format!("{kind} match pattern must be a string")),
        };
        self.end(ONE_KEY)?;
        Ok(Test::Words(words))
    }

    fn wildcard(&mut self, text: &str) -> Result<Words, PatternError> {
        self.tokens.finish();
        Wildcard::parse(text).map(Words::Wildcard).or_else(|reason| self.refuse(reason))
    }

    fn network(&mut self, text: &str) -> Result<Test, PatternError> {
        self.tokens.finish();
        let Some((address, bits)) = text.split_once('/') else {
            return self.refuse(format!("Malformed CIDR, one '/' required: {text}"));
        };
        let Ok(bits) = bits.parse::<u8>() else {
            return self.refuse("Malformed CIDR, mask bits must be an integer");
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return self.refuse(format!("Nonstandard IP address: {address}"));
        };
        let (most, family) = if address.is_ipv4() { (32, "IPv4") } else { (128, "IPv6") };
        if bits > most {
            return self.refuse(format!("{family} mask bits must be < {most}"));
        }
        Ok(Test::Network(address, bits))
    }

    fn anything_but(&mut self) -> Result<Test, PatternError> {
        let value = self.next();
        if value != Token::ObjectStart {
            let test = self.barred(value)?;
            self.end(NUMERIC_LENGTH)?;
            return Ok(test);
        }
        let Token::Name(kind) = self.next() else {
            return self.refuse("Anything-But expression name not found");
        };
        let value = self.next();
        let wide = self.dialect == Dialect::EventBridge;
        let barred = match kind.as_str() {
            "prefix" => self.barred_words(value, false, Words::Prefix)?,
            "suffix" if wide => self.barred_words(value, false, Words::Suffix)?,
            "equals-ignore-case" if wide => {
                self.barred_words(value, true, |text| Words::EqualsIgnoreCase(text.to_lowercase()))?
            }
            "wildcard" if wide => {
                let texts = self.barred_texts(value, true, "wildcard")?;
                texts.iter().map(|text| self.wildcard(text)).collect::<Result<_, _>>()?
            }
            kind => return self.refuse(format!("Unsupported anything-but pattern: {kind}")),
        };
        self.end(ONE_KEY)?;
        self.end(ONE_KEY)?;
        Ok(Test::NotWords(barred))
    }

    fn barred_words(
        &mut self,
        value: Token,
        empty: bool,
        words: impl Fn(String) -> Words,
    ) -> Result<Vec<Words>, PatternError> {
        let kind = if self.dialect == Dialect::Sns { "prefix" } else { "prefix/suffix" };
        Ok(self.barred_texts(value, empty, kind)?.into_iter().map(words).collect())
    }

    /// A text, or a list of texts.
    fn barred_texts(&mut self, value: Token, empty: bool, kind: &str) -> Result<Vec<String>, PatternError> {
        let mut texts = Vec::new();
        match value {
            Token::Text(text) => texts.push(text),
            Token::ArrayStart if self.dialect == Dialect::EventBridge => loop {
                match self.next() {
                    Token::Text(text) => texts.push(text),
                    Token::ArrayEnd if !texts.is_empty() => break,
                    _ => return self.refuse(format!("{kind} match pattern must be a string")),
                }
            },
            _ => return self.refuse(format!("{kind} match pattern must be a string")),
        }
        if !empty && texts.iter().any(String::is_empty) {
            self.tokens.finish();
            return self.refuse("Null prefix/suffix not allowed");
        }
        Ok(texts)
    }

    /// What must not be: a text, a number, or a list of either kind.
    fn barred(&mut self, value: Token) -> Result<Test, PatternError> {
        let (mut words, mut numbers) = (Vec::new(), Vec::new());
        match value {
            Token::Text(text) => words.push(Words::Equals(text)),
            Token::Number(number, _) => numbers.push(number),
            Token::ArrayStart => loop {
                match self.next() {
                    Token::Text(text) => words.push(Words::Equals(text)),
                    Token::Number(number, _) => numbers.push(number),
                    Token::ArrayEnd => break,
                    _ => {
                        return self.refuse("Inside anything but list, start|null|boolean is not supported.");
                    }
                }
            },
            _ => {
                let reason = "Value of anything-but must be an array or single string/number value.";
                return self.refuse(reason);
            }
        }
        match (words.is_empty(), numbers.is_empty()) {
            (false, true) => Ok(Test::NotWords(words)),
            (true, false) => Ok(Test::NotNumbers(numbers)),
            (true, true) | (false, false) => self.refuse(
                "Inside anything but list, either all values are number or string, mixed type is not supported",
            ),
        }
    }

    /// `">", 0, "<=", 5]`.
    fn range(&mut self) -> Result<Test, PatternError> {
        let first = self.next();
        let Token::Text(operator) = first else {
            return self.refuse(format!("Invalid member in numeric match: {}", first.text()));
        };
        self.tokens.finish();
        let value = self.next();
        let name = match operator.as_str() {
            "=" => "equals",
            "<" | "<=" | ">" | ">=" => operator.as_str(),
            _ => return self.refuse(format!("Unrecognized numeric range operator: {operator}")),
        };
        let value = self.number(value, name)?;
        let next = self.next();
        let bound = |included| Some(Bound { value, included });
        if next == Token::ArrayEnd {
            return Ok(match operator.as_str() {
                "=" => Test::Range(bound(true), bound(true)),
                "<" => Test::Range(None, bound(false)),
                "<=" => Test::Range(None, bound(true)),
                ">" => Test::Range(bound(false), None),
                _ => Test::Range(bound(true), None),
            });
        }
        if !operator.starts_with('>') {
            return self.refuse(NUMERIC_LENGTH);
        }
        self.range_end(bound(operator == ">="), value, &next)
    }

    fn range_end(
        &mut self,
        from: Option<Bound>,
        bottom: f64,
        operator: &Token,
    ) -> Result<Test, PatternError> {
        let Token::Text(operator) = operator else {
            return self.refuse(format!("Bad value in numeric range: {}", operator.text()));
        };
        self.tokens.finish();
        if operator != "<" && operator != "<=" {
            return self.refuse(format!("Bad numeric range operator: {operator}"));
        }
        let value = self.next();
        let value = self.number(value, operator)?;
        if self.next() != Token::ArrayEnd {
            return self.refuse("Too many terms in numeric range expression");
        }
        if bottom >= value {
            return self.refuse("Bottom must be less than top");
        }
        Ok(Test::Range(from, Some(Bound { value, included: operator == "<=" })))
    }

    fn number(&mut self, token: Token, of: &str) -> Result<f64, PatternError> {
        let Token::Number(number, _) = token else {
            return self.refuse(format!("Value of {of} must be numeric"));
        };
        match number.as_f64() {
            Some(number) if number.abs() <= RANGE_LIMIT => Ok(number),
            _ => self.refuse("Value must be between -5.0E9 and 5.0E9, inclusive"),
        }
    }
}
