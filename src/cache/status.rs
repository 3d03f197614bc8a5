//! `Cache-Status` (RFC 9211): the cache's part in one response.

use std::time::Duration;

use http::StatusCode;

use crate::message::FieldText;

/// Part of the cache in one response, in the terms of RFC 9211.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CacheStatus {
    /// Answered from a fresh stored response.
    Hit { ttl_left: Duration },
    /// Answered from a stale response, without waiting for a new one.
    StaleHit { stale_for: Duration },
    /// Answered from the second-level cache: another gateway had fetched the response.
    SecondLevelHit,
    /// Answered from a stale response, because no new one could be fetched.
    StaleIfError,
    /// Forwarded to the upstream, for this request or for one whose fill it joined.
    Forwarded(Forwarded),
    /// The response does not depend on what is stored. `code` is the code of the problem, sent as
    /// the detail.
    NotConsulted { code: Option<&'static str> },
}

/// Details of a request that was forwarded to the upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Forwarded {
    pub reason: FwdReason,
    /// Status of the upstream's response, if one came.
    pub status: Option<StatusCode>,
    pub stored: bool,
    /// Whether the request waited for a fill that another request had started.
    pub collapsed: bool,
}

/// Reason for the forwarding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FwdReason {
    /// The stored response was too old.
    Stale,
    /// Nothing was stored.
    UriMiss,
}

impl CacheStatus {
    pub fn to_text(self) -> FieldText {
        let mut text = FieldText::new("ikgate");
        match self {
            Self::Hit { ttl_left } => {
                text.text("; hit; ttl=").number(ttl_left.as_secs());
            }
            Self::StaleHit { stale_for } => {
                // Seconds round up: a response that has been stale for half a second has no ttl
                // left.
                let seconds = stale_for.as_secs() + u64::from(stale_for.subsec_nanos() > 0);
                text.text("; hit; ttl=").text(if seconds > 0 { "-" } else { "" }).number(seconds);
            }
            Self::SecondLevelHit => {
                text.text("; hit; detail=l2");
            }
            Self::StaleIfError => {
                text.text("; fwd=stale; detail=stale-if-error");
            }
            Self::Forwarded(forwarded) => forwarded.write(&mut text),
            Self::NotConsulted { code: None } => {}
            Self::NotConsulted { code: Some(code) } => {
                text.text("; detail=").text(code);
            }
        }
        text
    }
}

impl Forwarded {
    fn write(self, text: &mut FieldText) {
        text.text(match self.reason {
            FwdReason::Stale => "; fwd=stale",
            FwdReason::UriMiss => "; fwd=uri-miss",
        });
        if let Some(status) = self.status {
            text.text("; fwd-status=").text(status.as_str());
        }
        if self.stored {
            text.text("; stored");
        }
        if self.collapsed {
            text.text("; collapsed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_through_the_cache_has_its_words() {
        let forwarded = |reason, status, stored, collapsed| {
            CacheStatus::Forwarded(Forwarded { reason, status, stored, collapsed })
        };
        let ok = Some(StatusCode::OK);
        let table = [
            (CacheStatus::Hit { ttl_left: Duration::from_millis(41_999) }, "ikgate; hit; ttl=41"),
            (CacheStatus::StaleHit { stale_for: Duration::ZERO }, "ikgate; hit; ttl=0"),
            (CacheStatus::StaleHit { stale_for: Duration::from_millis(1) }, "ikgate; hit; ttl=-1"),
            (CacheStatus::StaleHit { stale_for: Duration::from_secs(7) }, "ikgate; hit; ttl=-7"),
            (CacheStatus::SecondLevelHit, "ikgate; hit; detail=l2"),
            (CacheStatus::StaleIfError, "ikgate; fwd=stale; detail=stale-if-error"),
            (
                forwarded(FwdReason::UriMiss, ok, true, false),
                "ikgate; fwd=uri-miss; fwd-status=200; stored",
            ),
            (
                forwarded(FwdReason::Stale, ok, true, true),
                "ikgate; fwd=stale; fwd-status=200; stored; collapsed",
            ),
            (forwarded(FwdReason::UriMiss, None, false, false), "ikgate; fwd=uri-miss"),
            (CacheStatus::NotConsulted { code: Some("throttled") }, "ikgate; detail=throttled"),
            (CacheStatus::NotConsulted { code: None }, "ikgate"),
        ];
        for (status, expected) in table {
            assert_eq!(status.to_text().to_value(), expected, "{status:?}");
        }
    }
}
