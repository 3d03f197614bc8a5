//! Mapping from each [`UpstreamError`] to the [`Problem`] that the caller receives.

use std::time::Duration;

use super::code::ErrorCode;
use super::problem::{HELP_LATER, HELP_OPERATOR, HELP_WAIT, never, problem};
use crate::limit::{return_wait, whole_millis};
use crate::response::{BucketFields, Problem, Retry};
use crate::upstream::{Refusal, UpstreamError};

pub(super) fn upstream_problem(error: &UpstreamError) -> Problem {
    match error {
        UpstreamError::Auth { .. } => never(
            ErrorCode::UpstreamAuth,
            "ImageKit does not accept this gateway's key.",
            HELP_OPERATOR,
        ),
        UpstreamError::Bad(_) => problem(
            ErrorCode::UpstreamBad,
            "ImageKit's answer could not be used.",
            HELP_LATER,
            Retry::Maybe,
        ),
        UpstreamError::BreakerOpen(refusal) => refused(
            "ImageKit failed several times in a row, so no requests are sent to it for now.",
            *refusal,
        ),
        UpstreamError::Busy { wait, fields } => busy(
            "ImageKit limits this gateway's requests and accepts no more for now.",
            *wait,
            BucketFields { limit: fields.limit, interval_millis: fields.interval_millis },
        ),
        UpstreamError::QueueFull(refusal) => {
            refused("Too many requests are waiting for ImageKit.", *refusal)
        }
        UpstreamError::Spent(Refusal { wait, burst, refill }) => refused(
            "This gateway has used up its budget of requests to ImageKit for now.",
            Refusal { wait: return_wait(*wait, *refill), burst: *burst, refill: *refill },
        ),
        UpstreamError::Timeout { .. } => timeout_problem(),
        UpstreamError::Unreachable { .. } => problem(
            ErrorCode::UpstreamUnreachable,
            "ImageKit could not be reached.",
            HELP_LATER,
            Retry::Maybe,
        ),
    }
}

fn refused(message: &'static str, Refusal { wait, burst, refill }: Refusal) -> Problem {
    let interval_millis = Some(whole_millis(refill));
    busy(message, wait, BucketFields { limit: Some(u64::from(burst)), interval_millis })
}

fn busy(message: &'static str, wait: Duration, bucket: BucketFields) -> Problem {
    problem(ErrorCode::UpstreamBusy, message, HELP_WAIT, Retry::After { wait, bucket })
}

pub(super) fn timeout_problem() -> Problem {
    problem(
        ErrorCode::UpstreamTimeout,
        "ImageKit did not answer in time.",
        HELP_LATER,
        Retry::Maybe,
    )
}
