//! Tests of admission: which requests are admitted, and which quota is reported.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::limit::settings::CallerQuota;

fn address(text: &str) -> Caller {
    Caller::Anonymous(text.parse().unwrap())
}

fn limits(per_second: u32, burst: u32) -> (Limits, Clock) {
    let clock = Clock::manual();
    (Limits::new(&settings(per_second, burst), None, &clock), clock)
}

fn settings(per_second: u32, burst: u32) -> LimitSettings {
    let quota = Quota::new(per_second, burst).unwrap();
    LimitSettings {
        anonymous: Some(quota),
        ipv6: Ipv6Limits { prefix: 64, wide_prefix: 48, wide_factor: NonZeroU32::new(4).unwrap() },
        max_tracked_callers: 1000,
        auth_failures: quota,
        enforcement: Enforcement::Refuse,
        callers: vec![CallerQuota { name: "team".to_owned(), quota }],
        tokens: Some(quota),
    }
}

#[test]
fn a_quota_change_keeps_spent_cells_and_bounds_waits_by_the_new_quota() {
    for caller in [address("192.0.2.1"), Caller::Known(CallerId(0))] {
        let (limits, clock) = limits(1, 10);
        for _ in 0..10 {
            assert!(limits.admit(&caller).is_ok());
        }
        // Faster quota: the wait is at most the new quota's.
        let faster = limits.renewed(&settings(100, 5), NonZeroU32::MIN);
        faster.clamp();
        assert_eq!(faster.admit(&caller).unwrap_err().wait, Duration::from_millis(10));
        clock.advance(Duration::from_millis(10));
        assert_eq!(faster.admit(&caller).unwrap().left, 0);
        // Slower quota: cells that had come back by then stay.
        clock.advance(Duration::from_millis(20));
        let slower = faster.renewed(&settings(1, 3), NonZeroU32::MIN);
        slower.clamp();
        assert_eq!(slower.admit(&caller).unwrap().left, 1);
        // Same quota again: nothing is refilled.
        let same = slower.renewed(&settings(1, 3), NonZeroU32::MIN);
        same.clamp();
        assert_eq!(same.admit(&caller).unwrap().left, 0);
        assert_eq!(same.admit(&caller).unwrap_err().wait, Duration::from_millis(30));
    }
}

#[test]
fn callers_keep_their_state_by_name_at_any_position() {
    let (limits, _) = limits(1, 1);
    assert!(limits.admit(&Caller::Known(CallerId(0))).is_ok());
    let mut settings = settings(1, 1);
    let (team, quota) = (settings.callers[0].clone(), settings.callers[0].quota);
    settings.callers = vec![CallerQuota { name: "new".to_owned(), quota }, team];
    let limits = limits.renewed(&settings, NonZeroU32::MIN);
    assert!(limits.admit(&Caller::Known(CallerId(0))).is_ok());
    assert!(limits.admit(&Caller::Known(CallerId(1))).is_err());
}

#[test]
fn a_burst_is_admitted_counted_down_and_then_throttled() {
    for caller in [address("192.0.2.1"), Caller::Known(CallerId(0))] {
        let (limits, _clock) = limits(1, 3);
        for left in [2, 1, 0] {
            assert_eq!(limits.admit(&caller).unwrap().left, left);
        }
        assert_eq!(limits.admit(&caller).unwrap_err().wait, Duration::from_secs(1));
    }
}

#[test]
fn callers_do_not_share_a_quota() {
    let (limits, _clock) = limits(1, 1);
    for caller in [address("192.0.2.1"), address("192.0.2.2"), Caller::Known(CallerId(0))] {
        assert!(limits.admit(&caller).is_ok(), "{caller:?}");
        assert!(limits.admit(&caller).is_err(), "{caller:?}");
    }
}

