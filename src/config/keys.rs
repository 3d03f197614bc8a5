//! List of all configuration keys, and suggestions for misspelled ones.

use std::collections::BTreeSet;

/// Example configuration that names every key. Sections that are off by default are in comments.
const EXAMPLE: &str = include_str!("../../config/ikgate.toml");

/// Largest edit distance that counts as a misspelling. Beyond it, the text is another word.
const SLIP_MAX: usize = 2;

/// Returns every key as a path like `cache.ttl`; keys of a list of tables like `callers.name`.
pub fn keys() -> BTreeSet<String> {
    let mut section = "";
    let mut keys = BTreeSet::new();
    for line in EXAMPLE.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        let is_word = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
        };
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if let Some((key, _)) = line.split_once(" = ")
            && is_word(key)
        {
            keys.insert(format!("{section}.{key}"));
        }
    }
    keys
}

/// Returns the known key or section that is closest to this path, if one is close enough.
pub(super) fn nearest(path: &str) -> Option<String> {
    // The index in a list of tables does not matter here.
    let path = path.split(['[', ']']).step_by(2).collect::<String>();
    let keys = keys();
    let sections = keys.iter().filter_map(|key| Some(key.rsplit_once('.')?.0.to_owned()));
    let known = sections.collect::<BTreeSet<_>>().into_iter().chain(keys.iter().cloned());
    let ranked = known.map(|known| (strsim::osa_distance(&path, &known), known));
    ranked.filter(|(distance, _)| *distance <= SLIP_MAX).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        for (written, meant) in [
            ("cache.tll", Some("cache.ttl")),
            ("upsteam", Some("upstream")),
            ("server.listten", Some("server.listen")),
            ("callers[3].quotas", Some("callers.quota")),
            ("jwt.alogrithm", Some("jwt.algorithm")),
            ("cluter", Some("cluster")),
            ("server.workers", None),
        ] {
            assert_eq!(nearest(written).as_deref(), meant, "{written}");
        }
    }
}
