//! Architecture test: the allowed dependencies between the top-level modules of `src` ("rooms").
//!
//! Dependencies point one way, and a new one must be added to the table here. Within a room, no two
//! files use each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Rooms and the rooms that each uses. A room uses only rooms above it.
const ARROWS: [(&str, &[&str]); 26] = [
    ("clock", &[]),
    ("error_chain", &[]),
    ("file_id", &[]),
    ("secret", &[]),
    ("message", &[]),
    ("breaker", &[]),
    ("route", &["file_id", "message"]),
    ("caller", &["file_id", "message", "secret"]),
    ("jwks", &["caller", "clock", "error_chain"]),
    ("limit", &["caller", "clock"]),
    ("cache", &["file_id", "message"]),
    ("upstream", &["breaker", "clock", "file_id", "limit", "message", "secret"]),
    ("invalidation", &["cache", "clock", "error_chain", "file_id", "secret"]),
    ("cluster", &["breaker", "cache", "clock", "file_id", "invalidation", "limit", "secret"]),
    ("response", &["cache", "limit", "message", "route"]),
    ("error", &["caller", "invalidation", "limit", "message", "response", "route", "upstream"]),
    ("exchange", &["cache", "clock", "file_id", "message", "response", "route"]),
    (
        "gateway",
        &[
            "cache",
            "caller",
            "clock",
            "cluster",
            "error",
            "error_chain",
            "exchange",
            "file_id",
            "invalidation",
            "limit",
            "message",
            "response",
            "route",
            "upstream",
        ],
    ),
    ("server", &["error_chain", "limit"]),
    (
        "telemetry",
        &[
            "cache",
            "caller",
            "clock",
            "cluster",
            "exchange",
            "file_id",
            "invalidation",
            "jwks",
            "limit",
            "message",
            "server",
            "upstream",
        ],
    ),
    (
        "admin",
        &[
            "cache",
            "caller",
            "clock",
            "cluster",
            "error",
            "error_chain",
            "file_id",
            "gateway",
            "invalidation",
            "message",
            "secret",
            "server",
            "telemetry",
            "upstream",
        ],
    ),
    (
        "config",
        &[
            "admin",
            "cache",
            "caller",
            "clock",
            "cluster",
            "error_chain",
            "exchange",
            "file_id",
            "gateway",
            "invalidation",
            "limit",
            "response",
            "route",
            "secret",
            "server",
            "telemetry",
            "upstream",
        ],
    ),
    ("sandbox", &["clock", "error_chain", "file_id", "invalidation", "secret", "server"]),
    ("demo", &["server"]),
    (
        "app",
        &[
            "admin",
            "cache",
            "clock",
            "cluster",
            "config",
            "error_chain",
            "exchange",
            "gateway",
            "invalidation",
            "jwks",
            "limit",
            "message",
            "route",
            "secret",
            "server",
            "telemetry",
            "upstream",
        ],
    ),
    (
        "cli",
        &[
            "admin",
            "app",
            "caller",
            "clock",
            "config",
            "demo",
            "error_chain",
            "file_id",
            "invalidation",
            "sandbox",
            "secret",
            "server",
            "telemetry",
            "upstream",
        ],
    ),
];

/// Returns the rooms that the `crate::` paths of a source file name.
fn rooms_used_by(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    code.split("crate::").skip(1).map(name).filter(|name: &String| !name.is_empty()).collect()
}

fn source_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { source_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

#[test]
fn every_arrow_is_in_the_table_and_points_up() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in source_files(&source) {
        let path = file.strip_prefix(&source).unwrap();
        let room = path.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if room == "main" || room == "lib" {
            continue;
        }
        let mut rooms = rooms_used_by(&std::fs::read_to_string(&file).unwrap());
        rooms.remove(&room);
        used.entry(room).or_default().extend(rooms);
    }
    let table: BTreeMap<_, BTreeSet<_>> = ARROWS
        .iter()
        .map(|(room, rooms)| ((*room).to_owned(), rooms.iter().map(|r| (*r).to_owned()).collect()))
        .collect();
    for (room, rooms) in &used {
        assert_eq!(Some(rooms), table.get(room), "what `{room}` uses, and what the table says");
    }
    assert_eq!(used.len(), table.len(), "a room in the table is not in the tree");

    for (place, (room, rooms)) in ARROWS.iter().enumerate() {
        let above: Vec<_> = ARROWS.iter().take(place).map(|(room, _)| *room).collect();
        for target in *rooms {
            assert!(above.contains(target), "`{room}` uses `{target}`, which is not above it");
        }
    }
}

