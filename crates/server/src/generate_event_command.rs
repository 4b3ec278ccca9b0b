//! `lambkin generate-event`: a sample event on stdout, for `aws lambda invoke` and for files. Needs no server.

use lambkin_model::name::DEFAULT_ACCOUNT;
use lambkin_model::sample_event::SampleEvent;

use crate::arguments::GenerateEvent;
use crate::output;

pub(crate) fn run(options: &GenerateEvent) -> Result<(), String> {
    let text = match &options.name {
        Some(name) if !options.list => {
            let unknown = || format!("there is no sample event '{name}'; lambkin generate-event lists them");
            let template = SampleEvent::find(name).ok_or_else(unknown)?;
            let region = std::env::var("AWS_DEFAULT_REGION").or_else(|_| std::env::var("AWS_REGION"));
            let region = region.unwrap_or_else(|_| "us-east-1".into());
            let event = template.event(DEFAULT_ACCOUNT, &region, &parameters(&options.parameters)?)?;
            serde_json::to_string_pretty(&event).map_err(|error| error.to_string())? + "\n"
        }
        _ => list(),
    };
    output::say(&text)
}

/// `--bucket b` and `--bucket=b`.
fn parameters(words: &[String]) -> Result<Vec<(String, String)>, String> {
    let mut words = words.iter();
    let mut parameters = Vec::new();
    while let Some(word) = words.next() {
        let name = word.strip_prefix("--").ok_or_else(|| format!("'{word}' is not --PARAMETER VALUE"))?;
        parameters.push(match name.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (name.to_owned(), words.next().ok_or_else(|| format!("--{name} wants a value"))?.clone()),
        });
    }
    Ok(parameters)
}

fn list() -> String {
    let mut text = String::new();
    for template in SampleEvent::all() {
        let parameters: Vec<String> = template.parameters.keys().map(|name| format!("--{name}")).collect();
        text += &format!("{:<34} {:<52} {}", template.name, template.title, parameters.join(" "));
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_pairs() {
        let read =
            |words: &[&str]| parameters(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read(&["--a", "1", "--b=2=3", "--c", "--d"]),
            Ok(vec![pair("a", "1"), pair("b", "2=3"), pair("c", "--d")])
        );
        assert!(read(&["a"]).is_err());
        assert!(read(&["--a"]).is_err());
    }

    #[test]
    fn every_sample_is_listed_on_a_line() {
        assert_eq!(list().lines().count(), SampleEvent::all().count());
    }
}
