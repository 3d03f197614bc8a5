//! Fuzz target of the configuration parser: any text is accepted or refused, and the effective
//! configuration is valid again.
#![no_main]

use std::path::Path;

use ikgate::config::{self, PRIVATE_KEY_VARIABLE};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let key = || [(PRIVATE_KEY_VARIABLE.to_owned(), "private_a=".to_owned())];
    let nowhere = Path::new("nowhere");
    let Ok(settings) = config::from_text(text, nowhere, key()) else { return };
    let mut effective = settings.effective.clone();
    let upstream = effective.get_mut("upstream").and_then(|upstream| upstream.as_table_mut());
    upstream.expect("a section with defaults").remove("private_key");
    let again = config::from_text(&effective.to_string(), nowhere, key());
    let again = again.unwrap_or_else(|problems| panic!("{problems:?}: {effective}"));
    let shown = |settings: &config::Settings| {
        format!("{:?} {:?} {:?}", settings.access.limits, settings.cache, settings.public)
    };
    assert_eq!(shown(&again), shown(&settings));
});
