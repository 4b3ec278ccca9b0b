//! `SEARCH('{AWS/Lambda,FunctionName} MetricName="Errors" NOT test', 'Sum', 300)`: which metrics one is about. Words match
//! parts of names (`cpu` is in `CPUUtilization`), in any case; what stands in quotes matches whole.
//!
//! Deliberately not here: reading their values.

use std::collections::BTreeSet;

use crate::metrics::series::Series;
use crate::pattern::cursor::Cursor;

/// How deep parentheses may stand in each other.
const DEPTH: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Search {
    /// A namespace, and the names of all dimensions.
    schema: Option<(String, BTreeSet<String>)>,
    of: Term,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    All(Vec<Term>),
    Any(Vec<Term>),
    Not(Box<Term>),
    /// In one property, or in any.
    Is {
        property: Option<String>,
        text: String,
        whole: bool,
    },
}

type Result<T> = std::result::Result<T, String>;

impl Search {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut reader = Reader(Cursor::new(text));
        reader.0.skip_spaces();
        let schema = if reader.0.eat("{") { Some(reader.schema()?) } else { None };
        reader.0.skip_spaces();
        let of = if reader.0.peek().is_none() { Term::All(Vec::new()) } else { reader.any(None, 0)? };
        match reader.0.peek() {
            Some(more) => Err(reader.wrong(&format!("'{more}' is not expected"))),
            None if schema.is_none() && of == Term::All(Vec::new()) => {
                Err(reader.wrong("a word is expected"))
            }
            None => Ok(Self { schema, of }),
        }
    }

    /// Whether a metric fits the schema, which costs little to know.
    pub(in super::super) fn may_find(&self, series: &Series) -> bool {
        self.schema.as_ref().is_none_or(|(namespace, dimensions)| {
            **namespace == *series.namespace
                && dimensions.len() == series.dimensions.len()
                && series.dimensions.iter().all(|(name, _)| dimensions.contains(&**name))
        })
    }

    pub(in super::super) fn finds(&self, series: &Series) -> bool {
        self.may_find(series) && self.of.finds(series)
    }
}

impl Term {
    fn finds(&self, series: &Series) -> bool {
        match self {
            Self::All(all) => all.iter().all(|each| each.finds(series)),
            Self::Any(any) => any.iter().any(|each| each.finds(series)),
            Self::Not(term) => !term.finds(series),
            Self::Is { property, text, whole } => {
                let fits = |value: &str| if *whole { value == text } else { has_words(value, text) };
                match property.as_deref() {
                    Some("Namespace") => fits(&series.namespace),
                    Some("MetricName") => fits(&series.name),
                    Some(name) => series.dimensions.iter().any(|(own, value)| **own == *name && fits(value)),
                    None => {
                        let mut dimensions = series.dimensions.iter();
                        fits(&series.namespace)
                            || fits(&series.name)
                            || dimensions.any(|(name, value)| fits(name) || fits(value))
                    }
                }
            }
        }
    }
}

struct Reader<'t>(Cursor<'t>);

impl Reader<'_> {
    fn wrong(&self, reason: &str) -> String {
        let error = self.0.error(reason);
        format!("SEARCH: {} at position {}", error.reason, error.position)
    }

    /// A word, or what stands in quotes; whether it did.
    fn text(&mut self, ends: &str) -> Result<(String, bool)> {
        self.0.skip_spaces();
        let begin = self.0.clone();
        if let Some(quote @ ('"' | '\'')) = self.0.peek() {
            self.0.next();
            let text = self.0.quoted(quote);
            return text
                .map(|text| (text, true))
                .map_err(|_| Self(begin).wrong("the closing quote is missing"));
        }
        let word = self.0.take_while(|each| !each.is_whitespace() && !ends.contains(each));
        if word.is_empty() { Err(self.wrong("a word is expected")) } else { Ok((word.to_owned(), false)) }
    }

    fn schema(&mut self) -> Result<(String, BTreeSet<String>)> {
        let (namespace, _) = self.text(",}\"")?;
        let mut dimensions = BTreeSet::new();
        loop {
            self.0.skip_spaces();
            if self.0.eat("}") {
                return Ok((namespace, dimensions));
            }
            if !self.0.eat(",") {
                return Err(self.wrong("',' or '}' is expected"));
            }
            dimensions.insert(self.text(",}\"")?.0);
        }
    }

    fn any(&mut self, property: Option<&str>, depth: usize) -> Result<Term> {
        if depth > DEPTH {
            return Err(self.wrong("too many parentheses"));
        }
        let mut any = vec![self.all(property, depth)?];
        while self.0.eat_word("OR") {
            any.push(self.all(property, depth)?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Term::Any(any) })
    }

    fn all(&mut self, property: Option<&str>, depth: usize) -> Result<Term> {
        let mut all = Vec::new();
        loop {
            all.push(self.one(property, depth)?);
            self.0.skip_spaces();
            let ends = self.0.clone().eat_word("OR") || matches!(self.0.peek(), None | Some(')'));
            if !self.0.eat_word("AND") && ends {
                return Ok(if all.len() == 1 { all.remove(0) } else { Term::All(all) });
            }
        }
    }

    fn one(&mut self, property: Option<&str>, depth: usize) -> Result<Term> {
        self.0.skip_spaces();
        if self.0.eat_word("NOT") {
            if depth > DEPTH {
                return Err(self.wrong("too many parentheses"));
            }
            return Ok(Term::Not(Box::new(self.one(property, depth + 1)?)));
        }
        if self.0.eat("(") {
            let inner = self.any(property, depth + 1)?;
            self.0.skip_spaces();
            return if self.0.eat(")") { Ok(inner) } else { Err(self.wrong("')' is expected")) };
        }
        let (text, whole) = self.text("()=\"")?;
        self.0.skip_spaces();
        if property.is_none() && self.0.eat("=") {
            return self.one(Some(&text), depth + 1);
        }
        Ok(Term::Is { property: property.map(str::to_owned), text, whole })
    }
}

