//! Reading an expression, from the operators that bind least to those that bind most.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Parser, Result};
use crate::insights::expression::{Arithmetic, Comparison, Expression};
use crate::insights::function::Function;
use crate::insights::period::Period;
use crate::insights::stats::Kind;
use crate::insights::value::Value;

/// How deep expressions may stand in each other.
const DEPTH: usize = 64;

impl Parser<'_> {
    pub(super) fn expression(&mut self, depth: usize) -> Result<Expression> {
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
        if self.aggregates.is_some() && Kind::is_name(&name) {
            return self.aggregate(&name, before.rest(), depth);
        }
        match name.to_lowercase().as_str() {
            "bin" => return self.of_period(Expression::Field("@timestamp".into()), Function::DateFloor),
            "datefloor" => {
                let of = self.expression(depth + 1)?;
                self.expect(",")?;
                return self.of_period(of, Function::DateFloor);
            }
            "dateceil" => {
                let of = self.expression(depth + 1)?;
                self.expect(",")?;
                return self.of_period(of, Function::DateCeil);
            }
            // The moment at which the query begins, in seconds.
            "now" => {
                self.expect(")")?;
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                return Ok(Expression::Constant(Value::Number(now.as_secs() as f64)));
            }
            _ => {}
        }
        let Some((function, takes)) = Function::named(&name) else {
            self.cursor = before;
            let kind = if self.aggregates.is_some() { "aggregation" } else { "function" };
            return Err(self.error(format!("'{name}' is no {kind}")));
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

    /// The rest of a call that ends with a period, such as `5m`.
    fn of_period(&mut self, of: Expression, function: fn(Period) -> Function) -> Result<Expression> {
        self.spaces();
        let digits = self.cursor.take_while(|each| each.is_ascii_digit());
        self.spaces();
        let unit = self.cursor.take_while(char::is_alphabetic);
        let period = digits.parse().ok().and_then(|count| Period::of(count, unit));
        let period = period.ok_or_else(|| self.error("a period such as 5m is expected"))?;
        self.expect(")")?;
        Ok(Expression::Call(function(period), vec![of]))
    }
}
