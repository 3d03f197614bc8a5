//! Check of `[limits]`, and of the quotas in every section.

use std::num::NonZeroU32;

use super::super::value::{Given, Section};
use crate::caller::AnonymousPolicy;
use crate::limit::{CallerQuota, Enforcement, Ipv6Limits, LimitSettings, Quota};

/// Maximum of tracked callers. Each takes 64 bytes, in five tables.
const TRACKED_MAX: usize = 10_000_000;
const AUTH_FAILURES: Quota = Quota::new(10, 100).expect("neither is zero");
const ANONYMOUS_QUOTA: Quota = Quota::new(10, 20).expect("neither is zero");
/// Highest rate and burst. One cell of a higher rate would be shorter than a microsecond.
const RATE_MAX: u32 = 1_000_000;

/// Quotas that are configured outside `[limits]`, with the callers or tokens that they are for.
pub(super) struct Quotas {
    pub(super) callers: Vec<CallerQuota>,
    pub(super) tokens: Option<Quota>,
}

pub(super) fn limits(
    limits: &mut Section,
    on_loopback: bool,
    Quotas { callers, tokens }: Quotas,
) -> (AnonymousPolicy, LimitSettings) {
    let (policy, anonymous) = anonymous(limits, on_loopback);
    let tracked = limits.get("max_tracked_callers", |given| given.integer(&(1..=TRACKED_MAX)));
    let dry_run = limits.get("dry_run", |given| given.boolean().ok_or("must be true or false"));
    let settings = LimitSettings {
        anonymous,
        auth_failures: quota(limits, "auth_failures", AUTH_FAILURES),
        enforcement: match dry_run {
            Some(true) => Enforcement::DryRun,
            Some(false) | None => Enforcement::Refuse,
        },
        ipv6: ipv6(&mut limits.section("ipv6")),
        max_tracked_callers: tracked.unwrap_or(100_000),
        callers,
        tokens,
    };
    (policy, settings)
}

fn anonymous(limits: &mut Section, on_loopback: bool) -> (AnonymousPolicy, Option<Quota>) {
    if !on_loopback && !limits.has("anonymous") {
        let message = "must be set when server.listen is not only loopback: a quota like \
                       { per_second = 10, burst = 20 }, or false to refuse callers without a key";
        limits.note("anonymous", message);
    }
    if limits.has("anonymous") && !limits.is_table("anonymous") {
        let refused = limits.get("anonymous", |given| match given.boolean() {
            Some(false) => Ok(AnonymousPolicy::Refuse),
            _ => Err("must be a quota like { per_second = 10, burst = 20 }, or false"),
        });
        return (refused.unwrap_or(AnonymousPolicy::Refuse), None);
    }
    (AnonymousPolicy::Serve, Some(quota(limits, "anonymous", ANONYMOUS_QUOTA)))
}

fn ipv6(ipv6: &mut Section) -> Ipv6Limits {
    let prefix = ipv6.get("prefix", |given| given.integer(&(1..=128_u8))).unwrap_or(64);
    let wide = ipv6.get("wide_prefix", |given| given.integer(&(1..=128_u8))).unwrap_or(48);
    if wide > prefix {
        ipv6.note("wide_prefix", "must not be more than prefix");
    }
    let factor = |given: &Given| given.integer(&(1..=1000_u32)).map(NonZeroU32::new);
    let factor = ipv6.get("wide_factor", factor).flatten();
    let wide_factor = factor.unwrap_or(const { NonZeroU32::new(4).expect("not zero") });
    Ipv6Limits { prefix, wide_prefix: wide, wide_factor }
}

pub(super) fn quota(section: &mut Section, key: &str, default: Quota) -> Quota {
    let mut quota = section.section(key);
    let number = |given: &Given| given.integer(&(1..=RATE_MAX)).map(NonZeroU32::new);
    let per_second = quota.get("per_second", number).flatten();
    let burst = quota.get("burst", number).flatten();
    default.with(per_second, burst)
}
