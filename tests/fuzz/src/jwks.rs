//! Fuzz target of JSON Web Key Sets: no panic, and no key beyond what was allowed.
#![no_main]

use std::collections::HashSet;

use ikgate::caller::{
    KEYS_MAX, KeyProvider, KeySet, KeySetChange, KeySetUrl, ProviderKeys, TokenAlgorithm,
};
use libfuzzer_sys::fuzz_target;

const ALGORITHMS: [TokenAlgorithm; 2] = [TokenAlgorithm::Rs256, TokenAlgorithm::Es256];

fuzz_target!(|data: &[u8]| {
    let Ok(parsed) = KeySet::parse(data, &ALGORITHMS) else { return };
    let keys = parsed.set.keys();
    assert!(keys.len() + parsed.skipped.len() <= KEYS_MAX);
    let mut names = HashSet::new();
    for own in keys {
        assert!(ALGORITHMS.contains(&own.key.algorithm()) && !own.kid.is_empty());
        assert!(names.insert((own.kid.clone(), own.key.algorithm().as_str())), "twice");
    }
    // The same set again withdraws nothing.
    let url = KeySetUrl::parse("http://127.0.0.1/").unwrap();
    let provider = ProviderKeys::new(KeyProvider { url, algorithms: ALGORITHMS.to_vec() });
    assert_eq!(provider.replace(&parsed.set), KeySetChange::Changed);
    assert_eq!(provider.replace(&parsed.set), KeySetChange::Unchanged);
    assert_eq!(KeySet::parse(data, &[]).unwrap().set.keys(), []);
});
