//! Freshness of stored responses (RFC 9111 section 4.2, RFC 5861), as pure functions.
//!
//! Nothing here reads a clock, draws a number, takes a lock or uses a socket: callers pass `now`.
//! `capacity` decides which responses stay stored. This module decides how long they may be reused.
//!
//! ```text
//! as_of        end of ttl                 stale_while_revalidate        stale_if_error
//!    |--- Fresh ------|--- Revalidate ---------------|--- IfError ---------------|--- Expired
//! ```
//!
//! Both windows count from the end of the ttl (RFC 5861). Either may be the longer one.

use std::time::Duration;

use super::response::Kind;

/// Durations for which responses may be reused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FreshnessSettings {
    /// Ttl of a version list.
    pub ttl: Duration,
    /// Most by which a ttl is shortened, in percent, so that lists that were fetched together do
    /// not become stale together.
    pub ttl_jitter_percent: u8,
    /// Window after the ttl in which a stale list is served while a new one is fetched.
    pub stale_while_revalidate: Duration,
    /// Window after the ttl in which a stale list is served if the fetch of a new one failed.
    pub stale_if_error: Duration,
    /// Ttl of a 404 or 400, which is never reused after its ttl: the file may exist by then.
    pub not_found_ttl: Duration,
    /// Longest ttl of a list that was requested within this time after its own invalidation: the
    /// upstream may not know of the change yet.
    pub settle: Duration,
}

impl FreshnessSettings {
    /// Returns the longest ttl of a response of this kind.
    pub fn ttl_max(&self, kind: Kind) -> Duration {
        match kind {
            Kind::List => self.ttl,
            Kind::BadRequest | Kind::NotFound => self.not_found_ttl,
        }
    }

    /// Returns the windows after the ttl in which a response of this kind may be reused.
    pub fn windows(&self, kind: Kind) -> StaleWindows {
        match kind {
            Kind::List => StaleWindows {
                while_revalidate: self.stale_while_revalidate,
                if_error: self.stale_if_error,
            },
            Kind::BadRequest | Kind::NotFound => {
                StaleWindows { while_revalidate: Duration::ZERO, if_error: Duration::ZERO }
            }
        }
    }
}

/// Source of a fill's response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Second-level cache that several gateways share. `ttl`: the rest of the ttl there.
    SecondLevel {
        ttl: Duration,
    },
    Upstream,
}

/// Inputs to the ttl of one response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FreshnessInputs {
    /// Time that the age of the response counts from.
    pub as_of: Duration,
    /// Latest time at which this file alone may have been invalidated, not everything.
    pub invalidated: Option<Duration>,
    /// Random part of the jitter for this response: 0 for none, `u16::MAX` for all.
    pub draw: u16,
    pub origin: Origin,
}

/// Freshness lifetime of one stored response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Freshness {
    as_of: Duration,
    ttl: Duration,
}

/// Windows after the ttl in which a response may still be reused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StaleWindows {
    while_revalidate: Duration,
    if_error: Duration,
}

impl StaleWindows {
    /// Returns the longer window: later than that after the ttl, a response is of no use.
    pub(super) fn longest(self) -> Duration {
        self.while_revalidate.max(self.if_error)
    }
}

/// Permitted reuse of a stored response at one instant (RFC 9111 section 4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reuse {
    /// Do not use it.
    Expired,
    /// Answer with it.
    Fresh { ttl_left: Duration },
    /// Fetch first, and answer with it if that fails.
    IfError,
    /// Answer with it, and fetch the next one in the background.
    StaleWhileRevalidate { stale_for: Duration },
}

impl Freshness {
    pub fn new(settings: &FreshnessSettings, kind: Kind, inputs: &FreshnessInputs) -> Self {
        let FreshnessInputs { as_of, invalidated, draw, origin } = *inputs;
        let unsettled = invalidated.is_some_and(|at| as_of < at + settings.settle);
        let ttl = match (kind, origin) {
            (Kind::BadRequest | Kind::NotFound, _) => settings.not_found_ttl,
            (Kind::List, _) if unsettled => settings.settle.min(settings.ttl),
            // The gateway that fetched the list has applied the jitter already.
            (Kind::List, Origin::SecondLevel { .. }) => settings.ttl,
            (Kind::List, Origin::Upstream) => {
                let most = settings.ttl * u32::from(settings.ttl_jitter_percent) / 100;
                settings.ttl.saturating_sub(most * u32::from(draw) / u32::from(u16::MAX))
            }
        };
        match origin {
            Origin::SecondLevel { ttl: theirs } => Self { as_of, ttl: ttl.min(theirs) },
            Origin::Upstream => Self { as_of, ttl },
        }
    }

