//! Mapping from each [`UpstreamError`] to the [`Problem`] that the caller receives.

use std::time::Duration;

use http::StatusCode;

use super::problems::{HELP_LATER, HELP_OPERATOR, HELP_WAIT, never};
use crate::response::{BucketFields, Connection, Problem, Retry};
use crate::upstream::{Refusal, UpstreamError};

pub(super) fn upstream_problem(error: &UpstreamError) -> Problem {
    let problem = |status, code, message: &'static str, help, retry| Problem {
        status,
        code,
        message: message.into(),
        help,
        retry,
        allowed: None,
        connection: Connection::Keep,
    };
    match error {
        UpstreamError::Auth { .. } => never(
            StatusCode::BAD_GATEWAY,
            "upstream_auth",
            "ImageKit does not accept this gateway's key.",
            HELP_OPERATOR,
        ),
        UpstreamError::Bad(_) => problem(
            StatusCode::BAD_GATEWAY,
            "upstream_bad",
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
        UpstreamError::Spent(refusal) => refused(
            "This gateway has used up its budget of requests to ImageKit for now.",
            *refusal,
        ),
        UpstreamError::Timeout { .. } => timeout_problem(),
        UpstreamError::Unreachable { .. } => problem(
            StatusCode::BAD_GATEWAY,
            "upstream_unreachable",
            "ImageKit could not be reached.",
            HELP_LATER,
            Retry::Maybe,
        ),
    }
}

fn refused(message: &'static str, Refusal { wait, burst, refill }: Refusal) -> Problem {
    let interval_millis = u64::try_from(refill.as_nanos().div_ceil(1_000_000)).ok();
    busy(message, wait, BucketFields { limit: Some(u64::from(burst)), interval_millis })
}

fn busy(message: &'static str, wait: Duration, bucket: BucketFields) -> Problem {
    Problem {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: "upstream_busy",
        message: message.into(),
        help: HELP_WAIT,
        retry: Retry::After { wait, bucket },
        allowed: None,
        connection: Connection::Keep,
    }
}

pub(super) fn timeout_problem() -> Problem {
    Problem {
        status: StatusCode::GATEWAY_TIMEOUT,
        code: "upstream_timeout",
        message: "ImageKit did not answer in time.".into(),
        help: HELP_LATER,
        retry: Retry::Maybe,
        allowed: None,
        connection: Connection::Keep,
    }
}
