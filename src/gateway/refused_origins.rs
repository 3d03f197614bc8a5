//! Requests of pages whose origin is not allowed: counts each, and logs some.
//!
//! The browser hides the response from such a page, so its developer sees only a failed `fetch`. The
//! log line is what tells the operator which origin to list.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::limit::LineLimit;
use crate::message::{FieldName, RequestFields};
use crate::response::AllowedOrigin;

/// Longest part of an origin that is logged, in bytes. A host name has up to 253.
const ORIGIN_MAX: usize = 280;

/// Requests of refused origins. A hit of a refused page passes here, so nothing is locked, and the
/// metric is read at a scrape.
#[derive(Debug, Default)]
pub struct RefusedOrigins {
    /// Requests since the start.
    total: AtomicU64,
    /// Any page of the web can cause lines.
    lines: LineLimit,
}

impl RefusedOrigins {
    /// Returns the number of requests since the start.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Counts one request with these fields. Logs its origin, at most once in a minute.
    pub(super) fn note(&self, fields: &RequestFields<'_>, now: Duration) {
        let total = self.total.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(refused) = self.lines.due(total, now) {
            log(fields.all(FieldName::Origin).next().unwrap_or_default(), refused);
        }
    }
}

/// Writes the line. Bytes that are not visible ASCII are escaped.
fn log(origin: &[u8], refused: u64) {
    let shown = origin.get(..ORIGIN_MAX).unwrap_or(origin).escape_ascii();
    let is_origin =
        std::str::from_utf8(origin).is_ok_and(|text| AllowedOrigin::parse(text).is_ok());
    let remedy = if is_origin {
        "if its pages may read responses, list it in cors.allowed_origins"
    } else {
        "cors.allowed_origins can list only origins like \"https://app.example.com\""
    };
    tracing::warn!(
        refused,
        "origin not allowed: \"{shown}\": {remedy}; {refused} refused since the last line"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

    use super::*;
    use crate::message::request::tests::{fields, map};

    /// Test layer that records the texts of the lines.
    #[derive(Clone, Default)]
    struct Recorded(Arc<Mutex<Vec<String>>>);

    impl<S: tracing::Subscriber> Layer<S> for Recorded {
        fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
            event.record(&mut self.clone());
        }
    }

    impl Visit for Recorded {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            if field.name() == "message" {
                self.0.lock().unwrap().push(format!("{value:?}"));
            }
        }
    }

    /// Notes a request of each origin at its time, in seconds. Returns the lines and the count.
    fn noted(origins: &[(u64, &[u8])]) -> (Vec<String>, u64) {
        let recorded = Recorded::default();
        let subscriber = tracing_subscriber::registry().with(recorded.clone());
        let refused = RefusedOrigins::default();
        tracing::subscriber::with_default(subscriber, || {
            for (second, origin) in origins {
                let map = map(&[("origin", origin)]);
                refused.note(&fields(&map), Duration::from_secs(*second));
            }
        });
        let lines = recorded.0.lock().unwrap().clone();
        (lines, refused.total())
    }

    #[test]
    fn each_is_counted_and_one_in_a_minute_is_logged_with_the_number_since() {
        let (a, b) = (&b"https://a.example"[..], &b"https://b.example"[..]);
        let (lines, count) = noted(&[(0, a), (1, b), (59, b), (60, b), (61, a), (119, a)]);
        assert_eq!(count, 6);
        let line = |origin, refused| {
            format!(
                "origin not allowed: \"{origin}\": if its pages may read responses, list it in \
                 cors.allowed_origins; {refused} refused since the last line"
            )
        };
        assert_eq!(lines, [line("https://a.example", 1), line("https://b.example", 3)]);
    }

    #[test]
    fn what_is_no_origin_is_shown_short_and_clean_and_not_advised() {
        let long = [b"https://".as_slice(), &[b'a'; 5_000]].concat();
        for (origin, shown) in [
            (&b"null"[..], "\"null\": cors.allowed_origins can list only"),
            (b"a\t\xff\"", "\"a\\t\\xff\\\"\": cors.allowed_origins can list only"),
            (&long, "aaa\": "),
        ] {
            let (lines, _) = noted(&[(0, origin)]);
            assert!(lines[0].contains(shown), "{lines:?}");
            assert!(lines[0].len() < ORIGIN_MAX + 200, "{}", lines[0].len());
        }
    }
}