    pub(super) fn of(as_of: Duration, ttl: Duration) -> Self {
        Self { as_of, ttl }
    }

    /// Returns the whole ttl.
    pub fn ttl(self) -> Duration {
        self.ttl
    }

    /// Returns the same freshness with the ttl ended at `now`, if it had not ended before.
    #[must_use]
    pub fn ended(self, now: Duration) -> Self {
        Self { ttl: self.ttl.min(now.saturating_sub(self.as_of)), ..self }
    }

    /// Returns the rest of the ttl; zero after its end.
    pub fn ttl_left(self, now: Duration) -> Duration {
        self.ttl.saturating_sub(now.saturating_sub(self.as_of))
    }

    /// Returns how the response may be reused at `now`.
    ///
    /// A response whose age equals its lifetime is stale: RFC 9111 section 4.2 requires the
    /// lifetime to be strictly greater. The windows end in the same way.
    pub fn reuse(self, windows: StaleWindows, now: Duration) -> Reuse {
        let age = now.saturating_sub(self.as_of);
        let Some(stale_for) = age.checked_sub(self.ttl) else {
            return Reuse::Fresh { ttl_left: self.ttl.saturating_sub(age) };
        };
        if stale_for < windows.while_revalidate {
            Reuse::StaleWhileRevalidate { stale_for }
        } else if stale_for < windows.if_error {
            Reuse::IfError
        } else {
            Reuse::Expired
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::cache) const SETTINGS: FreshnessSettings = FreshnessSettings {
        ttl: Duration::from_mins(1),
        ttl_jitter_percent: 0,
        stale_while_revalidate: Duration::from_mins(5),
        stale_if_error: Duration::from_hours(1),
        not_found_ttl: Duration::from_secs(10),
        settle: Duration::from_secs(2),
    };

    const LIST: StaleWindows = StaleWindows {
        while_revalidate: SETTINGS.stale_while_revalidate,
        if_error: SETTINGS.stale_if_error,
    };

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn at(at: u64) -> FreshnessInputs {
        let origin = Origin::Upstream;
        FreshnessInputs { as_of: secs(at), invalidated: None, draw: 0, origin }
    }

    #[test]
    fn reuse_follows_the_age() {
        let fresh = |left| Reuse::Fresh { ttl_left: secs(left) };
        let stale = |by| Reuse::StaleWhileRevalidate { stale_for: secs(by) };
        let table = [
            (Kind::List, 99, fresh(60)),
            (Kind::List, 100, fresh(60)),
            (Kind::List, 159, fresh(1)),
            (Kind::List, 160, stale(0)),
            (Kind::List, 459, stale(299)),
            (Kind::List, 460, Reuse::IfError),
            (Kind::List, 3759, Reuse::IfError),
            (Kind::List, 3760, Reuse::Expired),
            (Kind::NotFound, 109, fresh(1)),
            (Kind::NotFound, 110, Reuse::Expired),
            (Kind::BadRequest, 109, fresh(1)),
            (Kind::BadRequest, 110, Reuse::Expired),
        ];
        for (kind, now, expected) in table {
            let freshness = Freshness::new(&SETTINGS, kind, &at(100));
            let reuse = freshness.reuse(SETTINGS.windows(kind), secs(now));
            assert_eq!(reuse, expected, "{kind:?} at t={now}s");
        }
    }

    #[test]
    fn either_window_may_be_the_longer_one_or_none() {
        let windows = |revalidate, error| FreshnessSettings {
            stale_while_revalidate: secs(revalidate),
            stale_if_error: secs(error),
            ..SETTINGS
        };
        let table = [
            (windows(20, 10), 19, Reuse::StaleWhileRevalidate { stale_for: secs(19) }),
            (windows(20, 10), 20, Reuse::Expired),
            (windows(0, 10), 0, Reuse::IfError),
            (windows(0, 10), 10, Reuse::Expired),
            (windows(0, 0), 0, Reuse::Expired),
        ];
        for (settings, after_ttl, expected) in table {
            let freshness = Freshness::new(&settings, Kind::List, &at(0));
            let reuse = freshness.reuse(settings.windows(Kind::List), secs(60 + after_ttl));
            assert_eq!(reuse, expected, "{settings:?}");
        }
    }

    #[test]
    fn an_ended_response_is_stale_from_that_instant_and_never_longer_fresh() {
        let freshness = Freshness::new(&SETTINGS, Kind::List, &at(100));
        let ended = freshness.ended(secs(130));
        assert_eq!(ended.reuse(LIST, secs(129)), Reuse::Fresh { ttl_left: secs(1) });
        assert_eq!(
            ended.reuse(LIST, secs(130)),
            Reuse::StaleWhileRevalidate { stale_for: secs(0) }
        );
        assert_eq!(ended.reuse(LIST, secs(430)), Reuse::IfError, "the windows count from there");
        assert_eq!(freshness.ended(secs(900)), freshness);
        let before_it_began = freshness.ended(secs(50));
        assert_eq!(
            before_it_began.reuse(LIST, secs(100)),
            Reuse::StaleWhileRevalidate { stale_for: secs(0) }
        );
    }

    #[test]
    fn a_list_asked_for_soon_after_its_invalidation_settles_first() {
        let table = [
            // (invalidated, asked, ttl)
            (100, 100, 2),
            (100, 101, 2),
            (100, 102, 60),
            (100, 500, 60),
        ];
        for (invalidated, asked, ttl) in table {
            let inputs = FreshnessInputs {
                as_of: secs(asked),
                invalidated: Some(secs(invalidated)),
                draw: u16::MAX,
                origin: Origin::Upstream,
            };
            let freshness = Freshness::new(&SETTINGS, Kind::List, &inputs);
            let expected = Reuse::Fresh { ttl_left: secs(ttl) };
            assert_eq!(freshness.reuse(LIST, secs(asked)), expected, "asked at t={asked}s");
            let over = freshness.reuse(LIST, secs(asked + ttl));
            assert_eq!(
                over,
                Reuse::StaleWhileRevalidate { stale_for: secs(0) },
                "asked at t={asked}s"
            );
        }
        let short = FreshnessSettings { ttl: secs(1), ..SETTINGS };
        let inputs = FreshnessInputs { invalidated: Some(secs(9)), ..at(9) };
        let freshness = Freshness::new(&short, Kind::List, &inputs);
        assert_eq!(freshness.reuse(LIST, secs(9)), Reuse::Fresh { ttl_left: secs(1) });
    }

    #[test]
    fn what_others_fetched_is_fresh_as_long_as_they_say_and_no_longer_than_it_would_be() {
        let table = [
            (Kind::List, 54, 54),
            (Kind::List, 99, 60),
            (Kind::NotFound, 7, 7),
            (Kind::NotFound, 99, 10),
        ];
        let settings = FreshnessSettings { ttl_jitter_percent: 100, ..SETTINGS };
        for (kind, theirs, ttl) in table {
            let origin = Origin::SecondLevel { ttl: secs(theirs) };
            let inputs = FreshnessInputs { origin, draw: u16::MAX, ..at(100) };
            let freshness = Freshness::new(&settings, kind, &inputs);
            assert_eq!(freshness, Freshness::of(secs(100), secs(ttl)), "{kind:?} {theirs}");
            let invalidated = Some(secs(99));
            let unsettled =
                Freshness::new(&settings, kind, &FreshnessInputs { invalidated, ..inputs });
            let expected = if kind == Kind::List { 2 } else { ttl };
            assert_eq!(unsettled, Freshness::of(secs(100), secs(expected)), "{kind:?} {theirs}");
        }
    }

    proptest! {
        #[test]
        fn jitter_shortens_by_its_share_and_no_more(
            ttl in 1..100_000_000_u64,
            percent in 0..=100_u8,
            draw: u16,
        ) {
            let ttl = Duration::from_micros(ttl);
            let settings = FreshnessSettings { ttl, ttl_jitter_percent: percent, ..SETTINGS };
            let inputs = FreshnessInputs { draw, ..at(0) };
            let freshness = Freshness::new(&settings, Kind::List, &inputs);
            prop_assert!(freshness.ttl <= ttl);
            prop_assert!(freshness.ttl >= ttl * u32::from(100 - percent) / 100);
            let all = FreshnessInputs { draw: u16::MAX, ..at(0) };
            let least = Freshness::new(&settings, Kind::List, &all);
            prop_assert_eq!(least.ttl, ttl.saturating_sub(ttl * u32::from(percent) / 100));
        }

        #[test]
        fn what_may_be_done_only_ever_gets_less(
            ttl in 0..100_u64, revalidate in 0..100_u64, error in 0..100_u64,
        ) {
            let settings = FreshnessSettings {
                ttl: secs(ttl),
                stale_while_revalidate: secs(revalidate),
                stale_if_error: secs(error),
                ..SETTINGS
            };
            let freshness = Freshness::new(&settings, Kind::List, &at(0));
            let rank = |now| match freshness.reuse(settings.windows(Kind::List), secs(now)) {
                Reuse::Fresh { .. } => 0,
                Reuse::StaleWhileRevalidate { .. } => 1,
                Reuse::IfError => 2,
                Reuse::Expired => 3,
            };
            prop_assert!((0..400).map(rank).is_sorted());
        }
    }
}
