//! `Cache-Status` (RFC 9211): how the cache took part in one answer.

use std::time::Duration;

use http::header::HeaderName;
use http::{HeaderValue, StatusCode};

/// What the cache did for one request, in the words of RFC 9211.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CacheStatus {
    /// Answered from a fresh stored response.
    Hit { ttl_left: Duration },
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
    pub const FIELD: HeaderName = HeaderName::from_static("cache-status");

    /// The field's value. Written without `format!`: it stands on every answer.
    pub fn to_field_value(self) -> HeaderValue {
        let mut text = Vec::with_capacity(64);
        text.extend_from_slice(b"ikgate");
        match self {
            Self::Hit { ttl_left } => {
                text.extend_from_slice(b"; hit; ttl=");
                text.extend_from_slice(itoa::Buffer::new().format(ttl_left.as_secs()).as_bytes());
            }
            Self::Forwarded(forwarded) => forwarded.write(&mut text),
            Self::NotConsulted { code: None } => {}
            Self::NotConsulted { code: Some(code) } => {
                text.extend_from_slice(b"; detail=");
                text.extend_from_slice(code.as_bytes());
            }
        }
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).expect("written from ASCII")
    }
}

impl Forwarded {
    fn write(self, text: &mut Vec<u8>) {
        text.extend_from_slice(match self.reason {
            FwdReason::Stale => b"; fwd=stale",
            FwdReason::UriMiss => b"; fwd=uri-miss",
        });
        if let Some(status) = self.status {
            text.extend_from_slice(b"; fwd-status=");
            text.extend_from_slice(status.as_str().as_bytes());
        }
        if self.stored {
            text.extend_from_slice(b"; stored");
        }
        if self.collapsed {
            text.extend_from_slice(b"; collapsed");
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
            assert_eq!(status.to_field_value(), expected, "{status:?}");
        }
    }
}
