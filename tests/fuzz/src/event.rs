//! Fuzz target of the webhook event parser: any body is parsed or refused, and each file that it
//! names has a valid id.
#![no_main]

use ikgate::invalidation::WebhookEvent;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(WebhookEvent::Changed { files, .. }) = WebhookEvent::parse(body) {
        assert!((1..=3).contains(&files.len()));
        for (place, file) in files.iter().enumerate() {
            assert!(!files[..place].contains(file), "each once");
        }
    }
});
