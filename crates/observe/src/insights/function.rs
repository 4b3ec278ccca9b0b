//! Functions of queries, on numbers, texts and times.

use super::value::Value;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Function {
    Abs,
    Ceil,
    Floor,
    Sqrt,
    Log,
    Greatest,
    Least,
    IsPresent,
    IsEmpty,
    IsBlank,
    Coalesce,
    Concat,
    Strlen,
    Trim,
    Ltrim,
    Rtrim,
    ToUpper,
    ToLower,
    Substr,
    Replace,
    StrContains,
    /// Of `@timestamp`, which is its argument, in milliseconds.
    Bin(f64),
    FromMillis,
    ToMillis,
}

/// Names, and how many arguments they take.
const FUNCTIONS: [(&str, Function, usize, usize); 25] = [
    ("abs", Function::Abs, 1, 1),
    ("ceil", Function::Ceil, 1, 1),
    ("floor", Function::Floor, 1, 1),
    ("sqrt", Function::Sqrt, 1, 1),
    ("log", Function::Log, 1, 1),
    ("greatest", Function::Greatest, 1, 100),
    ("least", Function::Least, 1, 100),
    ("ispresent", Function::IsPresent, 1, 1),
    ("isempty", Function::IsEmpty, 1, 1),
    ("isblank", Function::IsBlank, 1, 1),
    ("coalesce", Function::Coalesce, 1, 100),
    ("concat", Function::Concat, 1, 100),
    ("strlen", Function::Strlen, 1, 1),
    ("trim", Function::Trim, 1, 2),
    ("ltrim", Function::Ltrim, 1, 2),
    ("rtrim", Function::Rtrim, 1, 2),
    ("toupper", Function::ToUpper, 1, 1),
    ("upper", Function::ToUpper, 1, 1),
    ("tolower", Function::ToLower, 1, 1),
    ("lower", Function::ToLower, 1, 1),
    ("substr", Function::Substr, 2, 3),
    ("replace", Function::Replace, 3, 3),
    ("strcontains", Function::StrContains, 2, 2),
    ("frommillis", Function::FromMillis, 1, 1),
    ("tomillis", Function::ToMillis, 1, 1),
];

impl Function {
    pub(super) fn named(name: &str) -> Option<(Self, std::ops::RangeInclusive<usize>)> {
        let name = name.to_lowercase();
        let found = FUNCTIONS.iter().find(|(own, ..)| *own == name)?;
        Some((found.1, found.2..=found.3))
    }

    pub(super) fn call(self, arguments: &[Value]) -> Value {
        let number = |index: usize| arguments.get(index).and_then(Value::number);
        let text = |index: usize| arguments.get(index).and_then(Value::text);
        let of_number = |compute: fn(f64) -> f64| {
            number(0).map(compute).filter(|result| result.is_finite()).map_or(Value::Nothing, Value::Number)
        };
        let of_text = |text: Option<String>| text.map_or(Value::Nothing, Value::Text);
        match self {
            Self::Abs => of_number(f64::abs),
            Self::Ceil => of_number(f64::ceil),
            Self::Floor => of_number(f64::floor),
            Self::Sqrt => of_number(f64::sqrt),
            Self::Log => of_number(f64::ln),
            Self::Greatest => extreme(arguments, f64::max),
            Self::Least => extreme(arguments, f64::min),
            Self::IsPresent => Value::Truth(arguments[0] != Value::Nothing),
            Self::IsEmpty => Value::Truth(text(0).is_none_or(|text| text.is_empty())),
            Self::IsBlank => Value::Truth(text(0).is_none_or(|text| text.trim().is_empty())),
            Self::Coalesce => {
                arguments.iter().find(|value| **value != Value::Nothing).cloned().unwrap_or(Value::Nothing)
            }
            Self::Concat => Value::Text(arguments.iter().filter_map(Value::text).collect()),
            Self::Strlen => text(0).map_or(Value::Nothing, |text| Value::Number(text.chars().count() as f64)),
            Self::Trim | Self::Ltrim | Self::Rtrim => {
                let of = text(1).unwrap_or_else(|| " \t\r\n".into());
                let is = |each: char| of.contains(each);
                of_text(text(0).map(|text| {
                    let begun = if self == Self::Rtrim { &text } else { text.trim_start_matches(is) };
                    if self == Self::Ltrim { begun } else { begun.trim_end_matches(is) }.to_owned()
                }))
            }
            Self::ToUpper => of_text(text(0).map(|text| text.to_uppercase())),
            Self::ToLower => of_text(text(0).map(|text| text.to_lowercase())),
            Self::Substr => {
                let (begin, length) =
                    (number(1).unwrap_or(0.0).max(0.0), number(2).unwrap_or(f64::MAX).max(0.0));
                of_text(text(0).map(|text| text.chars().skip(begin as usize).take(length as usize).collect()))
            }
            Self::Replace => match (text(0), text(1), text(2)) {
                (Some(text), Some(from), Some(to)) if !from.is_empty() => {
                    Value::Text(text.replace(&from, &to))
                }
                (text, _, _) => of_text(text),
            },
            Self::StrContains => match (text(0), text(1)) {
                (Some(text), Some(part)) => Value::Number(f64::from(u8::from(text.contains(&part)))),
                (_, _) => Value::Number(0.0),
            },
            Self::Bin(width) => {
                number(0).map_or(Value::Nothing, |at| Value::Number((at / width).floor() * width))
            }
            Self::FromMillis | Self::ToMillis => number(0).map_or(Value::Nothing, Value::Number),
        }
    }
}

fn extreme(arguments: &[Value], choose: fn(f64, f64) -> f64) -> Value {
    arguments.iter().filter_map(Value::number).reduce(choose).map_or(Value::Nothing, Value::Number)
}
