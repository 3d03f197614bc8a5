//! Check of `[limits]`: quotas, and how callers are told apart.

use std::num::NonZeroU32;

use super::super::given::Given;
use super::super::section::Section;
use super::quota::quota;
use crate::caller::AnonymousPolicy;
use crate::limit::{CallerQuota, Enforcement, Ipv6Limits, LimitSettings, Quota};

/// Maximum of tracked callers. Each takes 64 bytes in each of five tables.
const TRACKED_MAX: usize = 10_000_000;

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
    let max_tracked_callers =
        limits.get("max_tracked_callers", |given| given.integer(&(1..=TRACKED_MAX)));
    let dry_run = limits.get("dry_run", Given::boolean);
    let settings = LimitSettings {
        anonymous,
        auth_failures: quota(limits, "auth_failures"),
        enforcement: if dry_run { Enforcement::DryRun } else { Enforcement::Refuse },
        ipv6: ipv6(&mut limits.section("ipv6")),
        max_tracked_callers,
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
        let refused = limits.optional("anonymous", |given| match given.boolean() {
            Ok(false) => Ok(AnonymousPolicy::Refuse),
            _ => Err("must be a quota like { per_second = 10, burst = 20 }, or false"),
        });
        return (refused.unwrap_or(AnonymousPolicy::Refuse), None);
    }
    (AnonymousPolicy::Serve, Some(quota(limits, "anonymous")))
}

fn ipv6(ipv6: &mut Section) -> Ipv6Limits {
    let bits = |given: &Given| given.integer(&(1..=128_u8));
    let (prefix, wide_prefix) = (ipv6.get("prefix", bits), ipv6.get("wide_prefix", bits));
    if wide_prefix > prefix {
        ipv6.note("wide_prefix", "must not be more than prefix");
    }
    let wide_factor = ipv6.get("wide_factor", |given| {
        let factor = given.integer(&(1..=1000_u32))?;
        NonZeroU32::new(factor).ok_or_else(|| "must not be zero".to_owned())
    });
    Ipv6Limits { prefix, wide_prefix, wide_factor }
}
