//! Recorder of exchange events, as the gateway of a test emits them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Time limit for any wait, long enough for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// Report of one exchange, as the log and the metrics receive it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ExchangeReport {
    pub(crate) ending: u64,
    /// Status of the response; 0 if the client left before there was one.
    pub(crate) status: u64,
    /// Bytes of the body that the connection took.
    pub(crate) bytes: u64,
    pub(crate) duration: Duration,
    pub(crate) route: u64,
    pub(crate) caller: u64,
    pub(crate) cache: u64,
    pub(crate) coding: u64,
    pub(crate) client: u128,
    /// Error code, file, request id and trace.
    pub(crate) texts: Vec<(&'static str, String)>,
}

/// Recorded exchanges, in the order in which they ended.
#[derive(Clone, Default)]
pub(crate) struct Exchanges(Arc<Mutex<Vec<ExchangeReport>>>);

impl Exchanges {
    /// Waits until `count` exchanges have ended since the last call, and returns them.
    pub(crate) async fn ended(&self, count: usize) -> Vec<ExchangeReport> {
        let ended = async {
            while self.0.lock().unwrap().len() < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("not so many have ended");
        let seen = std::mem::take(&mut *self.0.lock().unwrap());
        assert_eq!(seen.len(), count, "{seen:?}");
        seen
    }
}

impl<S: Subscriber> Layer<S> for Exchanges {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() == "ikgate.exchange" {
            let mut seen = ExchangeReport::default();
            event.record(&mut seen);
            self.0.lock().unwrap().push(seen);
        }
    }
}

impl Visit for ExchangeReport {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "ending" => self.ending = value,
            "status" => self.status = value,
            "bytes" => self.bytes = value,
            "duration_nanos" => self.duration = Duration::from_nanos(value),
            "route" => self.route = value,
            "caller" => self.caller = value,
            "cache" => self.cache = value,
            "coding" => self.coding = value,
            other => panic!("{other} is not known here"),
        }
    }

    fn record_u128(&mut self, _field: &Field, value: u128) {
        self.client = value;
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.texts.push((field.name(), String::from_utf8(value.to_vec()).unwrap()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.texts.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        panic!("{field} is formatted: {value:?}");
    }
}
