//! Who comes before whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Fault;

/// The names so that each stands behind those that it waits for; among equals by name.
///
/// # Errors
/// `stack.cycle` with the names of a circle.
pub(super) fn of<'a>(waits: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Result<Vec<&'a str>, Fault> {
    let mut left = waits.clone();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, before)| before.iter().all(|name| !left.contains_key(name)))
            .map(|(name, _)| *name)
            .collect();
        if free.is_empty() {
            let names: Vec<&str> = circle(&left);
            let message = format!("these services wait for each other: {}", names.join(" > "));
            return Err(Fault::new("stack.cycle", message).hint("take one of the dependencies out"));
        }
        for name in free {
            left.remove(name);
            order.push(name);
        }
    }
    Ok(order)
}

/// Follows one who waits to another until a name comes again.
fn circle<'a>(left: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<&'a str> {
    let mut walked: Vec<&str> = Vec::new();
    let mut next = left.keys().next().copied();
    while let Some(name) = next {
        if let Some(start) = walked.iter().position(|seen| *seen == name) {
            walked.drain(..start);
            walked.push(name);
            break;
        }
        walked.push(name);
        next = left.get(name).and_then(|before| before.iter().find(|name| left.contains_key(*name)).copied());
    }
    walked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered<'a>(pairs: &[(&'a str, &[&'a str])]) -> Result<Vec<&'a str>, Fault> {
        of(&pairs.iter().map(|(name, before)| (*name, before.iter().copied().collect())).collect())
    }

    #[test]
    fn each_stands_behind_those_that_it_waits_for() {
        let order = ordered(&[("web", &["api", "cache"]), ("api", &["db"]), ("db", &[]), ("cache", &[])]);
        assert_eq!(order.expect("an order"), ["cache", "db", "api", "web"]);
    }

    #[test]
    fn a_circle_is_named() {
        let fault = ordered(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])]).expect_err("a circle");
        assert_eq!(fault.code, "stack.cycle");
        assert!(fault.message.ends_with("b > c > b"), "{}", fault.message);
    }
}
