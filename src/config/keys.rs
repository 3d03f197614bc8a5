//! Every key there is, and which of them somebody may have meant.

use std::collections::BTreeSet;

/// Names every key, those of sections that are off when absent in comments.
const EXAMPLE: &str = include_str!("../../config/ikgate.toml");

/// So many letters off are a slip; more are another word.
const SLIP_MAX: usize = 2;

/// Every key, as a path like `cache.ttl`; those of a list of tables like `callers.name`.
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

/// The key or section that was most likely meant by this path.
pub(super) fn nearest(path: &str) -> Option<String> {
    // Which of several callers does not matter here.
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