/// Whether the words of a text are among another's, one after the other.
fn has_words(value: &str, text: &str) -> bool {
    let (all, wanted) = (words(value), words(text));
    !wanted.is_empty() && all.windows(wanted.len()).any(|some| some == wanted)
}

/// Runs of letters or of digits, in small letters; a capital begins one: `CPUUtilization` is `cpu` and `utilization`.
fn words(text: &str) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for (at, each) in all.iter().enumerate() {
        if !each.is_alphanumeric() {
            open = false;
            continue;
        }
        let before = at.checked_sub(1).map(|before| all[before]);
        let begins = before.is_none_or(|before| {
            let after = all.get(at + 1).is_some_and(|after| after.is_lowercase());
            before.is_numeric() != each.is_numeric()
                || (each.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && after)))
        });
        if begins || !open {
            words.push(String::new());
        }
        open = true;
        if let Some(word) = words.last_mut() {
            word.extend(each.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, dimensions: &[(&str, &str)]) -> Series {
        Series {
            account: "0".into(),
            region: "r".into(),
            namespace: "AWS/Lambda".into(),
            name: name.into(),
            dimensions: dimensions.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            unit: "Count".into(),
        }
    }

    #[test]
    fn searches_find_what_they_name() {
        let errors = series("Errors", &[("FunctionName", "orders-test")]);
        let age = series("AsyncEventAge", &[("FunctionName", "checkout"), ("Resource", "checkout:live")]);
        for (text, of_errors, of_age) in [
            ("{AWS/Lambda,FunctionName}", true, false),
            ("{AWS/Lambda, Resource, FunctionName}", false, true),
            ("{\"AWS/Lambda\",\"FunctionName\"} MetricName=\"Errors\"", true, false),
            ("{AWS/SQS,FunctionName}", false, false),
            ("MetricName=errors", true, false),
            ("MetricName=\"errors\"", false, false),
            ("event age", false, true),
            ("eventage", false, false),
            ("EventAge", false, true),
            ("lambda", true, true),
            ("lambda NOT test", false, true),
            ("test OR live", true, true),
            ("FunctionName=(orders OR checkout) AND MetricName=Errors", true, false),
            ("(test OR live) NOT (Errors)", false, true),
            ("FunctionName=\"checkout\"", false, true),
            ("FunctionName=check", false, false),
        ] {
            let search = Search::parse(text).unwrap();
            assert_eq!((search.finds(&errors), search.finds(&age)), (of_errors, of_age), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_says_where() {
        for (text, expected) in [
            ("", "a word is expected at position 1"),
            ("{a", "',' or '}' is expected at position 3"),
            ("{}", "a word is expected at position 2"),
            ("a OR", "a word is expected at position 5"),
            ("(a", "')' is expected at position 3"),
            ("a)", "')' is not expected at position 2"),
            ("a=", "a word is expected at position 3"),
            ("\"a", "the closing quote is missing at position 1"),
        ] {
            assert_eq!(Search::parse(text), Err(format!("SEARCH: {expected}")), "{text}");
        }
        assert!(Search::parse(&"(".repeat(9999)).unwrap_err().contains("too many parentheses"));
        assert!(Search::parse(&"NOT ".repeat(9999)).unwrap_err().contains("too many parentheses"));
        assert_eq!(
            words("CPUUtilization-p99_x2 fooBar"),
            ["cpu", "utilization", "p", "99", "x", "2", "foo", "bar"]
        );
    }
}
