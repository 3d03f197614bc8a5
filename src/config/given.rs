//! Value of one configuration key, and its parsers: text, number, duration, size, list. An error
//! says what the key allows.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use toml::Value;

/// Longest duration that can be configured. A longer one is a mistake, and sums of several must
/// fit.
const DURATION_MAX: Duration = Duration::from_hours(365 * 24);

/// Value of a key as the operator wrote it.
pub(super) struct Given {
    pub(super) value: Value,
    /// Whether it comes from an environment variable. Then it is text, for every expected type.
    pub(super) from_environment: bool,
}

impl Given {
    pub(super) fn text(&self) -> Result<&str, &'static str> {
        self.value.as_str().ok_or("must be a string in quotes")
    }

    pub(super) fn boolean(&self) -> Result<bool, &'static str> {
        let value = match &self.value {
            Value::Boolean(value) => Some(*value),
            Value::String(text) if self.from_environment => text.parse().ok(),
            _ => None,
        };
        value.ok_or("must be true or false")
    }

    pub(super) fn integer<T: TryFrom<i64> + Display + PartialOrd>(
        &self,
        range: &RangeInclusive<T>,
    ) -> Result<T, String> {
        let number = match &self.value {
            Value::Integer(number) => Some(*number),
            Value::String(text) if self.from_environment => text.parse().ok(),
            _ => None,
        };
        number
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("must be a number from {} to {}", range.start(), range.end()))
    }

    pub(super) fn duration(&self) -> Result<Duration, String> {
        let text = self.text().map_err(|_| "must be a duration like \"30s\"".to_owned())?;
        let duration = humantime::parse_duration(text);
        let duration =
            duration.map_err(|_| "must be a duration like \"30s\" or \"5m\"".to_owned())?;
        if duration > DURATION_MAX {
            return Err("must be at most \"365days\"".to_owned());
        }
        Ok(duration)
    }

    /// Reads a duration that is not zero.
    pub(super) fn positive_duration(&self) -> Result<Duration, String> {
        let duration = self.duration()?;
        if duration.is_zero() { Err("must be more than zero".to_owned()) } else { Ok(duration) }
    }

    /// Reads a size in bytes, from a text like `"16KiB"`.
    pub(super) fn size(&self, range: &RangeInclusive<u64>) -> Result<u64, String> {
        let range_text = || {
            let (least, most) = (ByteSize(*range.start()), ByteSize(*range.end()));
            format!("must be a size like \"16MiB\", from {least} to {most}")
        };
        let text = self.text().map_err(|_| range_text())?;
        let size = text.parse::<ByteSize>().map_err(|_| range_text())?.as_u64();
        if range.contains(&size) { Ok(size) } else { Err(range_text()) }
    }

    /// Reads strings: an array in the file, comma-separated in the environment. In the environment
    /// one string is a list of one.
    pub(super) fn texts(&self) -> Result<Vec<String>, &'static str> {
        const EXPECTED: &str = "must be a list of strings, like [\"a\", \"b\"]";
        match &self.value {
            Value::String(text) if self.from_environment => {
                let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
                Ok(texts.map(str::to_owned).collect())
            }
            Value::Array(values) => {
                let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
                texts.collect::<Option<_>>().ok_or(EXPECTED)
            }
            _ => Err(EXPECTED),
        }
    }
}

/// Reads every entry of a list.
///
/// # Errors
///
/// Returns what is wrong with each wrong entry, not only with the first.
pub(super) fn each<T>(
    texts: &[String],
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let (mut entries, mut wrong) = (Vec::new(), Vec::new());
    for text in texts {
        match read(text) {
            Ok(entry) => entries.push(entry),
            Err(message) => wrong.push(message),
        }
    }
    if wrong.is_empty() { Ok(entries) } else { Err(wrong.join("; ")) }
}
