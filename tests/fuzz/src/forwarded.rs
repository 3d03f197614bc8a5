//! Fuzz target of the forwarded fields: only addresses from trusted proxies are used.
#![no_main]

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use ikgate::caller::Proxies;
use ikgate::message::RequestFields;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u128, bool, Vec<Vec<u8>>)| {
    let (bits, trusted, lines) = input;
    let proxies = Proxies {
        trusted: ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().unwrap()).to_vec(),
        ..Proxies::default()
    };
    let peer = if trusted {
        IpAddr::from([10, 0, 0, 1])
    } else {
        IpAddr::from(bits.to_be_bytes()).to_canonical()
    };
    let mut fields = HeaderMap::new();
    for line in lines.iter().take(100) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            fields.append(proxies.field.clone(), value);
        }
    }
    let client_of =
        |map: &HeaderMap| proxies.origin(peer, &RequestFields::of(map, &proxies.field)).client;
    let client = client_of(&fields);
    if !proxies.trust(peer) {
        assert_eq!(client, peer);
    }
    // Entries that a client sends stand to the left of the entries of trusted proxies.
    let mut more = HeaderMap::new();
    more.append(proxies.field.clone(), HeaderValue::from_static("192.0.2.1, nonsense"));
    for value in fields.get_all(&proxies.field) {
        more.append(proxies.field.clone(), value.clone());
    }
    if !proxies.trust(client) {
        assert_eq!(client_of(&more), client);
    }
});
