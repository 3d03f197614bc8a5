//! Keys of `[limits]`: quotas, and how callers are told apart.

use super::super::spec::KeyDefault::Value;
use super::super::spec::{Kind, Presence, SectionSpec, live, restart};

pub(super) const LIMITS: SectionSpec = SectionSpec {
    name: "limits",
    presence: Presence::Always,
    about: "",
    page: None,
    keys: &[
        live(
            "anonymous",
            Kind::Quota,
            Value("{ per_second = 10, burst = 20 }"),
            "Quota of each address without a key; `false` refuses them. It must be set if a \
             listener is off loopback.",
        ),
        live(
            "ipv6",
            Kind::Table(&[Kind::Bits, Kind::Bits, Kind::Factor]),
            Value("{ prefix = 64, wide_prefix = 48, wide_factor = 4 }"),
            "Addresses with the same `prefix` are one caller; those with the same `wide_prefix` \
             share `wide_factor` times its quota.",
        ),
        live(
            "auth_failures",
            Kind::Quota,
            Value("{ per_second = 10, burst = 100 }"),
            "Quota of each address for credentials that fail. When it is spent, known keys and tokens \
             that were accepted before still pass.",
        ),
        live(
            "dry_run",
            Kind::Boolean,
            Value("false"),
            "`true`: a request over a caller's quota is counted, and served.",
        ),
        restart(
            "max_tracked_callers",
            Kind::Count,
            Value("100000"),
            "Most callers that each table tracks at a time. There are five tables of about 64 \
             bytes a caller, and in a fleet one of about 190.",
        ),
    ],
};
