//! Parser of the rate limit header fields of a response: `X-RateLimit-*` and `Retry-After`.

use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};

use super::window::Window;

/// Rate limit fields of one response. Each is `None` if it was absent or is not a number;
/// `Retry-After` may be a date.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RateFields {
    /// `X-RateLimit-Limit`: requests in one interval.
    pub limit: Option<u64>,
    /// `X-RateLimit-Interval`: length of the interval, in milliseconds.
    pub interval_millis: Option<u64>,
    /// `X-RateLimit-Reset`: time to wait, in milliseconds. A duration, not a point in time.
    pub reset_millis: Option<u64>,
    /// `Retry-After`: time to wait.
    pub retry_after: Option<Duration>,
}

impl RateFields {
    /// Reads the fields. `received` is the wall clock time at which they arrived.
    pub(super) fn of(fields: &HeaderMap, received: SystemTime) -> Self {
        let number = |name: &str| fields.get(name)?.to_str().ok()?.trim().parse().ok();
        Self {
            limit: number("x-ratelimit-limit"),
            interval_millis: number("x-ratelimit-interval"),
            reset_millis: number("x-ratelimit-reset"),
            retry_after: retry_after(fields, received),
        }
    }

    /// Returns the time to wait: the longer of both fields. `None` if there is none to wait.
    pub(super) fn wait(self) -> Option<Duration> {
        let reset = self.reset_millis.map(Duration::from_millis);
        reset.max(self.retry_after).filter(|wait| !wait.is_zero())
    }

    pub(super) fn window(self) -> Option<Window> {
        Window::new(self.limit?, self.interval_millis?)
    }
}

/// Reads `Retry-After`: seconds, or a date.
///
/// A date is compared with the response's own `Date` (RFC 9110 section 10.2.3), since the clocks of
/// both sides may differ. A response without `Date` counts from the time it was received (section
/// 6.6.1).
fn retry_after(fields: &HeaderMap, received: SystemTime) -> Option<Duration> {
    let value = fields.get(RETRY_AFTER)?;
    let date = |value: &HeaderValue| httpdate::parse_http_date(value.to_str().ok()?.trim()).ok();
    delta_seconds(value.as_bytes()).or_else(|| {
        let sent = fields.get(DATE).and_then(date).unwrap_or(received);
        date(value)?.duration_since(sent).ok()
    })
}

/// Reads a number of seconds: digits only. A number that is too large counts as `u32::MAX` (RFC
/// 9111 section 1.2.2).
pub(super) fn delta_seconds(text: &[u8]) -> Option<Duration> {
    let digits = text.trim_ascii();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let seconds = || std::str::from_utf8(digits).ok()?.parse().ok();
    is_number.then(|| Duration::from_secs(u64::from(seconds().unwrap_or(u32::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(fields: &[(http::HeaderName, &str)], received: SystemTime) -> Option<u64> {
        let fields = fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        retry_after(&fields.collect(), received).map(|wait| wait.as_secs())
    }

    /// RFC 9110 section 5.6.7.
    #[test]
    fn retry_after_is_read_in_all_three_date_formats() {
        let sent = (DATE, "Sun, 06 Nov 1994 08:49:07 GMT");
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            let fields = [sent.clone(), (RETRY_AFTER, date)];
            assert_eq!(wait(&fields, SystemTime::UNIX_EPOCH), Some(30), "{date}");
        }
    }

    /// RFC 9110 section 5.6.7.
    #[test]
    fn a_year_of_two_digits_is_never_more_than_fifty_years_ahead() {
        let sent = (DATE, "Fri, 06 Nov 2026 08:49:37 GMT");
        let next_year = (RETRY_AFTER, "Saturday, 06-Nov-27 08:49:37 GMT");
        let fields = [sent.clone(), next_year];
        assert_eq!(wait(&fields, SystemTime::UNIX_EPOCH), Some(365 * 24 * 60 * 60));
        let long_ago = (RETRY_AFTER, "Sunday, 06-Nov-77 08:49:37 GMT");
        assert_eq!(wait(&[sent, long_ago], SystemTime::UNIX_EPOCH), None);
    }

    #[test]
    fn a_date_without_a_date_of_the_response_counts_from_when_it_was_received() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let received = httpdate::parse_http_date(date).unwrap() - Duration::from_secs(7);
        assert_eq!(wait(&[(RETRY_AFTER, date)], received), Some(7));
        assert_eq!(wait(&[(RETRY_AFTER, date), (DATE, "never")], received), Some(7));
        assert_eq!(wait(&[(RETRY_AFTER, date)], received + Duration::from_secs(8)), None);
    }

    #[test]
    fn seconds_are_digits_and_too_many_are_the_most() {
        for (text, seconds) in [
            ("3", Some(3)),
            (" 3 ", Some(3)),
            ("+3", None),
            ("-3", None),
            ("3.5", None),
            ("", None),
            ("99999999999999999999", Some(u64::from(u32::MAX))),
        ] {
            assert_eq!(wait(&[(RETRY_AFTER, text)], SystemTime::UNIX_EPOCH), seconds, "{text}");
        }
    }
}
