//! Ring of recent log events for the dashboard: state changes, invalidations and faults.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock::Clock;

/// Number of events that are kept.
const LINES_MAX: usize = 100;
/// Longest text of an event, in bytes. A longer one is cut.
const LINE_BYTES_MAX: usize = 300;

/// Recent events, oldest first.
#[derive(Default)]
pub struct RecentEvents(Mutex<VecDeque<RecentEvent>>);

/// One recent event.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RecentEvent {
    /// Unix time, in seconds.
    pub at: u64,
    /// Level: `error`, `warn` or `info`.
    pub level: Cow<'static, str>,
    /// Message and fields, as text.
    pub text: String,
}

impl RecentEvents {
    /// Returns the recent events, oldest first.
    pub fn list(&self) -> Vec<RecentEvent> {
        self.0.lock().iter().cloned().collect()
    }
}

/// Layer that keeps log events at level info and above.
pub(super) struct RecentEventsLayer {
    pub(super) events: Arc<RecentEvents>,
    pub(super) clock: Clock,
}

impl<S: Subscriber> Layer<S> for RecentEventsLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            _ => "info",
        };
        let mut text = Text(String::new());
        event.record(&mut text);
        let mut text = text.0;
        if text.len() > LINE_BYTES_MAX {
            text.truncate(text.floor_char_boundary(LINE_BYTES_MAX));
        }
        let mut lines = self.events.0.lock();
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(RecentEvent {
            at: self.clock.unix_time().as_secs(),
            level: level.into(),
            text,
        });
    }
}

/// Message, followed by the fields.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let rest = std::mem::take(&mut self.0);
            _ = write!(self.0, "{value:?}{rest}");
        } else {
            _ = write!(self.0, " {}={value:?}", field.name());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        _ = write!(self.0, " {}={value}", field.name());
    }
}
