//! Tags of Lambda's resources (aws-behaviour 68).
//!
//! Deliberately not here: SNS's and SQS's, which have rules and words of their own.

use std::collections::BTreeMap;

use crate::Error;

/// Most tags of a resource.
pub const TAGS: usize = 50;

/// Tags that a request gives: at least one.
pub fn check(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    if tags.is_empty() {
        return Err(Error::InvalidParameterValue(
            "An error occurred and the request cannot be processed.".into(),
        ));
    }
    Ok(())
}

/// Adds tags, or changes their values. Names that begin with `aws:`, in whatever case, are AWS's own.
pub fn merge(tags: &mut BTreeMap<String, String>, more: &BTreeMap<String, String>) -> Result<(), Error> {
    if more.keys().any(|name| name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))) {
        return Err(Error::InvalidParameterValue(
            "aws: prefixed tag key names are not allowed for external use.".into(),
        ));
    }
    tags.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
    if tags.len() > TAGS {
        return Err(Error::InvalidParameterValue("Number of tags exceeds resource tag limit.".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_bounded() {
        let many =
            |from: usize, to: usize| (from..to).map(|index| (index.to_string(), String::new())).collect();
        let mut tags: BTreeMap<String, String> = many(0, TAGS);
        assert!(merge(&mut tags, &many(0, 10)).is_ok(), "the same again");
        assert!(merge(&mut tags, &many(TAGS, TAGS + 1)).is_err());
        assert!(check(&many(0, 0)).is_err());
        for (name, taken) in
            [("aws:x", false), ("AWS:x", false), ("aws", true), ("awsome:x", true), ("äaws:", true)]
        {
            let one = BTreeMap::from([(name.to_owned(), String::new())]);
            assert_eq!(merge(&mut BTreeMap::new(), &one).is_ok(), taken, "{name}");
        }
    }
}
