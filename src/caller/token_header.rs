//! Header of a token: the fields that select a key or refuse the token (RFC 7515 section 4.1).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// Fields of a token's header that are checked.
#[derive(Deserialize)]
pub(super) struct TokenHeader {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    /// Whether `crit` is present, with any value: this gateway knows no extensions.
    #[serde(default, deserialize_with = "is_present")]
    pub(super) crit: bool,
    /// Whether `cty` is present. It marks a payload that is not claims: a nested token (RFC 7519
    /// section 5.2).
    #[serde(default, deserialize_with = "is_present")]
    pub(super) cty: bool,
}

fn is_present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl TokenHeader {
    /// Returns the header of a token; `None` if it cannot be read.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let (header, _) = token.split_once('.')?;
        let header = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        serde_json::from_str(&header).ok()
    }
}
