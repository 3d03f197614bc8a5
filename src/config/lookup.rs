//! Lookups in the declaration, by paths like `cache.ttl`, `callers[3].name` or
//! `limits.ipv6.prefix`.

use toml::{Table, Value};

use super::declared::SECTIONS;
use super::spec::{KeySpec, Kind, SectionSpec};

/// Returns the path without the indexes of lists of tables.
pub(super) fn without_indexes(path: &str) -> String {
    path.split(['[', ']']).step_by(2).collect()
}

/// Returns the section at this path.
pub(super) fn section(path: &str) -> Option<&'static SectionSpec> {
    let path = without_indexes(path);
    SECTIONS.iter().find(|section| section.name == path)
}

/// Returns the key at this path, or the key whose inline table holds it.
pub(super) fn key(path: &str) -> Option<&'static KeySpec> {
    let path = without_indexes(path);
    let (section, rest) = split(&path)?;
    section.key(rest.split('.').next()?)
}

/// Returns whether a value may stand at this path: of a section, of a key, or of a member of its
/// inline table.
pub(super) fn is_declared(path: &str) -> bool {
    let Some(key) = key(path) else { return section(path).is_some() };
    let is_member = split(path).is_some_and(|(_, rest)| rest.contains('.'));
    !is_member || matches!(key.kind, Kind::PathsByKid) || default(path).is_some()
}

/// Returns the declared default at this path: of a key, or of a member of its inline table.
pub(super) fn default(path: &str) -> Option<Value> {
    let path = without_indexes(path);
    let (section, rest) = split(&path)?;
    let mut names = rest.split('.');
    let default = parsed(section.key(names.next()?)?.default.value()?);
    names.try_fold(default, |value, name| value.get(name).cloned())
}

/// Returns all defaults of a section.
pub(super) fn defaults(section: &SectionSpec) -> Table {
    let value = |key: &KeySpec| Some((key.name.to_owned(), parsed(key.default.value()?)));
    section.keys.iter().filter_map(value).collect()
}

/// Returns the names that are allowed at this path: sections, keys, or members of an inline table.
pub(super) fn names_in(path: &str) -> Vec<String> {
    let path = without_indexes(path);
    let inner = |section: &SectionSpec| {
        let below = if path.is_empty() {
            section.name
        } else {
            section.name.strip_prefix(path.as_str())?.strip_prefix('.')?
        };
        (!below.contains('.')).then(|| below.to_owned())
    };
    let members = default(&path).and_then(|value| value.as_table().cloned()).unwrap_or_default();
    let keys = section(&path).map_or(&[][..], |section| section.keys);
    let keys = keys.iter().map(|key| key.name.to_owned());
    keys.chain(SECTIONS.iter().filter_map(inner)).chain(members.keys().cloned()).collect()
}

/// Returns the section of a path, and the rest of the path.
fn split(path: &str) -> Option<(&'static SectionSpec, &str)> {
    let rest = |section: &'static SectionSpec| {
        Some((section, path.strip_prefix(section.name)?.strip_prefix('.')?))
    };
    SECTIONS.iter().filter_map(rest).min_by_key(|(_, rest)| rest.len())
}

fn parsed(text: &str) -> Value {
    text.parse().expect("a declared default is TOML")
}
