//! Encoding of second-level values: one version list or one negative response as bytes.
//!
//! ```text
//! version 1 byte | kind 1 | coding 1 | as of 8 (µs, the server's clock) | ttl 8 (µs) | length 4 | body
//! ```
//!
//! Numbers are big-endian. A value that cannot be read, or that has another version, counts as
//! absent, since nodes of different versions may share a server.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::cache::Kind;

const VERSION: u8 = 1;
const IDENTITY: u8 = 0;
const DEFLATE: u8 = 1;
/// Length of the header before the body, in bytes.
const HEADER_LENGTH: usize = 1 + 1 + 1 + 8 + 8 + 4;

/// Shortest body that is compressed, in bytes. A shorter one would hardly shrink.
const DEFLATE_MIN: usize = 256;

/// Longest value that is shared, in bytes. A longer one would hold up everything else on the
/// connection.
const VALUE_MAX: usize = 512 * 1024;

/// Response that one node fetched, as it is shared with the others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SharedValue {
    /// Kind of the response: a version list or a negative response.
    pub kind: Kind,
    /// Body, uncompressed.
    pub body: Bytes,
    /// Time of the lookup that came before the fetch, by the server's clock. The age counts from
    /// it.
    pub as_of: Duration,
    /// Freshness lifetime, counted from `as_of`.
    pub ttl: Duration,
}

impl SharedValue {
    /// Encodes the value. Returns `None` if it is too long to be shared.
    pub fn encode(&self) -> Option<Bytes> {
        let length = u32::try_from(self.body.len()).ok()?;
        let deflated = if self.body.len() < DEFLATE_MIN { None } else { deflate(&self.body) };
        let (coding, body) = match &deflated {
            Some(deflated) if deflated.len() < self.body.len() => (DEFLATE, &deflated[..]),
            _ => (IDENTITY, &self.body[..]),
        };
        if HEADER_LENGTH + body.len() > VALUE_MAX {
            return None;
        }
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let mut bytes = BytesMut::with_capacity(HEADER_LENGTH + body.len());
        bytes.put_slice(&[VERSION, byte_of_kind(self.kind), coding]);
        bytes.put_u64(micros(self.as_of));
        bytes.put_u64(micros(self.ttl));
        bytes.put_u32(length);
        bytes.put_slice(body);
        Some(bytes.freeze())
    }

    /// Decodes a value. Returns `None` if it cannot be read or its body exceeds `body_max` bytes.
    pub fn decode(bytes: &Bytes, body_max: usize) -> Option<Self> {
        let (head, _) = bytes.split_first_chunk::<HEADER_LENGTH>()?;
        let &[VERSION, kind, coding, ref numbers @ ..] = head else { return None };
        let (as_of, numbers) = numbers.split_first_chunk()?;
        let (ttl, numbers) = numbers.split_first_chunk()?;
        let (length, _) = numbers.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let body = bytes.slice(HEADER_LENGTH..);
        if length > body_max {
            return None;
        }
        let body = match coding {
            IDENTITY if body.len() == length => body,
            DEFLATE => inflate(&body, length)?,
            _ => return None,
        };
        Some(Self {
            kind: kind_of_byte(kind)?,
            body,
            as_of: Duration::from_micros(u64::from_be_bytes(*as_of)),
            ttl: Duration::from_micros(u64::from_be_bytes(*ttl)),
        })
    }
}

fn byte_of_kind(kind: Kind) -> u8 {
    match kind {
        Kind::BadRequest => 0,
        Kind::List => 1,
        Kind::NotFound => 2,
    }
}

fn kind_of_byte(byte: u8) -> Option<Kind> {
    [Kind::BadRequest, Kind::List, Kind::NotFound].get(usize::from(byte)).copied()
}

fn deflate(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// Decompresses exactly `length` bytes. Returns `None` if there are more or fewer.
fn inflate(body: &[u8], length: usize) -> Option<Bytes> {
    let mut inflated = Vec::new();
    let most = u64::try_from(length).ok()?.checked_add(1)?;
    DeflateDecoder::new(body).take(most).read_to_end(&mut inflated).ok()?;
    (inflated.len() == length).then(|| inflated.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY_MAX: usize = 1 << 20;

    #[test]
    fn lists_are_compressed_and_values_that_are_too_long_are_not_shared() {
        let value = |body: Bytes| SharedValue {
            kind: Kind::List,
            body,
            as_of: Duration::from_secs(1_700_000_000),
            ttl: Duration::from_mins(1),
        };
        let list = value(Bytes::from(r#"{"type":"file-version","name":"a"},"#.repeat(1000)));
        let encoded = list.encode().unwrap();
        assert!(encoded.len() < list.body.len() / 20, "{}", encoded.len());
        assert_eq!(SharedValue::decode(&encoded, BODY_MAX), Some(list.clone()));
        assert_eq!(SharedValue::decode(&encoded, list.body.len() - 1), None);
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(VALUE_MAX).collect();
        assert_eq!(value(noise.into()).encode(), None);
    }

    #[test]
    fn a_value_of_another_version_counts_as_absent() {
        let (kind, ttl) = (Kind::NotFound, Duration::from_secs(10));
        let value = SharedValue { kind, body: Bytes::from_static(b"{}"), as_of: ttl, ttl };
        let mut encoded = value.encode().unwrap().to_vec();
        encoded[0] = 2;
        assert_eq!(SharedValue::decode(&encoded.into(), BODY_MAX), None);
    }

    proptest! {
        #[test]
        fn an_encoded_value_decodes_to_the_same(
            kind in 0..3_u8,
            body in proptest::collection::vec(0..4_u8, 0..2000),
            as_of in 0..u64::MAX,
            ttl in 0..u64::MAX,
        ) {
            let (as_of, ttl) = (Duration::from_micros(as_of), Duration::from_micros(ttl));
            let (kind, body) = (kind_of_byte(kind).unwrap(), body.into());
            let value = SharedValue { kind, body, as_of, ttl };
            prop_assert_eq!(SharedValue::decode(&value.encode().unwrap(), BODY_MAX), Some(value));
        }

        #[test]
        fn any_bytes_are_decoded_without_panic_and_within_the_limit(
            head in proptest::collection::vec(0..3_u8, 0..3),
            rest in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = Bytes::from([head, rest].concat());
            if let Some(value) = SharedValue::decode(&bytes, 100) {
                prop_assert!(value.body.len() <= 100);
            }
        }
    }
}
