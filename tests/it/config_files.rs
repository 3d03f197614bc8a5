//! Every configuration that is shipped can be used as it is.

use std::path::Path;

use ikgate::config;

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
    assert_eq!(format!("{full:#?}"), format!("{defaults:#?}"));
}
