//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10): what a caller
//! may send, and how it stands.

use http::HeaderValue;
use http::header::HeaderName;

use crate::limit::{Quota, Standing};
use crate::message::{FieldText, Fields};

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Both fields of one caller, as far as they are the same for each of its requests.
pub struct RateLimitFields {
    policy: HeaderValue,
    /// `"name";r=`
    start: String,
}

impl RateLimitFields {
    /// `name` must be fit for a quoted string as it is: visible ASCII without `"` and `\`.
    pub fn new(name: &str, quota: Quota) -> Self {
        let window = whole_seconds(quota.refill().as_nanos());
        let policy = format!("\"{name}\";q={};w={window}", quota.burst);
        Self {
            policy: HeaderValue::from_str(&policy).expect("names are checked when configured"),
            start: format!("\"{name}\";r="),
        }
    }

    pub(super) fn write(&self, fields: &mut impl Fields, standing: Standing) {
        let until_full = whole_seconds(standing.until_full().as_nanos());
        let mut text = FieldText::new(&self.start);
        text.number(u64::from(standing.left)).text(";t=").number(until_full);
        fields.put_text(RATELIMIT, &text);
        fields.put(RATELIMIT_POLICY, self.policy.clone());
    }
}

/// Rounded up: a caller that waits this long has waited long enough.
fn whole_seconds(nanos: u128) -> u64 {
    u64::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::limit::Limit;

    #[test]
    fn both_fields_say_how_the_caller_stands() {
        let quota = Quota::new(10, 25).unwrap();
        let mut fields = HeaderMap::new();
        RateLimitFields::new("web-team", quota)
            .write(&mut fields, Standing { limit: Limit::Caller, quota, left: 14 });
        assert_eq!(fields.get(RATELIMIT_POLICY).unwrap(), "\"web-team\";q=25;w=3");
        assert_eq!(fields.get(RATELIMIT).unwrap(), "\"web-team\";r=14;t=2");
    }
}
