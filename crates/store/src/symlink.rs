//! Whether the symbolic links of a package stay inside it, resolved as the kernel would: a link's
//! target may go through other links, so that reading the targets one by one proves nothing.
//!
//! Deliberately not here: making them, which happens after every file is written.

use std::collections::HashMap;

/// Links that one resolution may go through, as Linux has it.
const HOPS: usize = 40;
/// Path components of all targets together. A real package has a few thousand; this bounds what a
/// package of nothing but links to links costs.
const STEPS: usize = 1_000_000;

/// Says which link leaves the package. Keys are paths below the package, values the targets.
pub(crate) fn check(links: &HashMap<String, String>) -> Result<(), String> {
    let mut steps = 0;
    for (path, target) in links {
        resolve(links, path, target, &mut steps).map_err(|why| format!("symbolic link `{path}` {why}"))?;
    }
    Ok(())
}

fn resolve(
    links: &HashMap<String, String>,
    path: &str,
    target: &str,
    steps: &mut usize,
) -> Result<(), &'static str> {
    let mut here = path.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
    let mut ahead = Vec::new();
    enter(target, &mut ahead)?;
    let mut hops = 0;
    while let Some(component) = ahead.pop() {
        *steps += 1;
        if *steps > STEPS {
            return Err("is one of too many");
        }
        match component {
            "" | "." => {}
            ".." if here.is_empty() => return Err("leaves the package"),
            ".." => here.truncate(here.rfind('/').unwrap_or(0)),
            name => {
                let parent = here.len();
                if parent > 0 {
                    here.push('/');
                }
                here.push_str(name);
                if let Some(target) = links.get(&here) {
                    hops += 1;
                    if hops > HOPS {
                        return Err("goes through too many links");
                    }
                    here.truncate(parent);
                    enter(target, &mut ahead)?;
                }
            }
        }
    }
    Ok(())
}

/// Puts a target's components on the stack of those still to go, the first on top.
fn enter<'a>(target: &'a str, ahead: &mut Vec<&'a str>) -> Result<(), &'static str> {
    if target.is_empty() || target.contains('\0') {
        return Err("has no usable target");
    }
    if target.starts_with('/') {
        return Err("leaves the package");
    }
    ahead.extend(target.rsplit('/'));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(links: &[(&str, &str)]) -> bool {
        check(&links.iter().map(|(path, target)| ((*path).to_owned(), (*target).to_owned())).collect())
            .is_ok()
    }

    #[test]
    fn follows_links_as_the_kernel_does() {
        for (links, expected) in [
            (&[("a", "b")] as &[_], true),
            (&[("d/a", "../b")], true),
            (&[("d/a", "..")], true),
            (&[("a", "..")], false),
            (&[("d/a", "../../b")], false),
            (&[("a", "/etc/passwd")], false),
            (&[("a", "")], false),
            (&[("a", "x/../../b")], false),
            // Each target by itself stays inside; together they do not.
            (&[("d/e/up", "../.."), ("a", "d/e/up/../etc")], false),
            (&[("d/e/up", "../.."), ("a", "d/e/up/f")], true),
            (&[("a", "b"), ("b", "a")], false),
            (&[("a", "a")], false),
            (&[("a", "missing/x")], true),
        ] {
            assert_eq!(checked(links), expected, "{links:?}");
        }
    }
}
