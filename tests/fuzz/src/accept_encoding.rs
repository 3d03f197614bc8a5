//! Fuzz target of `Accept-Encoding` negotiation: the chosen coding exists, and a refused coding is
//! not chosen while another one is left.
#![no_main]

use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use ikgate::message::{AcceptedCodings, Coding, RequestFields};
use libfuzzer_sys::fuzz_target;

const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("x-forwarded-for");

fuzz_target!(|lines: Vec<Vec<u8>>| {
    let mut fields = HeaderMap::new();
    for line in lines.iter().take(100) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            fields.append(ACCEPT_ENCODING, value);
        }
    }
    let accepted = AcceptedCodings::of(&RequestFields::of(&fields, &CLIENT_ADDRESS));
    assert_eq!(accepted.best(|_| false), Coding::Identity);
    let best = accepted.best(|_| true);
    for there in Coding::ALL {
        let chosen = accepted.best(|coding| coding == there || coding == Coding::Identity);
        assert!(chosen == there || chosen == Coding::Identity);
        if there == best {
            assert_eq!(chosen, best);
        }
    }
});
