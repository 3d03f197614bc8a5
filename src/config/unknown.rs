//! Answer to an unknown key: the key that was probably meant, and the keys that there are.

use super::declared::SECTIONS;
use super::lookup::{names_in, without_indexes};

/// Largest edit distance that counts as a misspelling. Beyond it, the text is another word.
const SLIP_MAX: usize = 2;

/// Returns the message for an unknown key at this path.
pub(super) fn unknown(path: &str) -> String {
    let path = without_indexes(path);
    let parent = path.rsplit_once('.').map(|(parent, _)| parent);
    let kind = if parent.is_some() { "key" } else { "section" };
    match nearest(&path) {
        Some(near) => format!("is not a {kind}: did you mean {near}? {}", names_of(parent)),
        None => format!("is not a {kind}. {}", names_of(parent)),
    }
}

/// Returns the sentence that lists the keys of a section, the members of an inline table, or the
/// sections.
pub(super) fn names_of(parent: Option<&str>) -> String {
    let names = names_in(parent.unwrap_or_default()).join(", ");
    match parent {
        Some(parent) => format!("The keys of {parent} are {names}"),
        None => format!("The sections are {names}"),
    }
}

/// Returns the known section, key or member of an inline table that is closest to this path, if one
/// is close enough.
fn nearest(path: &str) -> Option<String> {
    nearest_of(path, known())
}

/// Returns the known name that is closest to this one, if it is close enough for a misspelling.
pub(super) fn nearest_of(name: &str, known: impl IntoIterator<Item = String>) -> Option<String> {
    let ranked = known.into_iter().map(|known| (strsim::osa_distance(name, &known), known));
    ranked.filter(|(distance, _)| *distance <= SLIP_MAX).min().map(|(_, known)| known)
}

/// Returns the paths of all sections, keys and members of inline tables.
pub(super) fn known() -> Vec<String> {
    let mut known = Vec::new();
    for section in &SECTIONS {
        known.push(section.name.to_owned());
        for key in section.keys {
            let path = format!("{}.{}", section.name, key.name);
            known.extend(names_in(&path).iter().map(|member| format!("{path}.{member}")));
            known.push(path);
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::lookup::is_declared;

    #[test]
    fn each_known_path_may_have_a_value_and_a_slip_may_not() {
        for path in known() {
            assert!(is_declared(&path), "{path}");
            assert!(!is_declared(&format!("{path}x")), "{path}x");
        }
        assert!(is_declared("jwt.key_files.2026-10"), "an operator names it");
    }

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        for (written, meant) in [
            ("cache.tll", Some("cache.ttl")),
            ("upsteam", Some("upstream")),
            ("server.listten", Some("server.listen")),
            ("callers.quotas", Some("callers.quota")),
            ("jwt.alogrithm", Some("jwt.algorithm")),
            ("limits.anonymous.burts", Some("limits.anonymous.burst")),
            ("cluter", Some("cluster")),
            ("server.workers", None),
        ] {
            assert_eq!(nearest(written).as_deref(), meant, "{written}");
        }
    }

    #[test]
    fn other_words_are_answered_with_the_keys_of_the_section() {
        for (written, message) in [
            ("admin.port", "is not a key. The keys of admin are listen, token_file, hosts"),
            (
                "callers[3].role",
                "is not a key. The keys of callers are name, key_sha256, quota, files",
            ),
            (
                "limits.ipv6.net",
                "is not a key. The keys of limits.ipv6 are prefix, wide_factor, wide_prefix",
            ),
            (
                "surprise",
                "is not a section. The sections are server, admin, upstream, cache, limits, \
                 callers, jwt, cors, webhooks, cluster, telemetry",
            ),
        ] {
            assert_eq!(unknown(written), message);
        }
        assert!(unknown("server.workers").ends_with("shutdown_grace, tls"));
    }

    #[test]
    fn a_slip_is_answered_with_the_name_that_was_meant_and_with_all_names() {
        for (written, near, others) in [
            (
                "cache.ttll",
                "key: did you mean cache.ttl?",
                "The keys of cache are max_bytes, ttl, ",
            ),
            (
                "limits.ipv6.prefixx",
                "key: did you mean limits.ipv6.prefix?",
                "The keys of limits.ipv6 are prefix, wide_factor, wide_prefix",
            ),
            ("upsteam", "section: did you mean upstream?", "The sections are server, admin, "),
        ] {
            let message = unknown(written);
            assert!(message.starts_with(&format!("is not a {near} {others}")), "{message}");
        }
    }
}
