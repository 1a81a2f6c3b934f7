//! "Did you mean": the nearest of the known names.

use super::limits::SUGGEST_NAME_BYTES_MAX;

/// The candidate closest to `name`, if one is close enough to be a likely slip of the fingers.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing takes the product of the lengths, and a name comes from anyone: a script, a request.
    if name.len() > SUGGEST_NAME_BYTES_MAX {
        return None;
    }
    let allowed = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `text` as the tail of an error message: `; did you mean "x"?`, or nothing.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map_or_else(String::new, |found| format!("; did you mean \"{found}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_leaves_strangers() {
        let fields = ["schedule", "timeout", "permissions"];
        assert_eq!(nearest("shedule", fields), Some("schedule"));
        assert_eq!(nearest("timout", fields), Some("timeout"));
        assert_eq!(nearest("colour", fields), None);
    }

    #[test]
    fn long_names_are_not_compared_at_all() {
        let long = "x".repeat(SUGGEST_NAME_BYTES_MAX);
        assert_eq!(nearest(&long, [long.as_str()]), Some(long.as_str()));
        let longer = "x".repeat(SUGGEST_NAME_BYTES_MAX + 1);
        assert_eq!(nearest(&longer, [longer.as_str()]), None);
    }
}
