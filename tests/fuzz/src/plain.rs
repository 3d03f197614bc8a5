//! Fuzz target of the fast path's request parser: an accepted request ends at the stated length,
//! has no body, and means the same to hyper.
#![no_main]

use http::Uri;
use http::header::HeaderName;
use ikgate::message::{FieldName, PlainRequest};
use libfuzzer_sys::fuzz_target;

const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("x-forwarded-for");

fuzz_target!(|received: &[u8]| {
    let Some(plain) = PlainRequest::parse(received, &CLIENT_ADDRESS) else { return };
    let end = plain.length;
    assert!(
        PlainRequest::parse(&received[..end - 1], &CLIENT_ADDRESS).is_none(),
        "it was whole before its end"
    );
    let alone =
        PlainRequest::parse(&received[..end], &CLIENT_ADDRESS).expect("what follows says nothing");
    assert_eq!((alone.close, alone.length), (plain.close, end));
    assert_eq!((alone.head.path, alone.head.query), (plain.head.path, plain.head.query));
    assert!(alone.head.fields == plain.head.fields);
    let text = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
    assert!(text.trim_start().starts_with("get "));
    for line in text.lines() {
        let name = line.split(':').next().unwrap_or_default();
        let framing = ["content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"];
        assert!(!framing.contains(&name), "{line}");
    }
    assert!(!plain.head.fields.has(FieldName::TransferEncoding));
    // hyper's parser of request targets finds the same path and query.
    let query = plain.head.query.map(|query| format!("?{query}")).unwrap_or_default();
    if let Ok(uri) = format!("{}{query}", plain.head.path).parse::<Uri>() {
        assert_eq!((uri.path(), uri.query()), (plain.head.path, plain.head.query));
    }
});
