//! "Did you mean": the nearest of the known names.

/// The candidate closest to `name`, if one is close enough to be a likely slip of the fingers.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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
}
