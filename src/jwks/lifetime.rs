//! Freshness lifetime of a key set, by the header fields of its response (RFC 9111 section 4.2.1).

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderName};

/// Shortest and longest lifetime. An expired set is fetched at most once a minute, and a withdrawn
/// key is noticed within a day.
const BOUNDS: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(24);

/// Lifetime of a set whose response states none.
const DEFAULT: Duration = Duration::from_mins(5);

/// Returns the time after which a set that was requested now is fetched again.
pub(super) fn lifetime(fields: &HeaderMap) -> Duration {
    let stated = stated(fields).map(|stated| stated.saturating_sub(age(fields)));
    stated.unwrap_or(DEFAULT).clamp(*BOUNDS.start(), *BOUNDS.end())
}

/// Returns the lifetime that the response states, without regard to its age.
fn stated(fields: &HeaderMap) -> Option<Duration> {
    let lines = fields.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let mut stated = None;
    for directive in lines.flat_map(|line| line.split(',')).map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if ["no-cache", "no-store"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return Some(Duration::ZERO);
        }
        if name.eq_ignore_ascii_case("max-age") {
            // A value that is no number makes the response stale (section 4.2.1).
            let own = seconds(value.trim_matches('"')).unwrap_or(Duration::ZERO);
            stated = Some(stated.map_or(own, |before: Duration| before.min(own)));
        }
    }
    stated.or_else(|| expires(fields))
}

/// Returns the time from `Date` to `Expires`. An `Expires` that is no date is in the past.
fn expires(fields: &HeaderMap) -> Option<Duration> {
    fields.get(EXPIRES)?;
    let lifetime = || date(fields, EXPIRES)?.duration_since(date(fields, DATE)?).ok();
    Some(lifetime().unwrap_or_default())
}

fn date(fields: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(fields.get(name)?.to_str().ok()?).ok()
}

fn age(fields: &HeaderMap) -> Duration {
    let age = fields.get(AGE).and_then(|age| age.to_str().ok());
    age.and_then(seconds).unwrap_or_default()
}

/// Reads delta-seconds. A number that is too large counts as a very long time (section 1.2.2).
fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn of(fields: &[(&'static str, &str)]) -> u64 {
        let fields = fields.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        lifetime(&fields.collect()).as_secs()
    }

    #[test]
    fn the_cache_fields_decide_within_bounds() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (fields, expected) in [
            (&[][..], 300),
            (&[("cache-control", "max-age=900")], 900),
            (&[("cache-control", "public, Max-Age=\"900\"")], 900),
            (&[("cache-control", "max-age=900"), ("age", "300")], 600),
            (&[("cache-control", "max-age=900"), ("age", "1000")], 60),
            (&[("cache-control", "max-age=900"), ("age", "soon")], 900),
            (&[("cache-control", "max-age=900, max-age=700")], 700),
            (&[("cache-control", "max-age=5")], 60),
            (&[("cache-control", "max-age=99999999999999999999")], 86_400),
            (&[("cache-control", "max-age=x")], 60),
            (&[("cache-control", "max-age")], 60),
            (&[("cache-control", "max-age=900, no-store")], 60),
            (&[("cache-control", "no-cache")], 60),
            (&[("cache-control", "private")], 300),
            (&[date, ("expires", "Sun, 06 Nov 1994 08:59:37 GMT")], 600),
            (&[date, ("expires", "Sun, 06 Nov 1994 08:40:37 GMT")], 60),
            (&[("expires", "Sun, 06 Nov 1994 08:59:37 GMT")], 60),
            (&[date, ("expires", "0")], 60),
            (&[("cache-control", "max-age=900"), ("expires", "0")], 900),
        ] {
            assert_eq!(of(fields), expected, "{fields:?}");
        }
    }

    proptest! {
        #[test]
        fn no_field_leaves_the_bounds(control in "[ -~]{0,40}", age in "[0-9]{0,30}", expires in "[ -~]{0,30}") {
            let fields = [("cache-control", &*control), ("age", &*age), ("expires", &*expires)];
            prop_assert!((60..=86_400).contains(&of(&fields)));
        }
    }
}
