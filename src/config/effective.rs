//! Effective configuration, in the shape of the file: the operator's values laid over the defaults.
//!
//! It holds no secrets. They come from their own files, or from a variable that is no key of the
//! file, and a [`crate::secret::Secret`] prints only `Secret(..)`. The password in a URL is
//! left out.

use std::collections::HashSet;

use toml::{Table, Value};

use super::declared::SECTIONS;
use super::lookup;
use super::raw::Raw;
use super::spec::Presence;
use crate::cluster::RedisUrl;

pub(super) fn effective(raw: &Raw) -> Table {
    let mut effective = defaults(&raw.table);
    if let Some(Value::Table(jwt)) = effective.get_mut("jwt") {
        let by_provider = raw.table.get("jwt").is_some_and(|jwt| jwt.get("jwks_url").is_some());
        jwt.remove(if by_provider { "algorithm" } else { "algorithms" });
    }
    lay_over(&mut effective, &raw.table, "", &raw.from_environment);
    if let (Some(Value::Array(callers)), Some(section)) =
        (effective.get_mut("callers"), lookup::section("callers"))
    {
        for caller in callers.iter_mut().filter_map(Value::as_table_mut) {
            let written = std::mem::replace(caller, lookup::defaults(section));
            lay_over(caller, &written, "", &HashSet::new());
        }
    }
    if let (Some(key), Some(upstream)) = (&raw.private_key, effective.get_mut("upstream"))
        && let Some(upstream) = upstream.as_table_mut()
    {
        upstream.insert("private_key".to_owned(), Value::String(format!("{key:?}")));
    }
    if let Some(Value::Table(cluster)) = effective.get_mut("cluster")
        && let Some(Value::String(url)) = cluster.get_mut("redis_url")
    {
        *url = shown_url(url);
    }
    effective
}

/// Returns the URL without its password. A URL that cannot be parsed is not shown, since it may
/// hold one.
fn shown_url(text: &str) -> String {
    RedisUrl::parse(text).map_or_else(|_| "unreadable".to_owned(), |url| url.to_string())
}

/// Returns the defaults of all sections that apply to this configuration.
fn defaults(written: &Table) -> Table {
    let mut defaults = Table::new();
    for section in &SECTIONS {
        let applies = match section.presence {
            Presence::Always => true,
            Presence::Optional => has(written, section.name),
            // Each table of a list has defaults of its own.
            Presence::List => false,
        };
        if applies {
            insert(&mut defaults, section.name, lookup::defaults(section));
        }
    }
    defaults
}

fn has(table: &Table, path: &str) -> bool {
    match path.split_once('.') {
        None => table.contains_key(path),
        Some((first, rest)) => {
            table.get(first).and_then(Value::as_table).is_some_and(|inner| has(inner, rest))
        }
    }
}

/// Inserts a table at a path. The outer section is declared, and so inserted, before the inner one.
fn insert(into: &mut Table, path: &str, table: Table) {
    match path.split_once('.') {
        None => _ = into.insert(path.to_owned(), Value::Table(table)),
        Some((first, rest)) => {
            if let Some(Value::Table(outer)) = into.get_mut(first) {
                insert(outer, rest, table);
            }
        }
    }
}

fn lay_over(under: &mut Table, over: &Table, path: &str, from_environment: &HashSet<String>) {
    for (key, value) in over {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (under.get_mut(key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => {
                lay_over(under, over, &path, from_environment);
            }
            (_, Value::String(text)) if from_environment.contains(&path) => {
                under.insert(key.clone(), typed(text, &path));
            }
            (_, value) => _ = under.insert(key.clone(), value.clone()),
        }
    }
}

/// Returns a variable's text as the value of this path would be in the file.
fn typed(text: &str, path: &str) -> Value {
    let list = || {
        let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        Value::Array(texts.map(|text| Value::String(text.to_owned())).collect())
    };
    // The declared kind of a member of an inline table is that of its default.
    let default = lookup::default(path);
    let value = match (lookup::key(path).map(|key| key.kind), default) {
        (Some(kind), _) if kind.is_list() => Some(list()),
        (_, Some(Value::Boolean(_) | Value::Table(_))) => text.parse().ok().map(Value::Boolean),
        (_, Some(Value::Integer(_))) => text.parse().ok().map(Value::Integer),
        _ => None,
    };
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, environment: &[(&str, &str)]) -> serde_json::Value {
        let owned = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        serde_json::to_value(effective(&Raw::new(text, owned).unwrap())).unwrap()
    }

    #[test]
    fn what_is_written_stands_before_what_is_not() {
        let text = "[cache]\nttl = \"7s\"\n[webhooks]\nsecret_file = \"s\"\n\
                    [[callers]]\nname = \"a\"\n[[callers]]\nname = \"b\"\nquota.burst = 7";
        let shown = shown(
            text,
            &[
                ("IKGATE_SERVER__LISTEN", "127.0.0.1:1, 127.0.0.1:2"),
                ("IKGATE_SERVER__MAX_CONNECTIONS", "7"),
                ("IKGATE_LIMITS__ANONYMOUS", "false"),
                ("IKGATE_CACHE__SETTLE", "9s"),
                ("IKGATE_CORS__ALLOWED_ORIGINS", "https://a.example, https://b.example"),
                ("IMAGEKIT_PRIVATE_KEY", "private_canary="),
            ],
        );
        assert_eq!(shown["cache"]["ttl"], "7s");
        assert_eq!(shown["cache"]["settle"], "9s");
        assert_eq!(shown["cache"]["max_bytes"], "256MiB");
        assert_eq!(shown["server"]["listen"][1], "127.0.0.1:2");
        assert_eq!(shown["server"]["max_connections"], 7);
        assert_eq!(shown["limits"]["anonymous"], false);
        assert_eq!(shown["webhooks"]["tolerance"], "5m");
        assert_eq!(shown["callers"][0]["quota"]["burst"], 100);
        assert_eq!(shown["callers"][1]["quota"]["burst"], 7);
        assert_eq!(shown["callers"][1]["quota"]["per_second"], 50);
        assert_eq!(shown["cors"]["allowed_origins"][1], "https://b.example");
        assert_eq!(shown["cluster"], serde_json::Value::Null);
        assert_eq!(shown["upstream"]["private_key"], "Secret(..)");
        assert!(!shown.to_string().contains("canary"));
    }

    #[test]
    fn the_algorithms_of_a_provider_are_shown_in_place_of_the_algorithm() {
        let shown = shown("[jwt]\njwks_url = \"https://a.example/keys\"", &[]);
        assert_eq!(shown["jwt"]["algorithm"], serde_json::Value::Null);
        assert_eq!(shown["jwt"]["algorithms"], serde_json::json!(["RS256", "ES256"]));
        assert_eq!(shown["jwt"]["audience"], "ikgate");
    }
}
