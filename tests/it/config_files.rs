//! Every configuration that is shipped can be used as it is.

use std::path::Path;

use ikgate::config::{self, Settings};

#[test]
fn every_shipped_configuration_is_right() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut checked = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let file = entry.unwrap().path();
        let key = (config::PRIVATE_KEY_VARIABLE.to_owned(), "private_a=".to_owned());
        let loaded = config::load(&file, [key]);
        assert!(loaded.is_ok(), "{}: {}", file.display(), loaded.err().unwrap());
        checked += 1;
    }
    assert_eq!(checked, 2);
}

/// The example that names every key is also the documentation of the defaults.
#[test]
fn the_full_example_is_the_defaults() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let key = || [(config::PRIVATE_KEY_VARIABLE.to_owned(), "private_a=".to_owned())];
    let full = config::load(&directory.join("ikgate.toml"), key()).unwrap();
    let defaults = config::from_text("", &directory, key()).unwrap();
    // It writes what the other leaves out.
    let defaults = Settings { anonymous_is_written: true, ..defaults };
    assert_eq!(format!("{full:#?}"), format!("{defaults:#?}"));
}

/// What `/api/config` shows of sections that are off when absent is what is done.
#[test]
fn the_defaults_that_are_shown_of_optional_sections_are_the_defaults() {
    let directory = crate::support::scratch();
    std::fs::write(directory.path().join("webhook.secret"), "whsec_a").unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().public_key_pem();
    std::fs::write(directory.path().join("jwt.pub"), key).unwrap();
    let digest = "a".repeat(64);
    let written = format!(
        "[cors]\nallowed_origins = [\"https://a.example\"]\n\
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
    for section in ["cors", "jwt", "webhooks"] {
        assert!(shown[section].as_table().unwrap().len() > 1, "{section}: no defaults are shown");
    }
    assert!(shown["callers"][0].get("quota").is_some());
    // It stands for the variable, and is no key of a file.
    shown["upstream"].as_table_mut().unwrap().remove("private_key");
    let settings = Settings { anonymous_is_written: true, ..settings };
    assert_eq!(format!("{:#?}", load(&shown.to_string())), format!("{settings:#?}"));
}
