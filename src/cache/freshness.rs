//! What may be reused when, as pure functions.
//!
//! Nothing here reads a clock, takes a lock or touches a socket: callers pass `now`. The store
//! decides what is kept; this module alone decides what may be answered.

use std::time::Duration;

use super::entry::Kind;

/// How long responses are fresh.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FreshnessSettings {
    /// Of a version list.
    pub ttl: Duration,
    /// Of a 404 or 400.
    pub not_found_ttl: Duration,
}

/// The time that one stored response is fresh for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Freshness {
    received: Duration,
    ttl: Duration,
}

/// How a stored response may be used at one instant (RFC 9111 section 4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reuse {
    /// Answer with it.
    Fresh { ttl_left: Duration },
    /// Ask the upstream first.
    Stale,
}

impl Freshness {
    pub fn new(settings: &FreshnessSettings, kind: Kind, received: Duration) -> Self {
        let ttl = match kind {
            Kind::List => settings.ttl,
            Kind::BadRequest | Kind::NotFound => settings.not_found_ttl,
        };
        Self { received, ttl }
    }

    /// The same, with its time over at `now` if it was not before.
    #[must_use]
    pub fn ended(self, now: Duration) -> Self {
        Self { ttl: self.ttl.min(now.saturating_sub(self.received)), ..self }
    }

    /// Time left, or time past the end.
    ///
    /// A response whose age equals its lifetime is stale: section 4.2 asks for strictly greater.
    pub fn reuse(self, now: Duration) -> Reuse {
        let age = now.saturating_sub(self.received);
        match self.ttl.checked_sub(age) {
            Some(ttl_left) if !ttl_left.is_zero() => Reuse::Fresh { ttl_left },
            _ => Reuse::Stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: FreshnessSettings =
        FreshnessSettings { ttl: Duration::from_mins(1), not_found_ttl: Duration::from_secs(10) };

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn reuse_follows_the_age() {
        let fresh = |left| Reuse::Fresh { ttl_left: secs(left) };
        let table = [
            (Kind::List, 99, fresh(60)),
            (Kind::List, 100, fresh(60)),
            (Kind::List, 159, fresh(1)),
            (Kind::List, 160, Reuse::Stale),
            (Kind::List, 161, Reuse::Stale),
            (Kind::NotFound, 109, fresh(1)),
            (Kind::NotFound, 110, Reuse::Stale),
            (Kind::BadRequest, 109, fresh(1)),
            (Kind::BadRequest, 110, Reuse::Stale),
        ];
        for (kind, now, expected) in table {
            let freshness = Freshness::new(&SETTINGS, kind, secs(100));
            assert_eq!(freshness.reuse(secs(now)), expected, "{kind:?} at t={now}s");
        }
    }

    #[test]
    fn an_ended_response_is_stale_from_that_instant_and_never_longer_fresh() {
        let freshness = Freshness::new(&SETTINGS, Kind::List, secs(100));
        let ended = freshness.ended(secs(130));
        assert_eq!(ended.reuse(secs(129)), Reuse::Fresh { ttl_left: secs(1) });
        assert_eq!(ended.reuse(secs(130)), Reuse::Stale);
        assert_eq!(freshness.ended(secs(900)), freshness);
        assert_eq!(freshness.ended(secs(50)).reuse(secs(100)), Reuse::Stale);
    }
}
