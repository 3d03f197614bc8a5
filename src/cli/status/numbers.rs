//! Texts of numbers, sizes, durations and times, as the dashboard writes them
//! (`src/admin/dashboard/format.js`).

use std::time::{Duration, SystemTime};

/// Text of a value that is not known.
pub(super) const UNKNOWN: &str = "–";

/// Latest time that is written: the end of the year 9999, in Unix seconds.
const TIME_MAX: u64 = 253_402_300_799;

/// Returns a number with three digits, or in thousands or millions.
pub(super) fn number(value: f64) -> String {
    if value >= 1e7 {
        format!("{:.0}M", value / 1e6)
    } else if value >= 10_000.0 {
        format!("{:.0}k", value / 1e3)
    } else if value >= 100.0 {
        format!("{value:.0}")
    } else {
        without_zeros(&format!("{value:.2e}"))
    }
}

/// Returns a share as a percentage.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", without_zeros(&format!("{:.1}", share * 100.0)))
}

/// Returns a duration in milliseconds in the unit that leaves it the fewest digits.
pub(super) fn milliseconds(value: f64) -> String {
    if value >= 1000.0 {
        format!("{} s", number(value / 1000.0))
    } else if value > 0.0 && value < 1.0 {
        format!("{} µs", number(value * 1000.0))
    } else {
        format!("{} ms", number(value))
    }
}

/// Returns a size in the unit of 1024 that leaves it the fewest digits.
pub(super) fn bytes(size: u64) -> String {
    let (mut value, mut units) = (real(size), ["B", "KiB", "MiB", "GiB", "TiB"].iter());
    let mut unit = units.next().unwrap_or(&"B");
    while value >= 1024.0 {
        let Some(next) = units.next() else { break };
        (value, unit) = (value / 1024.0, next);
    }
    format!("{} {unit}", number(value))
}

/// Returns a duration in its two largest units.
pub(super) fn duration(seconds: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let mut left = seconds;
    let parts: Vec<_> = UNITS
        .into_iter()
        .skip_while(|(_, length)| seconds < *length)
        .take(2)
        .filter_map(|(unit, length)| {
            let count = left / length;
            left %= length;
            (count > 0).then(|| format!("{count} {unit}"))
        })
        .collect();
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

/// Returns a time of Unix seconds in ISO 8601, in UTC as in the log.
pub(super) fn iso_time(seconds: u64) -> String {
    let since_1970 = Duration::from_secs(seconds.min(TIME_MAX));
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since_1970).to_string()
}

/// Returns the time of day of Unix seconds, in UTC.
pub(super) fn clock_time(seconds: u64) -> String {
    iso_time(seconds).split('T').nth(1).unwrap_or_default().to_owned()
}

/// Returns a count as a number that can be divided.
pub(super) fn real(count: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most three digits are shown; beyond 2^53 they do not show the difference"
    )]
    let real = count as f64;
    real
}

/// Returns a decimal number without zeros at its end and without an exponent.
fn without_zeros(decimal: &str) -> String {
    decimal.parse::<f64>().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The same cases as in tests/browser/format.test.js.
    #[test]
    fn numbers_are_written_as_on_the_dashboard() {
        let sizes = [0, 1023, 1024, 256 << 20].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1 KiB", "256 MiB"]);
        let durations = [0, 59, 200, 3600, 90_061].map(duration);
        assert_eq!(durations, ["0 s", "59 s", "3 min 20 s", "1 h", "1 d 1 h"]);
        let latencies = [0.0, 0.455, 12.34, 2500.0].map(milliseconds);
        assert_eq!(latencies, ["0 ms", "455 µs", "12.3 ms", "2.5 s"]);
        let numbers = [0.0, 0.123_456, 99.95, 12_345.0, 2.5e7].map(number);
        assert_eq!(numbers, ["0", "0.123", "100", "12k", "25M"]);
        assert_eq!([0.0, 1.0, 0.9736].map(percent), ["0 %", "100 %", "97.4 %"]);
        assert_eq!(iso_time(1_764_168_000), "2025-11-26T14:40:00Z");
        assert_eq!(clock_time(1_764_168_000), "14:40:00Z");
        assert_eq!(iso_time(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
