//! The one thing that is read from an `Authorization` field: a caller's key.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderValue;

use crate::secret::{Secret, is_one_word};

/// Reads `Bearer KEY`, or `Basic` with the key as user name. The password is ignored: ImageKit's
/// SDKs send none, or a fixed word.
pub(super) fn parse(value: &HeaderValue) -> Option<Secret> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim_matches(' ');
    let key = if scheme.eq_ignore_ascii_case("bearer") {
        rest.to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(BASE64_STANDARD.decode(rest).ok()?).ok()?;
        pair.split_once(':')?.0.to_owned()
    } else {
        return None;
    };
    is_one_word(&key).then(|| Secret::new(key))
}
