//! Signatures of ImageKit's webhooks (HMAC-SHA256): legacy scheme and Standard Webhooks.
//!
//! ImageKit signs both schemes with the whole `whsec_...` text, as its dashboard shows it. The
//! specification of Standard Webhooks uses the base64-decoded text after the prefix, so a stock
//! library of that standard fails on genuine deliveries. Its key is accepted too: it derives from
//! the same secret, so an attacker who has one has the other.

use std::time::{Duration, SystemTime};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, Mac as _};
use http::HeaderMap;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Legacy header field: `t=<unix milliseconds>,v1=<hex of HMAC over "t.body">`.
pub const LEGACY: &str = "x-ik-signature";
/// Header field of Standard Webhooks with the delivery's id.
pub const STANDARD_ID: &str = "webhook-id";
/// Header field of Standard Webhooks with the time, in unix seconds.
pub const STANDARD_TIMESTAMP: &str = "webhook-timestamp";
/// Header field of Standard Webhooks with the signatures: `v1,<base64 of HMAC over
/// "id.timestamp.body">` for each of several keys, separated by blanks.
pub const STANDARD: &str = "webhook-signature";

const SECRET_PREFIX: &str = "whsec_";
const MAC_BYTES: usize = 32;

/// Reason why a delivery's signature is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignatureFault {
    #[error("the signature does not match this body and secret")]
    Incorrect,
    #[error("the signature's header fields are malformed")]
    Malformed,
    #[error("the delivery has no signature")]
    Missing,
    /// The time is too old or too new: a replay, or a wrong clock.
    #[error("the signature's time is outside the tolerance around the gateway's clock")]
    OutOfTolerance,
}

/// Signing secret of one webhook, as HMAC keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningSecret {
    whole: Secret,
    /// Key of Standard Webhooks, if the secret has that form.
    decoded: Option<Zeroizing<Vec<u8>>>,
}

impl SigningSecret {
    pub fn new(secret: Secret) -> Self {
        let decoded = secret.expose().strip_prefix(SECRET_PREFIX);
        let decoded = decoded.and_then(|text| BASE64_STANDARD.decode(text).ok());
        Self { decoded: decoded.filter(|key| !key.is_empty()).map(Zeroizing::new), whole: secret }
    }

    /// Returns the value of [`LEGACY`] for a delivery.
    pub fn sign_legacy(&self, now: SystemTime, body: &[u8]) -> String {
        let millis = since_epoch(now).as_millis().to_string();
        let mac = mac(self.whole.expose().as_bytes(), &[millis.as_bytes(), body]);
        format!("t={millis},v1={}", hex(&mac))
    }

    /// Returns the values of [`STANDARD_TIMESTAMP`] and [`STANDARD`] for a delivery with this id.
    pub fn sign_standard(&self, id: &str, now: SystemTime, body: &[u8]) -> (String, String) {
        let seconds = since_epoch(now).as_secs().to_string();
        let key = self.whole.expose().as_bytes();
        let mac = mac(key, &[id.as_bytes(), seconds.as_bytes(), body]);
        (seconds, format!("v1,{}", BASE64_STANDARD.encode(mac)))
    }

    /// Verifies a delivery: at least one of the schemes in the delivery must be valid, at a time
    /// within `tolerance` of `now`.
    ///
    /// # Errors
    ///
    /// The fault of the standard scheme, or of the legacy one if the fields of the standard are missing.
    pub fn verify(
        &self,
        fields: &HeaderMap,
        body: &[u8],
        now: SystemTime,
        tolerance: Duration,
    ) -> Result<(), SignatureFault> {
        let now = since_epoch(now);
        let in_time = |at: Duration| {
            if at.abs_diff(now) <= tolerance { Ok(()) } else { Err(SignatureFault::OutOfTolerance) }
        };
        let legacy = self.verify_legacy(fields, body, in_time);
        if legacy.is_ok() {
            return legacy;
        }
        match self.verify_standard(fields, body, in_time) {
            Err(SignatureFault::Missing) => legacy,
            standard => standard,
        }
    }

    fn verify_legacy(
        &self,
        fields: &HeaderMap,
        body: &[u8],
        in_time: impl Fn(Duration) -> Result<(), SignatureFault>,
    ) -> Result<(), SignatureFault> {
        let value = single_value(fields, LEGACY)?;
        let part = |name: &'static str| {
            let mut parts = value.split(',').map(str::trim);
            parts.find_map(|part| part.strip_prefix(name)).ok_or(SignatureFault::Malformed)
        };
        let (time, signature) = (part("t=")?, part("v1=")?);
        in_time(Duration::from_millis(parse_digits(time)?))?;
        // The signed text holds the time as it was sent, so it is used as received.
        let mac = mac(self.whole.expose().as_bytes(), &[time.as_bytes(), body]);
        let same = hex(&mac).as_bytes().ct_eq(signature.to_ascii_lowercase().as_bytes());
        if same.into() { Ok(()) } else { Err(SignatureFault::Incorrect) }
    }

    fn verify_standard(
        &self,
        fields: &HeaderMap,
        body: &[u8],
        in_time: impl Fn(Duration) -> Result<(), SignatureFault>,
    ) -> Result<(), SignatureFault> {
        let signatures = single_value(fields, STANDARD)?;
        let (id, time) =
            (single_value(fields, STANDARD_ID)?, single_value(fields, STANDARD_TIMESTAMP)?);
        in_time(Duration::from_secs(parse_digits(time)?))?;
        let keys =
            [Some(self.whole.expose().as_bytes()), self.decoded.as_deref().map(Vec::as_slice)];
        let macs = keys.map(|key| key.map(|key| mac(key, &[id.as_bytes(), time.as_bytes(), body])));
        let matches = |signature: &str| {
            let Some(signature) = signature.strip_prefix("v1,") else { return false };
            let Ok(signature) = BASE64_STANDARD.decode(signature) else { return false };
            macs.iter().flatten().any(|mac| mac.ct_eq(&signature).into())
        };
        if signatures.split(' ').any(matches) { Ok(()) } else { Err(SignatureFault::Incorrect) }
    }
}

/// Returns the value of a field that must occur once.
fn single_value<'a>(fields: &'a HeaderMap, name: &str) -> Result<&'a str, SignatureFault> {
    let mut values = fields.get_all(name).iter();
    let value = values.next().ok_or(SignatureFault::Missing)?;
    match (value.to_str(), values.next()) {
        (Ok(value), None) => Ok(value),
        _ => Err(SignatureFault::Malformed),
    }
}

fn parse_digits(text: &str) -> Result<u64, SignatureFault> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SignatureFault::Malformed);
    }
    text.parse().map_err(|_| SignatureFault::Malformed)
}

/// Returns the HMAC-SHA256 of the parts, joined by dots.
fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; MAC_BYTES] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            mac.update(b".");
        }
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;
