//! Access log: one line per exchange, made from the event that the metrics count.
//!
//! It does not use the formatter of the log. When every request is logged, a line must not cost
//! more than the response that it is about.

use std::cell::Cell;
use std::fmt::Debug;
use std::io::Write as _;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::Event;
use tracing::field::{Field, Visit};

use super::log_buffer::LogBuffer;
use super::log_filter::LogFormat;
use super::metrics::Metrics;
use super::request_counters::ExchangeEvent;
use crate::clock::Clock;
use crate::message::FieldText;

/// Initial capacity of a line, in bytes; enough for nearly every line.
const LINE_BYTES: usize = 512;

/// Exchanges that are logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AccessLogMode {
    /// All exchanges.
    All,
    /// Exchanges whose status is 400 or more, and those whose client went away.
    Errors,
    /// No exchange.
    Off,
}

pub(super) struct AccessLog {
    pub(super) mode: AccessLogMode,
    pub(super) format: LogFormat,
    pub(super) buffer: LogBuffer,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
}

impl AccessLog {
    pub(super) fn wants(&self, exchanged: ExchangeEvent) -> bool {
        match self.mode {
            AccessLogMode::All => true,
            AccessLogMode::Errors => exchanged.status() >= 400 || !exchanged.is_whole(),
            AccessLogMode::Off => false,
        }
    }

    pub(super) fn write(&self, exchanged: ExchangeEvent, event: &Event<'_>) {
        let mut line = LogLine { text: Vec::with_capacity(LINE_BYTES), format: self.format };
        let now = self.clock.unix_time();
        match self.format {
            LogFormat::Json => {
                line.extend([b"{\"timestamp\":\""]);
                line.time(now);
                line.extend([b"\",\"level\":\"INFO\",\"target\":\"ikgate.access\""]);
            }
            LogFormat::Pretty => {
                line.time(now);
                line.extend([b"  INFO ikgate.access:"]);
            }
        }
        let words = exchanged.label_texts(&self.metrics.request_counters);
        line.word("caller", words.caller.as_deref().unwrap_or_default().as_bytes());
        line.word("route", words.route.as_bytes());
        line.word("cache", words.cache.as_bytes());
        line.number("status", exchanged.status().into());
        line.number("bytes", exchanged.bytes);
        line.word("coding", words.coding.as_bytes());
        line.number("duration_us", u64::try_from(exchanged.took.as_micros()).unwrap_or(u64::MAX));
        line.word("ending", words.ending.as_bytes());
        event.record(&mut line);
        line.extend([if self.format == LogFormat::Json { b"}\n" } else { b"\n" }]);
        // A line that cannot be taken is counted by [`LogBuffer`]; this write never fails.
        _ = self.buffer.clone().write_all(&line.text);
    }
}

struct LogLine {
    text: Vec<u8>,
    format: LogFormat,
}

impl LogLine {
    fn extend<const PARTS: usize>(&mut self, parts: [&[u8]; PARTS]) {
        for part in parts {
            self.text.extend_from_slice(part);
        }
    }

    /// Writes a time as in RFC 3339, to the microsecond.
    fn time(&mut self, since_1970: Duration) {
        let second = text_of_second(since_1970.as_secs());
        // Digits after a leading 1 are padded with zeros.
        let mut digits = itoa::Buffer::new();
        let fraction = digits.format(1_000_000 + since_1970.subsec_micros());
        self.extend([&second, b".", fraction.as_bytes().get(1..).unwrap_or_default(), b"Z"]);
    }

    fn name(&mut self, name: &str) {
        match self.format {
            LogFormat::Json => self.extend([b",\"", name.as_bytes(), b"\":"]),
            LogFormat::Pretty => self.extend([b" ", name.as_bytes(), b"="]),
        }
    }

    /// Writes one of our own words. Nothing in it needs to be escaped.
    fn word(&mut self, name: &str, word: &[u8]) {
        match self.format {
            LogFormat::Json => self.extend([b",\"", name.as_bytes(), b"\":\"", word, b"\""]),
            LogFormat::Pretty => self.extend([b" ", name.as_bytes(), b"=", word]),
        }
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        self.extend([itoa::Buffer::new().format(number).as_bytes()]);
    }

    fn address(&mut self, name: &str, address: Ipv6Addr) {
        let Some(v4) = address.to_ipv4_mapped() else {
            return self.word(name, address.to_string().as_bytes());
        };
        let mut text = FieldText::new("");
        let [first, others @ ..] = v4.octets().map(u64::from);
        text.number(first);
        for octet in others {
            text.text(".").number(octet);
        }
        self.word(name, text.as_bytes());
    }
}

/// Formats a second as `2001-09-09T01:46:40`. The text is cached, since many lines share it and it
/// is most of the cost of a time.
fn text_of_second(since_1970: u64) -> [u8; 19] {
    thread_local! {
        static LAST: Cell<(u64, [u8; 19])> = const { Cell::new((0, *b"1970-01-01T00:00:00")) };
    }
    let (second, mut text) = LAST.get();
    if second != since_1970 {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(since_1970);
        // Beyond the year 9999 the text keeps its last value.
        _ = write!(text.as_mut_slice(), "{}", humantime::format_rfc3339_seconds(time));
        LAST.set((since_1970, text));
    }
    text
}

/// Writer of the event's texts. Their alphabets are closed where they are made: ids, addresses,
/// codes.
impl Visit for LogLine {
    fn record_u64(&mut self, _field: &Field, _value: u64) {}

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.address(field.name(), Ipv6Addr::from_bits(value));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.word(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.word(field.name(), value.as_bytes());
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn Debug) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_addresses_read_as_the_standard_library_writes_them() {
        for (nanos, address) in [
            (0, "::ffff:192.0.2.10"),
            (1_000_000_000_000_001_000, "2001:db8::1"),
            (1_000_000_000_999_999_999, "::ffff:255.0.0.1"),
            (1_767_225_599_000_000_000, "::1"),
        ] {
            let mut line = LogLine { text: Vec::new(), format: LogFormat::Pretty };
            let (since_1970, address) = (Duration::from_nanos(nanos), address.parse().unwrap());
            line.time(since_1970);
            line.address("a", address);
            let time = humantime::format_rfc3339_micros(SystemTime::UNIX_EPOCH + since_1970);
            let expected = format!("{time} a={}", std::net::IpAddr::V6(address).to_canonical());
            assert_eq!(String::from_utf8(line.text).unwrap(), expected);
        }
    }
}
