//! Plain requests: what is taken for one ends where it says, has no body, and means what the whole
//! way would understand.
#![no_main]

use http::{Method, Uri};
use ikgate::message::Plain;
use ikgate::route::{self, Operations, Route, Wanted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|received: &[u8]| {
    let Some((plain, end)) = Plain::parse(received) else { return };
    assert!(Plain::parse(&received[..end - 1]).is_none(), "it was whole before its end");
    let (alone, same_end) = Plain::parse(&received[..end]).expect("what follows says nothing");
    assert_eq!((alone.path, alone.last, same_end), (plain.path, plain.last, end));
    assert_eq!(alone.fields, plain.fields);
    let text = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
    assert!(text.trim_start().starts_with("get "));
    for line in text.lines() {
        let name = line.split(':').next().unwrap_or_default();
        let framing = ["content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"];
        assert!(!framing.contains(&name), "{line}");
    }
    let operations = Operations::default();
    if let Some(file) = route::list_of(&operations, plain.path) {
        let uri: Uri = plain.path.parse().expect("an id in a path");
        let found = route::find(&operations, &Method::GET, &uri);
        assert_eq!(found, Ok(Route::Read(file, Wanted::List)));
    }
});
