//! `Cache-Status` (RFC 9211): how the cache took part in one answer.

use std::time::Duration;

use http::StatusCode;

use crate::message::FieldText;

/// What the cache did for one request, in the words of RFC 9211.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CacheStatus {
    /// Answered from a fresh stored response.
    Hit { ttl_left: Duration },
    /// Answered from a stale one, while another is asked for.
    StaleHit { stale_for: Duration },
    /// Answered from what another gateway had fetched.
    SecondLevelHit,
    /// Answered from a stale one, because the upstream had none.
    StaleIfError,
    /// The upstream was asked, for this request or another that it waited with.
    Forwarded(Forwarded),
    /// No lookup happened. The code of the problem is the detail.
    NotConsulted { code: Option<&'static str> },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Forwarded {
    pub reason: FwdReason,
    /// The status that came back, if one did.
    pub status: Option<StatusCode>,
    pub stored: bool,
    /// Waited for a fill that another request had started.
    pub collapsed: bool,
}

/// Why it was forwarded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FwdReason {
    /// A stored response was too old.
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
                // Seconds begun count: what has been stale for half of one has no ttl left.
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
