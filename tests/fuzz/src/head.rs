//! Fuzz target of the request head check: an accepted head has exactly one interpretation.
#![no_main]

use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Version};
use ikgate::message::RequestHead;
use ikgate::message::head::{self, BodyUse};
use libfuzzer_sys::fuzz_target;

const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("x-forwarded-for");
const NAMES: [HeaderName; 4] =
    [HOST, TRANSFER_ENCODING, CONTENT_LENGTH, HeaderName::from_static("x-a")];

fuzz_target!(|input: (u8, String, Vec<(u8, Vec<u8>)>)| {
    let (version, target, lines) = input;
    let version = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2][usize::from(version) % 3];
    let Ok(request) = Request::builder().version(version).uri(target).body(()) else { return };
    let (mut head, ()) = request.into_parts();
    for (name, value) in lines.iter().take(100) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            head.headers.append(NAMES[usize::from(*name) % NAMES.len()].clone(), value);
        }
    }
    let view = RequestHead::of(&head, &CLIENT_ADDRESS);
    let webhook = head::check(&view, BodyUse::Webhook);
    if head::check(&view, BodyUse::Idle).is_err() {
        return;
    }
    assert_eq!(webhook, Ok(()), "what may have no body may have one");
    assert!(!head.headers.contains_key(TRANSFER_ENCODING));
    let hosts: Vec<_> = head.headers.get_all(HOST).iter().collect();
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    match (version, &hosts[..], authority) {
        (Version::HTTP_10, [] | [_], _) | (Version::HTTP_11, [_], _) => {}
        (Version::HTTP_2, [], Some(_)) | (Version::HTTP_2, [_], None) => {}
        (Version::HTTP_2, [host], Some(authority)) => {
            assert!(host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()));
        }
        other => panic!("let through: {other:?}"),
    }
    for name in hosts.iter().map(|host| host.as_bytes()).chain(authority.map(str::as_bytes)) {
        assert!(!name.is_empty() && !name.contains(&b'@') && !name.contains(&b' '));
    }
});
