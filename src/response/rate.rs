//! `RateLimit` and `RateLimit-Policy` fields (draft-ietf-httpapi-ratelimit-headers-10): a caller's
//! quota and what is left of it.

use http::HeaderValue;

use crate::limit::{Quota, QuotaStatus};
use crate::message::{FieldText, Fields, ResponseField};

/// Both fields of one caller, prepared as far as they are the same for each of its requests.
pub struct RateLimitFields {
    policy: HeaderValue,
    /// Beginning of `RateLimit`: `"name";r=`
    start: String,
}

impl RateLimitFields {
    /// Prepares the fields. `name` must fit into a quoted string unchanged: visible ASCII without
    /// `"` and `\`.
    pub fn new(name: &str, quota: Quota) -> Self {
        let window = whole_seconds(quota.refill().as_nanos());
        let policy = format!("\"{name}\";q={};w={window}", quota.burst);
        Self {
            policy: HeaderValue::from_str(&policy).expect("names are checked when configured"),
            start: format!("\"{name}\";r="),
        }
    }

    pub(super) fn write(&self, fields: &mut impl Fields, quota_status: QuotaStatus) {
        let until_full = whole_seconds(quota_status.until_full().as_nanos());
        let mut text = FieldText::new(&self.start);
        text.number(u64::from(quota_status.left)).text(";t=").number(until_full);
        fields.put_bytes(ResponseField::RateLimit, text.as_bytes());
        fields.put(ResponseField::RateLimitPolicy, &self.policy);
    }
}

/// Returns seconds, rounded up: a caller that waits for that long has waited long enough.
fn whole_seconds(nanos: u128) -> u64 {
    u64::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;
    use crate::message::FieldMap;

    #[test]
    fn both_fields_say_how_the_caller_stands() {
        let quota = Quota::new(10, 25).unwrap();
        let mut fields = FieldMap::default();
        RateLimitFields::new("web-team", quota)
            .write(&mut fields, QuotaStatus { limit: Limit::Caller, quota, left: 14 });
        let fields = fields.take_map();
        assert_eq!(fields.get("ratelimit-policy").unwrap(), "\"web-team\";q=25;w=3");
        assert_eq!(fields.get("ratelimit").unwrap(), "\"web-team\";r=14;t=2");
    }
}
