//! One line for each exchange, made of the event that the metrics count.
//!
//! Written by hand rather than by the log's formatter: with every request logged, a line must not
//! cost more than the answer that it is about.

use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::sync::Arc;

use tracing::Event;
use tracing::field::{Field, Visit};
use tracing_appender::non_blocking::NonBlocking;

use super::LogFormat;
use super::metrics::{Exchanged, Metrics};
use crate::clock::Clock;

/// Room for nearly every line.
const LINE: usize = 512;

/// Which exchanges are logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AccessLogMode {
    All,
    /// Those whose status is 400 or more, and those whose client went away.
    Errors,
    Off,
}

pub(super) struct AccessLog {
    pub(super) mode: AccessLogMode,
    pub(super) format: LogFormat,
    pub(super) writer: NonBlocking,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
}

impl AccessLog {
    pub(super) fn wants(&self, exchanged: Exchanged) -> bool {
        match self.mode {
            AccessLogMode::All => true,
            AccessLogMode::Errors => exchanged.status() >= 400 || !exchanged.is_whole(),
            AccessLogMode::Off => false,
        }
    }

    pub(super) fn write(&self, exchanged: Exchanged, event: &Event<'_>) {
        let mut line = Line { text: String::with_capacity(LINE), format: self.format };
        let time = humantime::format_rfc3339_micros(self.clock.wall());
        match self.format {
            LogFormat::Json => {
                _ = write!(
                    line.text,
                    "{{\"timestamp\":\"{time}\",\"level\":\"INFO\",\"target\":\"ikgate.access\""
                );
            }
            LogFormat::Pretty => _ = write!(line.text, "{time}  INFO ikgate.access:"),
        }
        let words = exchanged.words(&self.metrics);
        line.word("caller", words.caller.as_deref().unwrap_or_default());
        line.word("route", words.route);
        line.word("cache", words.cache);
        line.number("status", exchanged.status().into());
        line.number("bytes", exchanged.bytes);
        line.word("coding", words.coding);
        line.number("duration_us", u64::try_from(exchanged.took.as_micros()).unwrap_or(u64::MAX));
        line.word("ending", words.ending);
        event.record(&mut line);
        line.text.push_str(if self.format == LogFormat::Json { "}\n" } else { "\n" });
        // Counted where it is dropped.
        _ = self.writer.clone().write_all(line.text.as_bytes());
    }
}

struct Line {
    text: String,
    format: LogFormat,
}

impl Line {
    fn name(&mut self, name: &str) {
        match self.format {
            LogFormat::Json => self.text.extend([",\"", name, "\":"]),
            LogFormat::Pretty => self.text.extend([" ", name, "="]),
        }
    }

    /// A word of ours: nothing in it needs to be escaped.
    fn word(&mut self, name: &str, word: &str) {
        self.name(name);
        match self.format {
            LogFormat::Json => self.text.extend(["\"", word, "\""]),
            LogFormat::Pretty => self.text.push_str(word),
        }
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        self.text.push_str(itoa::Buffer::new().format(number));
    }
}

/// The event's texts. Their alphabets are closed where they are made: ids, addresses, codes.
impl Visit for Line {
    fn record_u64(&mut self, _field: &Field, _value: u64) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        self.word(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field.name());
        let quote = if self.format == LogFormat::Json { "\"" } else { "" };
        _ = write!(self.text, "{quote}{value:?}{quote}");
    }
}
