//! Arrows between rooms point one way. A new arrow is a decision, and this table is where it is
//! made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each room, and the rooms that it uses. A room uses only rooms above it.
const ARROWS: [(&str, &[&str]); 23] = [
    ("clock", &[]),
    ("file_id", &[]),
    ("secret", &[]),
    ("message", &[]),
    ("route", &["file_id", "message"]),
    ("caller", &["file_id", "secret"]),
    ("limit", &["caller", "clock"]),
    ("cache", &["file_id", "message"]),
    ("upstream", &["clock", "file_id", "limit", "message", "secret"]),
    ("invalidation", &["cache", "clock", "file_id", "secret", "upstream"]),
    ("cluster", &["cache", "clock", "file_id", "invalidation", "limit", "secret", "upstream"]),
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
    ("server", &["message"]),
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
            "clock",
            "cluster",
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
            "cluster",
            "error",
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
    ("sandbox", &["clock", "error", "file_id", "invalidation", "secret", "server"]),
    ("demo", &["server"]),
    (
        "app",
        &[
            "admin",
            "cache",
            "clock",
            "cluster",
            "config",
            "exchange",
            "gateway",
            "invalidation",
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
            "app",
            "caller",
            "clock",
            "config",
            "demo",
            "error",
            "file_id",
            "invalidation",
            "sandbox",
            "secret",
            "server",
            "telemetry",
        ],
    ),
];

/// The rooms that a source file's `crate::` paths name.
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
