//! Parser of the `Authorization` field: a caller's key or a token.

use std::ops::Deref;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use zeroize::Zeroizing;

use crate::secret::{Secret, is_one_word};

/// Credential as the client sent it. It is copied only where that cannot be avoided: a copy has to
/// be wiped, which costs more than everything else that is done with it.
pub(super) enum Credential<'a> {
    Sent(&'a str),
    Decoded(Secret),
}

impl<'a> Credential<'a> {
    /// Reads `Bearer CREDENTIAL`, or `Basic` with the credential as user name. The password is
    /// ignored, with any octets: ImageKit's SDKs send none, or a fixed word.
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let (scheme, rest) = std::str::from_utf8(value).ok()?.split_once(' ')?;
        let rest = rest.trim_matches(' ');
        let credential = if scheme.eq_ignore_ascii_case("bearer") {
            Self::Sent(rest)
        } else if scheme.eq_ignore_ascii_case("basic") {
            let pair = Zeroizing::new(BASE64_STANDARD.decode(rest).ok()?);
            // The password is in the charset that its client chose (RFC 7617 section 2).
            let name = pair.get(..pair.iter().position(|&byte| byte == b':')?)?;
            Self::Decoded(Secret::new(std::str::from_utf8(name).ok()?.to_owned()))
        } else {
            return None;
        };
        is_one_word(&credential).then_some(credential)
    }
}

/// Returns whether a value that cannot be read as a credential has a text with this prefix: as a
/// whole, or after the scheme, where base64 may hide it.
pub(super) fn holds_word(value: &[u8], prefix: &str) -> bool {
    let begins = |bytes: &[u8]| bytes.trim_ascii_start().starts_with(prefix.as_bytes());
    let scheme = value.iter().position(|&byte| byte == b' ');
    let rest = scheme.and_then(|end| value.get(end..)).unwrap_or_default().trim_ascii();
    let decoded = BASE64_STANDARD.decode(rest).map(Zeroizing::new);
    begins(value) || begins(rest) || decoded.is_ok_and(|decoded| begins(&decoded))
}

impl Deref for Credential<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Sent(text) => text,
            Self::Decoded(secret) => secret.expose(),
        }
    }
}
