//! Errors of upstream calls: calls that failed, bad responses, and calls that did not leave.

use std::time::Duration;

use http::StatusCode;

use super::rate_fields::RateFields;

/// Failure of a call to the upstream.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// 401 or 403: the gateway's private key is at fault, never the caller. `None`: no call left,
    /// since several calls in a row had been refused.
    #[error("the upstream refuses the private key")]
    Auth { status: Option<StatusCode> },
    #[error("the upstream's answer cannot be used")]
    Bad(#[source] BadAnswer),
    /// The upstream failed several times in a row: no call leaves for a while.
    #[error("the circuit breaker is open after upstream failures: no call for {:?}", .0.wait)]
    BreakerOpen(Refusal),
    /// 429: the account's rate limit is used up.
    #[error("the upstream answered 429: no call for {wait:?}")]
    Busy { wait: Duration, fields: RateFields },
    /// No call permit is free, or the queue for one is full.
    #[error("no upstream call permit was free in time: too many calls are in flight or waiting")]
    QueueFull(Refusal),
    /// The call budget is spent.
    #[error("the upstream call budget is spent: next call in {:?}", .0.wait)]
    Spent(Refusal),
    #[error("the upstream did not answer within {after:?}")]
    Timeout { after: Duration },
    /// No connection, or one that ended before a response began. `reused`: the connection had
    /// carried a response before. It may have been closed as idle, which says nothing about the
    /// upstream.
    #[error("the upstream cannot be reached")]
    Unreachable { source: hyper_util::client::legacy::Error, reused: bool },
}

/// Defect of a response.
#[derive(Debug, thiserror::Error)]
pub enum BadAnswer {
    #[error("the body ended early or cannot be decoded")]
    Broken { source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the body has a content coding that was not requested")]
    Coding,
    #[error("the response's head cannot be parsed")]
    Head { source: hyper_util::client::legacy::Error },
    /// Treated like a 5xx (RFC 9110 section 15).
    #[error("the response's status is invalid")]
    NoStatus { source: hyper_util::client::legacy::Error },
    #[error("the body is not a JSON array")]
    NotAnArray,
    #[error("unexpected status {status}")]
    Status { status: StatusCode },
    #[error("the body is longer than {max} bytes")]
    TooLarge { max: usize },
}

/// Details of a call that did not leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Time until a call may leave, as far as known.
    pub wait: Duration,
    /// Burst of the call budget, in calls.
    pub burst: u32,
    /// Time in which the whole burst comes back.
    pub refill: Duration,
}

/// Outcome of a call, as metrics and logs name it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum UpstreamOutcome {
    Auth,
    AuthStopped,
    Bad,
    BadRequest,
    BreakerOpen,
    Busy,
    NotFound,
    Ok,
    QueueFull,
    Spent,
    Timeout,
    Unreachable,
}

impl UpstreamOutcome {
    pub const ALL: [Self; 12] = [
        Self::Auth,
        Self::AuthStopped,
        Self::Bad,
        Self::BadRequest,
        Self::BreakerOpen,
        Self::Busy,
        Self::NotFound,
        Self::Ok,
        Self::QueueFull,
        Self::Spent,
        Self::Timeout,
        Self::Unreachable,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthStopped => "auth_stopped",
            Self::Bad => "bad",
            Self::BadRequest => "bad_request",
            Self::BreakerOpen => "breaker_open",
            Self::Busy => "busy",
            Self::NotFound => "not_found",
            Self::Ok => "ok",
            Self::QueueFull => "queue_full",
            Self::Spent => "budget",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
        }
    }
}

impl UpstreamError {
    /// Returns whether a stale response is better than this error.
    ///
    /// It is not for a response that came and is wrong: a head that cannot be parsed, another
    /// coding, no array, too large, or a status that is neither expected nor a failure's.
    pub fn allows_stale(&self) -> bool {
        match self {
            Self::Auth { .. }
            | Self::BreakerOpen(_)
            | Self::Busy { .. }
            | Self::QueueFull(_)
            | Self::Spent(_)
            | Self::Timeout { .. }
            | Self::Unreachable { .. }
            | Self::Bad(BadAnswer::Broken { .. } | BadAnswer::NoStatus { .. }) => true,
            Self::Bad(BadAnswer::Status { status }) => is_of_a_failure(*status),
            Self::Bad(
                BadAnswer::Coding
                | BadAnswer::Head { .. }
                | BadAnswer::NotAnArray
                | BadAnswer::TooLarge { .. },
            ) => false,
        }
    }

    /// Returns whether the upstream failed, rather than the gateway's own queue being full or its
    /// budget spent.
    pub fn is_upstreams_failure(&self) -> bool {
        self.allows_stale() && !matches!(self, Self::QueueFull(_) | Self::Spent(_))
    }

    /// Returns whether the call left the gateway.
    pub(super) fn has_left(&self) -> bool {
        match self {
            Self::Auth { status } => status.is_some(),
            Self::BreakerOpen(_) | Self::QueueFull(_) | Self::Spent(_) => false,
            Self::Bad(_) | Self::Busy { .. } | Self::Timeout { .. } | Self::Unreachable { .. } => {
                true
            }
        }
    }

    /// Returns whether the breaker counts this error: the upstream was down, or said so.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::Bad(
                BadAnswer::Broken { .. } | BadAnswer::Head { .. } | BadAnswer::NoStatus { .. },
            ) => true,
            Self::Bad(BadAnswer::Status { status }) => is_of_a_failure(*status),
            Self::Unreachable { reused, .. } => !reused,
            Self::Auth { .. }
            | Self::Bad(_)
            | Self::BreakerOpen(_)
            | Self::Busy { .. }
            | Self::QueueFull(_)
            | Self::Spent(_) => false,
        }
    }

    pub fn outcome(&self) -> UpstreamOutcome {
        match self {
            Self::Auth { status: Some(_) } => UpstreamOutcome::Auth,
            Self::Auth { status: None } => UpstreamOutcome::AuthStopped,
            Self::Bad(_) => UpstreamOutcome::Bad,
            Self::BreakerOpen(_) => UpstreamOutcome::BreakerOpen,
            Self::Busy { .. } => UpstreamOutcome::Busy,
            Self::QueueFull(_) => UpstreamOutcome::QueueFull,
            Self::Spent(_) => UpstreamOutcome::Spent,
            Self::Timeout { .. } => UpstreamOutcome::Timeout,
            Self::Unreachable { .. } => UpstreamOutcome::Unreachable,
        }
    }
}

/// Returns whether a status is a 5xx. A status of no known class counts as one (RFC 9110 section
/// 15).
fn is_of_a_failure(status: StatusCode) -> bool {
    status >= StatusCode::INTERNAL_SERVER_ERROR
}
