//! Entity tags and the one precondition that a version list can meet (RFC 9110 sections 8.8.3
//! and 13.1.2).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};

/// How much of the digest a tag holds: 128 bits, so that two bodies of one file share a tag
/// never in practice.
const DIGEST_BYTES: usize = 16;

/// A strong entity tag, quotes included, ready to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntityTag(HeaderValue);

impl EntityTag {
    /// The tag of these bytes: unpadded base64url of the first half of their SHA-256.
    pub fn of(body: &[u8]) -> Self {
        let digest = Sha256::digest(body);
        let half = digest.get(..DIGEST_BYTES).expect("SHA-256 has 32 bytes");
        let tag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(half));
        Self(HeaderValue::from_str(&tag).expect("base64url is visible ASCII"))
    }

    pub fn as_field_value(&self) -> &HeaderValue {
        &self.0
    }

    /// Whether `If-None-Match` names this tag, compared weakly, or is `*`.
    ///
    /// A member that is not an entity tag matches nothing, and so does what follows it: a tag
    /// must be found where the grammar has one, not in the middle of something else.
    pub fn is_named_by(&self, fields: &HeaderMap) -> bool {
        let own = self.0.as_bytes();
        fields.get_all(IF_NONE_MATCH).iter().any(|list| {
            list.as_bytes().trim_ascii() == b"*" || Tags(list.as_bytes()).any(|tag| tag == own)
        })
    }
}

/// The opaque tags of a list, quotes included, weakness dropped.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // Empty list elements are allowed (RFC 9110 section 5.6.1.2).
        let skipped = self.0.iter().take_while(|byte| matches!(byte, b',' | b' ' | b'\t')).count();
        let rest = self.0.get(skipped..)?;
        let rest = rest.strip_prefix(b"W/").unwrap_or(rest);
        let opaque = rest.strip_prefix(b"\"")?;
        let length = opaque.iter().position(|&byte| byte == b'"')?;
        let (tag, rest) = rest.split_at_checked(length + 2)?;
        // After a tag comes a comma or the end.
        self.0 = match rest.trim_ascii_start() {
            [] => &[],
            rest @ [b',', ..] => rest,
            _ => return None,
        };
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(tag: &EntityTag, value: &[u8]) -> bool {
        let mut fields = HeaderMap::new();
        fields.insert(IF_NONE_MATCH, HeaderValue::from_bytes(value).unwrap());
        tag.is_named_by(&fields)
    }

    #[test]
    fn a_tag_is_half_of_the_sha_256_of_the_bytes() {
        // printf '[]' | sha256sum | head -c 32 | xxd -r -p | basenc --base64url
        assert_eq!(EntityTag::of(b"[]").as_field_value(), "\"T1PNoYwrqgwDVLtfmj7L5Q\"");
    }

    #[test]
    fn lists_stars_and_weak_tags_match() {
        let tag = EntityTag::of(b"[]");
        let own = "\"T1PNoYwrqgwDVLtfmj7L5Q\"";
        for value in [
            own.to_owned(),
            format!("W/{own}"),
            format!("\"a\", {own}"),
            format!("\"a,b\" ,, W/{own},"),
            " * ".to_owned(),
        ] {
            assert!(named(&tag, value.as_bytes()), "{value}");
        }
        for value in [
            String::new(),
            "\"a\"".to_owned(),
            own.trim_matches('"').to_owned(),
            format!("\"a\" {own}"),
            format!("w/{own}"),
            format!("\"*\", x{own}"),
            own.trim_end_matches('"').to_owned(),
        ] {
            assert!(!named(&tag, value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn every_field_line_counts() {
        let tag = EntityTag::of(b"[]");
        let mut fields = HeaderMap::new();
        fields.append(IF_NONE_MATCH, HeaderValue::from_static("\"a\""));
        fields.append(IF_NONE_MATCH, tag.as_field_value().clone());
        assert!(tag.is_named_by(&fields));
    }

    proptest! {
        #[test]
        fn any_value_is_judged_without_panic(value in "[ -~\t]{0,80}") {
            let _ = named(&EntityTag::of(b"[]"), value.as_bytes());
        }

        #[test]
        fn a_tag_is_found_anywhere_in_a_well_formed_list(
            before in prop::collection::vec("(W/)?\"[!#-~]{0,8}\"", 0..5),
            after in prop::collection::vec("(W/)?\"[!#-~]{0,8}\"", 0..5),
        ) {
            let tag = EntityTag::of(b"[]");
            let own = tag.as_field_value().to_str().unwrap().to_owned();
            let list = [before, vec![own], after].concat().join(" , ");
            prop_assert!(named(&tag, list.as_bytes()));
        }
    }
}
