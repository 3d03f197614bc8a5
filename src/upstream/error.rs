//! Why a call brought no answer that can be passed on.

use std::time::Duration;

use http::StatusCode;

use super::rate_fields::RateFields;

/// How a call to the upstream failed.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// 401 or 403: the gateway's key is at fault, never the caller.
    /// Without a status no call left: several in a row had been refused.
    #[error("the upstream refuses the private key")]
    Auth { status: Option<StatusCode> },
    #[error("the upstream's answer cannot be used")]
    Bad(#[source] BadAnswer),
    /// It failed several times in a row: nobody asks for a while.
    #[error("the upstream has failed: not asked for {:?}", .0.wait)]
    BreakerOpen(Refusal),
    /// 429: the account has spent what it may.
    #[error("the upstream asks to wait for {wait:?}")]
    Busy { wait: Duration, fields: RateFields },
    /// More calls are waiting for their turn than are worth waiting behind.
    #[error("too many calls are waiting for the upstream")]
    QueueFull(Refusal),
    /// The budget for calls is spent.
    #[error("the budget is spent for {:?}", .0.wait)]
    Spent(Refusal),
    #[error("no answer within {after:?}")]
    Timeout { after: Duration },
    /// No connection, or none that lasted until an answer began. One that had been used before
    /// may just have been closed for idling: that says nothing of the upstream.
    #[error("the upstream cannot be reached")]
    Unreachable { source: hyper_util::client::legacy::Error, reused: bool },
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub enum BadAnswer {
    #[error("the body ended early")]
    Broken { source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the body has a content coding that was not asked for")]
    Coding,
    #[error("the head cannot be parsed")]
    Head { source: hyper_util::client::legacy::Error },
    /// RFC 9110 section 15: as if it were a 5xx.
    #[error("the status is none")]
    NoStatus { source: hyper_util::client::legacy::Error },
    #[error("the body is not a JSON array")]
    NotAnArray,
    #[error("unexpected status {status}")]
    Status { status: StatusCode },
    #[error("the body is longer than {max} bytes")]
    TooLarge { max: usize },
}

/// A call that did not leave, and what is said about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Until one may, as far as is known.
    pub wait: Duration,
    /// Of the budget for calls.
    pub burst: u32,
    /// In which the whole burst comes back.
    pub refill: Duration,
}

/// The outcome of a call as metrics and logs name it.
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

    pub fn as_str(self) -> &'static str {
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
    /// Whether the upstream had no say: something stale is then better than the error. An answer
    /// that came, and was wrong, is not papered over.
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

    /// Whether it is the upstream that fails, rather than what may be asked of it that is spent.
    pub fn is_upstreams_failure(&self) -> bool {
        self.allows_stale() && !matches!(self, Self::QueueFull(_) | Self::Spent(_))
    }

    /// Whether a call was made at all.
    pub(super) fn has_left(&self) -> bool {
        match self {
            Self::Auth { status } => status.is_some(),
            Self::BreakerOpen(_) | Self::QueueFull(_) | Self::Spent(_) => false,
            Self::Bad(_) | Self::Busy { .. } | Self::Timeout { .. } | Self::Unreachable { .. } => {
                true
            }
        }
    }

    /// Whether the upstream was not there, or said that it was not: what a breaker counts.
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

/// Whether it is a 5xx, or of no class that there is, which counts as one (RFC 9110 section 15).
fn is_of_a_failure(status: StatusCode) -> bool {
    status >= StatusCode::INTERNAL_SERVER_ERROR
}
