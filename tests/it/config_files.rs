//! Tests of the shipped configuration files: each can be used unchanged and matches its docs.

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

/// The README links to the other pages, and longer texts belong there.
#[test]
fn the_readme_has_at_most_250_lines() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let lines = std::fs::read_to_string(readme).unwrap().lines().count();
    assert!(lines <= 250, "README.md has {lines} lines");
}