#[test]
fn changing_prefixes_does_not_raise_the_quota() {
    let (limits, clock) = limits(1, 3);
    let request = |number: u32| limits.admit(&address(&format!("2001:db8:0:{number:x}::1")));
    let admitted = (0..100).filter(|number| request(*number).is_ok()).count();
    assert_eq!(admitted, 4 * 3);
    let refused = request(100).unwrap_err();
    assert_eq!((refused.limit, refused.wait), (Limit::Prefix, Duration::from_millis(250)));
    assert!(limits.admit(&address("2001:db8:1::1")).is_ok(), "other prefixes are not affected");
    clock.advance(Duration::from_millis(250));
    assert!(request(101).is_ok());
}

#[test]
fn failed_credentials_are_counted_by_the_wide_prefix_too() {
    let (limits, _clock) = limits(1, 3);
    let fail = |number: u32| {
        let address = format!("2001:db8:0:{number:x}::1").parse().unwrap();
        limits.may_fail_auth(address).and_then(|()| limits.admit_auth_failure(address)).is_ok()
    };
    assert_eq!((0..100).filter(|number| fail(*number)).count(), 4 * 3);
}

#[test]
fn a_quota_that_is_switched_off_and_on_is_not_refilled() {
    let (limits, _) = limits(1, 60);
    for _ in 0..60 {
        assert!(limits.admit(&address("192.0.2.1")).is_ok());
    }
    let off =
        limits.renewed(&LimitSettings { anonymous: None, ..settings(1, 60) }, NonZeroU32::MIN);
    off.clamp();
    let on = off.renewed(&settings(1, 60), NonZeroU32::MIN);
    on.clamp();
    assert!(on.admit(&address("192.0.2.1")).is_err());
}

#[test]
fn a_caller_over_its_own_quota_spends_nothing_of_the_wide_quota() {
    let (limits, _clock) = limits(1, 3);
    for _ in 0..100 {
        let _ = limits.admit(&address("2001:db8::1"));
    }
    assert_eq!(limits.admit(&address("2001:db8::1")).unwrap_err().limit, Limit::Address);
    for number in 1..=9 {
        let neighbour = format!("2001:db8:0:{number}::1");
        assert!(limits.admit(&address(&neighbour)).is_ok(), "{neighbour}");
    }
}

#[test]
fn a_refusal_by_the_wide_quota_costs_nothing_of_the_own_quota() {
    let (limits, clock) = limits(1, 2);
    let neighbour = |number: u32| address(&format!("2001:db8:0:{number:x}::1"));
    for number in 1..=8 {
        assert!(limits.admit(&neighbour(number)).is_ok());
    }
    let caller = address("2001:db8::1");
    for _ in 0..10 {
        assert_eq!(limits.admit(&caller).unwrap_err().limit, Limit::Prefix);
    }
    clock.advance(Duration::from_secs(1));
    assert!(limits.admit(&caller).is_ok());
    assert!(limits.admit(&caller).is_ok(), "its own burst of two was whole");
    assert_eq!(limits.admit(&caller).unwrap_err().limit, Limit::Address);
}

#[test]
fn the_tightest_quota_is_reported() {
    let (limits, _clock) = limits(1, 3);
    let left = |text: &str| limits.admit(&address(text)).map(|own| (own.limit, own.left));
    assert_eq!(left("2001:db8::1").unwrap(), (Limit::Address, 2));
    for number in 1..=9 {
        left(&format!("2001:db8:0:{number}::1")).unwrap();
    }
    assert_eq!(left("2001:db8:0:a::1").unwrap(), (Limit::Prefix, 1));
}

proptest! {
    #[test]
    fn a_request_passes_exactly_when_the_wait_is_over(
        per_second in 1..5_000_u32,
        burst in 1..50_u32,
    ) {
        let (limits, clock) = limits(per_second, burst);
        let caller = address("192.0.2.1");
        for _ in 0..burst {
            prop_assert!(limits.admit(&caller).is_ok());
        }
        let Throttled { wait, .. } = limits.admit(&caller).unwrap_err();
        clock.advance(wait.saturating_sub(Duration::from_nanos(1)));
        prop_assert!(limits.admit(&caller).is_err(), "one nanosecond early");
        clock.advance(Duration::from_nanos(1));
        prop_assert!(limits.admit(&caller).is_ok(), "on time");
    }
}
