//! Request id, as `X-Request-Id` and the log show it: a trusted proxy's, or a random one.

use crate::message::{FieldName, RequestFields};

/// Longest id accepted from a proxy, in bytes.
const LENGTH_MAX: usize = 64;

/// Request id: visible ASCII, stored inline.
pub(super) struct RequestId {
    bytes: [u8; LENGTH_MAX],
    length: u8,
}

impl RequestId {
    /// Returns 64 random bits in hex, enough to tell the requests of one day's log apart.
    pub(super) fn random() -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bits = fastrand::u64(..);
        let digit = |place: usize| {
            let nibble = usize::try_from((bits >> (place * 4)) & 0xf).unwrap_or_default();
            DIGITS.get(nibble).copied().unwrap_or(b'0')
        };
        Self::of(&std::array::from_fn::<_, 16, _>(digit))
    }

    /// Returns the id that a trusted proxy gave the request, if it is one line of
    /// `[A-Za-z0-9._-]{1,64}`.
    pub(super) fn given(fields: &RequestFields<'_>) -> Option<Self> {
        let given = fields.only(FieldName::RequestId)?;
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        let valid = (1..=LENGTH_MAX).contains(&given.len()) && given.iter().all(allowed);
        valid.then(|| Self::of(given))
    }

    /// Copies at most [`LENGTH_MAX`] bytes.
    fn of(id: &[u8]) -> Self {
        let length = id.len().min(LENGTH_MAX);
        let mut bytes = [0; LENGTH_MAX];
        for (to, from) in bytes.iter_mut().zip(id) {
            *to = *from;
        }
        Self { bytes, length: u8::try_from(length).unwrap_or_default() }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}
