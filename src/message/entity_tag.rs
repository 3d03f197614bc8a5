//! Entity tags, and `If-None-Match`, the one precondition that a version list supports (RFC 9110
//! sections 8.8.3 and 13.1.2).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use super::coding::Coding;
use super::field_text::FieldText;
use super::request::{FieldName, RequestFields};

/// Bytes of the digest that a tag holds: 128 bits, so that in practice two bodies of one file never
/// share a tag.
const DIGEST_BYTES: usize = 16;

/// Length of [`DIGEST_BYTES`] in base64url without padding.
const TEXT_BYTES: usize = 22;

/// Common part of the strong entity tags of one body. Each coding adds a suffix to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntityTag([u8; TEXT_BYTES]);

/// Match of `If-None-Match` with a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TagMatch {
    /// `*`: any representation.
    Any,
    /// The body in this coding.
    Tag(Coding),
}

impl EntityTag {
    /// Returns the tag of a body: unpadded base64url of the first half of its SHA-256.
    pub fn of(body: &[u8]) -> Self {
        let digest = Sha256::digest(body);
        let half = digest.get(..DIGEST_BYTES).expect("SHA-256 has 32 bytes");
        let mut text = [0; TEXT_BYTES];
        let length = BASE64_URL_SAFE_NO_PAD.encode_slice(half, &mut text);
        debug_assert_eq!(length, Ok(TEXT_BYTES));
        Self(text)
    }

    /// Returns the tag of the body in `coding`, with its quotes.
    pub fn to_text(self, coding: Coding) -> FieldText {
        let mut quoted = FieldText::new("\"");
        quoted.bytes(&self.0).text(suffix(coding)).text("\"");
        quoted
    }

    /// Returns the tag of the body in `coding` as a field value.
    pub fn to_field_value(self, coding: Coding) -> HeaderValue {
        self.to_text(coding).to_value()
    }

    /// Matches `If-None-Match` with this body by weak comparison. The first tag that is this
    /// body's, in any coding, counts.
    ///
    /// A member that is not an entity tag matches nothing, and neither does the rest of its line: a
    /// tag must stand where the grammar has one, not in the middle of something else.
    pub fn match_in(self, fields: &RequestFields<'_>) -> Option<TagMatch> {
        fields.all(FieldName::IfNoneMatch).find_map(|list| {
            if list.trim_ascii() == b"*" {
                return Some(TagMatch::Any);
            }
            Tags(list).find_map(|tag| self.coding_of(tag)).map(TagMatch::Tag)
        })
    }

    /// Returns the coding that an opaque tag, with its quotes, has of this body.
    fn coding_of(self, tag: &[u8]) -> Option<Coding> {
        let rest = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?.strip_prefix(&self.0)?;
        Coding::ALL.into_iter().find(|coding| rest == suffix(*coding).as_bytes())
    }
}

/// Returns the suffix that tells the tags of different codings apart: their bytes differ.
fn suffix(coding: Coding) -> &'static str {
    match coding {
        Coding::Brotli => "-br",
        Coding::Gzip => "-gz",
        Coding::Identity => "",
    }
}

/// Opaque tags of a list, with their quotes, without the `W/` prefix.
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
        // A comma or the end follows a tag.
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

    fn named(tag: EntityTag, value: &[u8]) -> Option<TagMatch> {
        tag.match_in(&fields(&map(&[("if-none-match", value)])))
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
        let identity = Some(TagMatch::Tag(Coding::Identity));
        for (value, expected) in [
            (own.to_owned(), identity),
            (format!("W/{own}"), identity),
            (format!("\"a\", {own}"), identity),
            (format!("\"a,b\" ,, W/{own},"), identity),
            (" * ".to_owned(), Some(TagMatch::Any)),
            ("\"T1PNoYwrqgwDVLtfmj7L5Q-br\"".to_owned(), Some(TagMatch::Tag(Coding::Brotli))),
            ("W/\"T1PNoYwrqgwDVLtfmj7L5Q-gz\"".to_owned(), Some(TagMatch::Tag(Coding::Gzip))),
            (format!("\"T1PNoYwrqgwDVLtfmj7L5Q-gz\", {own}"), Some(TagMatch::Tag(Coding::Gzip))),
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
        assert_eq!(tag.match_in(&fields(&map)), Some(TagMatch::Tag(Coding::Gzip)));
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
            prop_assert_eq!(named(tag, list.as_bytes()), Some(TagMatch::Tag(coding)));
        }
    }
}
