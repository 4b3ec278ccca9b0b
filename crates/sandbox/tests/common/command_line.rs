//! The part of libtest's command line that cargo and nextest use, for the programs of this directory, which are none
//! of libtest's.

/// Those of the tests that are asked for; `None` where only their list is, which it prints.
pub(crate) fn asked_for<T>(
    arguments: &[String],
    tests: impl IntoIterator<Item = T>,
    name: impl Fn(&T) -> &str,
) -> Option<Vec<T>> {
    let said = |word| arguments.iter().any(|argument| argument == word);
    if said("--list") {
        if !said("--ignored") {
            tests.into_iter().for_each(|test| println!("{}: test", name(&test)));
        }
        return None;
    }
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let fits = |name: &str, word: &str| if said("--exact") { word == name } else { name.contains(word) };
    let is_wanted = |test: &T| wanted.is_empty() || wanted.iter().any(|word| fits(name(test), word));
    Some(tests.into_iter().filter(is_wanted).collect())
}
