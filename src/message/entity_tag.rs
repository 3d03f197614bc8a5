//! Entity tags and the one precondition that a version list can meet (RFC 9110 sections 8.8.3
//! and 13.1.2).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use super::request::{FieldName, RequestFields};
use super::{Coding, FieldText};

/// How much of the digest a tag holds: 128 bits, so that two bodies of one file share a tag
/// never in practice.
const DIGEST_BYTES: usize = 16;

/// Base64url without padding of [`DIGEST_BYTES`].
const TEXT_BYTES: usize = 22;

/// What the strong entity tags of one body, in whatever coding, have in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntityTag([u8; TEXT_BYTES]);

/// What `If-None-Match` names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Named {
    /// `*`: whatever there is.
    Any,
    /// The body in this coding.
    Tag(Coding),
}

impl EntityTag {
    /// The tag of these bytes: unpadded base64url of the first half of their SHA-256.
    pub fn of(body: &[u8]) -> Self {
        let digest = Sha256::digest(body);
        let half = digest.get(..DIGEST_BYTES).expect("SHA-256 has 32 bytes");
        let mut text = [0; TEXT_BYTES];
        let length = BASE64_URL_SAFE_NO_PAD.encode_slice(half, &mut text);
        debug_assert_eq!(length, Ok(TEXT_BYTES));
        Self(text)
    }

    /// The tag of the body in `coding`, quotes included.
    pub fn to_text(self, coding: Coding) -> FieldText {
        let mut quoted = FieldText::new("\"");
        quoted.bytes(&self.0).text(suffix(coding)).text("\"");
        quoted
    }

    /// The same as a value.
    pub fn to_field_value(self, coding: Coding) -> HeaderValue {
        self.to_text(coding).to_value()
    }

    /// What `If-None-Match` names of this body, by weak comparison: the first tag of it that is
    /// its own, in any coding.
    ///
    /// A member that is not an entity tag matches nothing, and neither does what follows it: a
    /// tag must be found where the grammar has one, not in the middle of something else.
    pub fn named_in(self, fields: &RequestFields<'_>) -> Option<Named> {
        fields.all(FieldName::IfNoneMatch).find_map(|list| {
            if list.trim_ascii() == b"*" {
                return Some(Named::Any);
            }
            Tags(list).find_map(|tag| self.coding_of(tag)).map(Named::Tag)
        })
    }

    /// Which coding of this body an opaque tag, quotes included, is of.
    fn coding_of(self, tag: &[u8]) -> Option<Coding> {
        let rest = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?.strip_prefix(&self.0)?;
        Coding::ALL.into_iter().find(|coding| rest == suffix(*coding).as_bytes())
    }
}

/// Tells the tags of different codings apart: they are different bytes.
fn suffix(coding: Coding) -> &'static str {
    match coding {
        Coding::Brotli => "-br",
        Coding::Gzip => "-gz",
        Coding::Identity => "",
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
    use crate::message::request::tests::{fields, map};

    fn named(tag: EntityTag, value: &[u8]) -> Option<Named> {
        tag.named_in(&fields(&map(&[("if-none-match", value)])))
    }

    #[test]
    fn a_tag_is_half_of_the_sha_256_of_the_bytes_and_says_the_coding() {
        // printf '[]' | sha256sum | head -c 32 | xxd -r -p | basenc --base64url
        let tag = EntityTag::of(b"[]");
        assert_eq!(tag.to_field_value(Coding::Identity), "\"T1PNoYwrqgwDVLtfmj7L5Q\"");
        assert_eq!(tag.to_field_value(Coding::Brotli), "\"T1PNoYwrqgwDVLtfmj7L5Q-br\"");
        assert_eq!(tag.to_field_value(Coding::Gzip), "\"T1PNoYwrqgwDVLtfmj7L5Q-gz\"");
    }

    #[test]
    fn lists_stars_weak_tags_and_tags_of_any_coding_match() {
        let tag = EntityTag::of(b"[]");
        let own = "\"T1PNoYwrqgwDVLtfmj7L5Q\"";
        let identity = Some(Named::Tag(Coding::Identity));
        for (value, expected) in [
            (own.to_owned(), identity),
            (format!("W/{own}"), identity),
            (format!("\"a\", {own}"), identity),
            (format!("\"a,b\" ,, W/{own},"), identity),
            (" * ".to_owned(), Some(Named::Any)),
            ("\"T1PNoYwrqgwDVLtfmj7L5Q-br\"".to_owned(), Some(Named::Tag(Coding::Brotli))),
            ("W/\"T1PNoYwrqgwDVLtfmj7L5Q-gz\"".to_owned(), Some(Named::Tag(Coding::Gzip))),
            (format!("\"T1PNoYwrqgwDVLtfmj7L5Q-gz\", {own}"), Some(Named::Tag(Coding::Gzip))),
            ("\"T1PNoYwrqgwDVLtfmj7L5Q-xy\"".to_owned(), None),
            ("\"T1PNoYwrqgwDVLtfmj7L5\"".to_owned(), None),
            (String::new(), None),
            ("\"a\"".to_owned(), None),
            (own.trim_matches('"').to_owned(), None),
            (format!("\"a\" {own}"), None),
            (format!("w/{own}"), None),
            (format!("\"*\", x{own}"), None),
            (own.trim_end_matches('"').to_owned(), None),
        ] {
            assert_eq!(named(tag, value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn every_field_line_counts() {
        let tag = EntityTag::of(b"[]");
        let own = tag.to_field_value(Coding::Gzip);
        let map = map(&[("if-none-match", b"\"a\""), ("if-none-match", own.as_bytes())]);
        assert_eq!(tag.named_in(&fields(&map)), Some(Named::Tag(Coding::Gzip)));
    }

    proptest! {
        #[test]
        fn any_value_is_judged_without_panic(value in "[ -~\t]{0,80}") {
            let _ = named(EntityTag::of(b"[]"), value.as_bytes());
        }

        #[test]
        fn a_tag_is_found_anywhere_in_a_well_formed_list(
            before in prop::collection::vec("(W/)?\"[!#-~]{0,8}\"", 0..5),
            after in prop::collection::vec("(W/)?\"[!#-~]{0,8}\"", 0..5),
            coding in prop::sample::select(Coding::ALL.to_vec()),
        ) {
            let tag = EntityTag::of(b"[]");
            let own = tag.to_field_value(coding).to_str().unwrap().to_owned();
            let list = [before, vec![own], after].concat().join(" , ");
            prop_assert_eq!(named(tag, list.as_bytes()), Some(Named::Tag(coding)));
        }
    }
}
