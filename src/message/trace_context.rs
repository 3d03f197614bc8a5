//! `traceparent`: the trace that a request is part of (W3C Trace Context, sections 3.2 and 4.3).

use http::HeaderValue;
use http::header::HeaderName;

use super::field_text::FieldText;
use super::request::{FieldName, RequestFields};

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Length of a version 00 value: `00-{trace id}-{parent id}-{flags}`, in lower-case hex.
const LENGTH: usize = 55;

/// Trace of a request, without the span that led here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceContext {
    trace_id: [u8; 32],
    /// The only flag that version 00 defines.
    sampled: bool,
}

impl TraceContext {
    /// Reads the field. Returns `None` if it does not occur exactly once, or is not well-formed.
    pub fn of(fields: &RequestFields<'_>) -> Option<Self> {
        Self::parse(fields.only(FieldName::TraceParent)?)
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let (first, rest) = value.split_at_checked(LENGTH)?;
        let mut parts = first.split(|&byte| byte == b'-');
        let (version, trace_id) = (parts.next()?, parts.next()?);
        let (parent_id, flags) = (parts.next()?, parts.next()?);
        // Later versions may append more fields.
        let ends = rest.is_empty() || (version != b"00" && rest.first() == Some(&b'-'));
        let well_formed = parts.next().is_none()
            && [version, trace_id, parent_id, flags].into_iter().all(is_hex)
            && (version.len(), parent_id.len()) == (2, 16)
            && version != b"ff"
            && [trace_id, parent_id].iter().all(|id| id.iter().any(|&digit| digit != b'0'));
        let &[_, last] = flags else { return None };
        let sampled = char::from(last).to_digit(16)? % 2 == 1;
        let context = Self { trace_id: trace_id.try_into().ok()?, sampled };
        (ends && well_formed).then_some(context)
    }

    pub fn trace_id(&self) -> &str {
        std::str::from_utf8(&self.trace_id).unwrap_or_default()
    }

    /// Returns the field for a request that is `span` of this trace. Of the flags, only `sampled`
    /// is forwarded (section 3.2.2.5.2).
    pub fn to_field_value(self, span: u64) -> HeaderValue {
        // Zero would mean that there is no span.
        let span = format!("{:016x}", span.max(1));
        let flags = if self.sampled { "01" } else { "00" };
        let mut text = FieldText::new("00-");
        text.text(self.trace_id()).text("-").text(&span).text("-").text(flags).to_value()
    }
}

fn is_hex(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use crate::message::request::tests::{fields, map};
    use proptest::prelude::*;

    use super::*;

    // Trace id of the specification's example.
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const WHOLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_is_carried_on_with_another_step() {
        let context = TraceContext::parse(WHOLE.as_bytes()).unwrap();
        assert_eq!(context.trace_id(), TRACE);
        let next = context.to_field_value(0xabc);
        assert_eq!(next, format!("00-{TRACE}-0000000000000abc-01"));
        assert_eq!(TraceContext::parse(next.as_bytes()), Some(context));
    }

    #[test]
    fn what_is_not_well_formed_is_no_trace() {
        let zeros = "0".repeat(32);
        for value in [
            String::new(),
            WHOLE.to_uppercase(),
            format!("{WHOLE}-more"),
            WHOLE.replace("00-", "ff-"),
            WHOLE.replace(TRACE, &zeros),
            WHOLE.replace("b7ad6b7169203331", "0000000000000000"),
            WHOLE.replace('-', "_"),
            WHOLE.replace("-01", "-0"),
            WHOLE.replace(TRACE, &TRACE.replace('a', "g")),
            format!("00-{TRACE}b7ad6b7169203331-01--"),
        ] {
            assert_eq!(TraceContext::parse(value.as_bytes()), None, "{value}");
        }
        let later = format!("{}-more", WHOLE.replacen("00", "cc", 1));
        assert!(TraceContext::parse(later.as_bytes()).is_some());
        let line = ("traceparent", WHOLE.as_bytes());
        assert!(TraceContext::of(&fields(&map(&[line]))).is_some());
        assert_eq!(TraceContext::of(&fields(&map(&[line, line]))), None, "which of the two?");
    }

    #[test]
    fn only_the_sampled_flag_and_version_00_go_on() {
        for (version, flags, more, sent) in [
            ("00", "00", "", "00"),
            ("00", "01", "", "01"),
            ("00", "02", "", "00"),
            ("00", "ff", "", "01"),
            ("00", "fe", "", "00"),
            ("00", "0b", "", "01"),
            ("cc", "03", "-more", "01"),
            ("01", "fe", "", "00"),
        ] {
            let value = format!("{version}-{TRACE}-b7ad6b7169203331-{flags}{more}");
            let next = TraceContext::parse(value.as_bytes()).unwrap().to_field_value(1);
            assert_eq!(next, format!("00-{TRACE}-0000000000000001-{sent}"), "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_value_is_judged_without_panic(value in "[0-9a-f-]{50,60}|[ -~]{0,70}") {
            if let Some(context) = TraceContext::parse(value.as_bytes()) {
                prop_assert!(value.contains(context.trace_id()));
                let next = context.to_field_value(1);
                prop_assert_eq!(TraceContext::parse(next.as_bytes()), Some(context));
            }
        }
    }
}
