//! Tests of the shipped configuration files: each can be used unchanged and matches its docs.

use std::collections::BTreeSet;
use std::path::Path;

use ikgate::config::{self, Settings};

#[test]
fn every_shipped_configuration_is_right() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut checked = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let file = entry.unwrap().path();
        if file.extension() != Some("toml".as_ref()) {
            continue;
        }
        let key = (config::PRIVATE_KEY_VARIABLE.to_owned(), "private_a=".to_owned());
        let loaded = config::load(&file, [key]);
        assert!(loaded.is_ok(), "{}: {}", file.display(), loaded.err().unwrap());
        checked += 1;
    }
    assert_eq!(checked, 3);
}

/// The example that names every key is also the documentation of the defaults.
#[test]
fn the_full_example_is_the_defaults() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let key = || [(config::PRIVATE_KEY_VARIABLE.to_owned(), "private_a=".to_owned())];
    let full = config::load(&directory.join("ikgate.toml"), key()).unwrap();
    let defaults = config::from_text("", &directory, key()).unwrap();
    // The example writes the anonymous limit that the minimal file leaves out.
    let defaults = Settings { anonymous_is_written: true, ..defaults };
    assert_eq!(format!("{full:#?}"), format!("{defaults:#?}"));
}

/// `/api/config` shows defaults of sections that are off when absent; they equal the real defaults.
#[test]
fn the_defaults_that_are_shown_of_optional_sections_are_the_defaults() {
    let directory = crate::support::scratch();
    std::fs::write(directory.path().join("webhook.secret"), "whsec_a").unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().public_key_pem();
    std::fs::write(directory.path().join("jwt.pub"), key).unwrap();
    let digest = "a".repeat(64);
    let written = format!(
        "[cluster]\nredis_url = \"redis://127.0.0.1:1\"\n\
         [cors]\nallowed_origins = [\"https://a.example\"]\n\
         [webhooks]\nsecret_file = \"webhook.secret\"\n\
         [jwt]\nkey_file = \"jwt.pub\"\nissuer = \"https://a.example\"\n\
         [[callers]]\nname = \"a\"\nkey_sha256 = \"{digest}\""
    );
    let load = |text: &str| {
        let key = (config::PRIVATE_KEY_VARIABLE.to_owned(), "private_a=".to_owned());
        config::from_text(text, directory.path(), [key]).unwrap()
    };
    let settings = load(&written);
    let mut shown = settings.effective.clone();
    for section in ["cluster", "cors", "jwt", "webhooks"] {
        assert!(shown[section].as_table().unwrap().len() > 1, "{section}: no defaults are shown");
    }
    assert!(shown["callers"][0].get("quota").is_some());
    // It stands for the environment variable, and is no key of a file.
    shown["upstream"].as_table_mut().unwrap().remove("private_key");
    let settings = Settings { anonymous_is_written: true, ..settings };
    assert_eq!(format!("{:#?}", load(&shown.to_string())), format!("{settings:#?}"));
}

/// Row of a table of keys in `config/README.md`.
struct KeyRow {
    key: String,
    default: Option<String>,
    change: String,
}

impl KeyRow {
    /// Reads a row like ``| `cache.ttl` | `"60s"` | duration | live | ... |``.
    fn parse(line: &str) -> Self {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let code = |cell: &str| Some(cell.strip_prefix('`')?.strip_suffix('`')?.to_owned());
        let [key, default, _type, change, _meaning] = cells[..] else { panic!("{line}") };
        Self { key: code(key).unwrap(), default: code(default), change: change.to_owned() }
    }
}

/// Rows of all tables of keys.
fn documented_keys() -> Vec<KeyRow> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/README.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, keys) = page.split_once("\n## Keys\n").unwrap();
    keys.lines().filter(|line| line.starts_with("| `")).map(KeyRow::parse).collect()
}

#[test]
fn the_page_names_every_key_with_its_default() {
    let rows = documented_keys();
    let named: BTreeSet<_> = rows.iter().map(|row| row.key.replace("[]", "")).collect();
    assert_eq!(named, config::keys());

    let directory = crate::support::scratch();
    std::fs::write(directory.path().join("webhook.secret"), "whsec_a").unwrap();
    let public = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().public_key_pem();
    std::fs::write(directory.path().join("jwt.pub"), public).unwrap();
    let digest = "a".repeat(64);
    let needed = [
        ("cluster", "redis_url = \"redis://127.0.0.1:1\"".to_owned()),
        ("cors", "allowed_origins = [\"https://a.example\"]".to_owned()),
        ("webhooks", "secret_file = \"webhook.secret\"".to_owned()),
        ("jwt", "key_file = \"jwt.pub\"\nissuer = \"https://a.example\"".to_owned()),
        ("callers[]", format!("name = \"a\"\nkey_sha256 = \"{digest}\"")),
    ];
    let sections: BTreeSet<_> =
        rows.iter().map(|row| row.key.rsplit_once('.').unwrap().0).collect();
    let text = |with_defaults: bool| {
        let mut lines = Vec::new();
        for section in sections.iter().filter(|section| **section != "server.tls") {
            let list = section.strip_suffix("[]").map(|name| format!("[[{name}]]"));
            lines.push(list.unwrap_or_else(|| format!("[{section}]")));
            let needed = needed.iter().filter(|(of, _)| of == section);
            lines.extend(needed.map(|(_, needed)| needed.clone()));
            for row in rows.iter().filter(|_| with_defaults) {
                let (of, name) = row.key.rsplit_once('.').unwrap();
                let default = row.default.as_ref().filter(|_| of == *section);
                lines.extend(default.map(|default| format!("{name} = {default}")));
            }
        }
        lines.join("\n")
    };
    let load = |text: &str| {
        let key = (config::PRIVATE_KEY_VARIABLE.to_owned(), "private_a=".to_owned());
        let settings = config::from_text(text, directory.path(), [key]).unwrap();
        // Compares the values in force, and not whether the file wrote them.
        Settings { anonymous_is_written: true, ..settings }
    };
    assert_eq!(format!("{:#?}", load(&text(true))), format!("{:#?}", load(&text(false))));
}

#[test]
fn the_page_says_which_keys_change_live() {
    for row in documented_keys() {
        let is_live = config::is_live(&row.key.replace("[]", ""));
        assert_eq!(row.change, if is_live { "live" } else { "restart" }, "{}", row.key);
    }
}

/// The README links to the other pages, and longer texts belong there.
#[test]
fn the_readme_has_at_most_250_lines() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let lines = std::fs::read_to_string(readme).unwrap().lines().count();
    assert!(lines <= 250, "README.md has {lines} lines");
}