#[test]
fn the_map_names_every_room() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let map = std::fs::read_to_string(source).unwrap();
    let places: Vec<_> = ARROWS
        .iter()
        .map(|(room, _)| {
            map.find(&format!("//! | [`{room}`] |")).unwrap_or_else(|| panic!("{room}"))
        })
        .collect();
    assert!(places.is_sorted(), "the map lists the rooms in another order");
}

/// Rooms with files that still use each other. A room without such files must leave the list.
const CIRCLES_LEFT: [&str; 0] = [];

/// Path of a module in `src`, as a list of names.
type Module = Vec<String>;

/// Splits `a, b::{c, d}` at its outer commas.
fn outer_commas(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

/// Returns the paths that one `use` names, with its groups expanded.
fn paths_of(path: &str) -> Vec<Module> {
    let path = path.trim();
    let Some((before, group)) = path.split_once('{') else {
        let name = |part: &str| -> String {
            part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        return vec![path.split("::").map(name).filter(|name| !name.is_empty()).collect()];
    };
    let group = group.rsplit_once('}').map_or(group, |(group, _)| group);
    let before = paths_of(before).remove(0);
    let joined = |after: Module| before.iter().cloned().chain(after).collect();
    outer_commas(group).into_iter().flat_map(paths_of).map(joined).collect()
}

/// Returns the path at the beginning of `rest`, to its end or the end of its group.
fn path_at(rest: &str) -> &str {
    let (mut depth, mut end) = (0, rest.len());
    for (at, c) in rest.char_indices() {
        match c {
            '{' if at > 0 && rest[..at].ends_with("::") || depth > 0 => depth += 1,
            '}' if depth > 1 => depth -= 1,
            '}' if depth == 1 => return &rest[..=at],
            _ if depth > 0 || c.is_alphanumeric() || matches!(c, '_' | ':') => {}
            _ => {
                end = at;
                break;
            }
        }
    }
    &rest[..end]
}

/// Returns the modules of the same room that a source file names by `super::`, `self::` or as a
/// child module.
fn modules_used_by(source: &str, own: &Module, all: &BTreeMap<Module, String>) -> BTreeSet<Module> {
    let tests = ["#[cfg(test)]\nmod tests", "#[cfg(test)]\npub(crate) mod tests"];
    let end = tests.iter().filter_map(|begin| source.find(begin)).min();
    let code = end.map_or(source, |end| &source[..end]);
    let code: Vec<_> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut named = Vec::new();
    for (at, _) in code.match_indices("super::").filter(|(at, _)| !code[..*at].ends_with("super::"))
    {
        let path = path_at(&code[at..]);
        let ups = path.matches("super::").count();
        let base = own.iter().take(own.len().saturating_sub(ups));
        for rest in paths_of(path.trim_start_matches("super::")) {
            named.push(base.clone().cloned().chain(rest).collect::<Module>());
        }
    }
    for child in all.keys().filter(|module| module.len() == own.len() + 1) {
        let name = child.last().unwrap();
        let named_here = code.match_indices(&format!("{name}::")).any(|(at, _)| {
            !code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':'))
        });
        if child.starts_with(own) && named_here {
            named.push(child.clone());
        }
    }
    let longest = |path: Module| {
        (1..=path.len()).rev().map(|n| path[..n].to_vec()).find(|path| all.contains_key(path))
    };
    let same_room = |module: &Module| module[0] == own[0] && module != own;
    named.into_iter().filter_map(longest).filter(same_room).collect()
}

#[test]
fn files_of_a_room_do_not_use_each_other_in_a_circle() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all: BTreeMap<Module, String> = BTreeMap::new();
    for file in source_files(&source) {
        let path = file.strip_prefix(&source).unwrap().with_extension("");
        let mut module: Module = path.iter().map(|n| n.to_str().unwrap().to_owned()).collect();
        if module.last().is_some_and(|name| name == "mod") {
            module.pop();
        }
        if !module.iter().any(|name| name == "tests") {
            all.insert(module, std::fs::read_to_string(&file).unwrap());
        }
    }
    let used: BTreeMap<_, _> =
        all.iter().map(|(module, text)| (module, modules_used_by(text, module, &all))).collect();
    assert!(used.values().map(BTreeSet::len).sum::<usize>() > 200, "uses are not recognised");

    let mut circles = BTreeMap::new();
    for module in all.keys() {
        let (mut reached, mut next) = (BTreeSet::new(), vec![module]);
        while let Some(from) = next.pop() {
            next.extend(used[from].iter().filter(|to| reached.insert(*to)));
        }
        if reached.contains(module) {
            circles.entry(module[0].clone()).or_insert_with(Vec::new).push(module.join("::"));
        }
    }
    let rooms: Vec<_> = circles.keys().map(String::as_str).collect();
    assert_eq!(rooms, CIRCLES_LEFT, "{circles:#?}");
}
