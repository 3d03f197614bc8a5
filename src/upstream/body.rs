//! Reader of response bodies: it decodes gzip and enforces byte limits.
//!
//! One limit holds for each decoded body, another for all bodies in memory together.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::BadAnswer;

type ReadError = Box<dyn std::error::Error + Send + Sync>;

/// Byte limit shared by all bodies that are being read, or read and not yet stored.
pub(super) struct BodyMemory {
    bytes: Arc<Semaphore>,
    /// Longest single body, in bytes after decoding.
    max: usize,
}

/// Bytes that one body occupies in the shared limit. Dropping it returns them.
#[derive(Debug)]
pub struct BodyPermit {
    _share: OwnedSemaphorePermit,
}

/// Content codings that the gateway requests with `Accept-Encoding`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BodyCoding {
    Gzip,
    Identity,
}

impl BodyCoding {
    /// Returns the coding of a response; `None` if the gateway did not request it.
    pub(super) fn of(fields: &HeaderMap) -> Option<Self> {
        let lines = fields.get_all(CONTENT_ENCODING).iter();
        let mut codings = lines
            .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
        match (codings.next(), codings.next()) {
            (None, _) => Some(Self::Identity),
            (Some(coding), None) => {
                let gzip = [&b"gzip"[..], b"x-gzip"];
                gzip.iter().any(|name| coding.eq_ignore_ascii_case(name)).then_some(Self::Gzip)
            }
            (Some(_), Some(_)) => None,
        }
    }
}

impl BodyMemory {
    /// Creates the limit. `total` must be at least `max`, or a body of `max` bytes could never be
    /// read.
    pub(super) fn new(total: usize, max: usize) -> Self {
        Self { bytes: Arc::new(Semaphore::new(total)), max }
    }

    /// Reads a body.
    ///
    /// First it reserves the most bytes that the body may need. It returns the rest once the length
    /// is known.
    pub(super) async fn read<B>(
        &self,
        body: B,
        coding: BodyCoding,
    ) -> Result<(Bytes, BodyPermit), BadAnswer>
    where
        B: Body<Data = Bytes, Error: Into<ReadError>> + Unpin,
    {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.max {
            return Err(BadAnswer::TooLarge { max: self.max });
        }
        let exact = body.size_hint().exact().is_some() && coding == BodyCoding::Identity;
        let most = if exact { announced } else { self.max };
        let permits = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
        let share = Arc::clone(&self.bytes).acquire_many_owned(permits(most)).await;
        let mut share = share.expect("the semaphore is never closed");
        let expected = if exact { announced } else { 0 };
        let bytes = collect(body, coding, BoundedBuffer::new(self.max, expected)).await?;
        drop(share.split(most.saturating_sub(bytes.len())));
        Ok((bytes, BodyPermit { _share: share }))
    }
}

/// Reads a body to its end; fails on the first byte past the bound.
async fn collect<B>(
    mut body: B,
    coding: BodyCoding,
    into: BoundedBuffer,
) -> Result<Bytes, BadAnswer>
where
    B: Body<Data = Bytes, Error: Into<ReadError>> + Unpin,
{
    let max = into.max;
    let mut decoder = match coding {
        BodyCoding::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(into))),
        BodyCoding::Identity => Decoder::Identity(into),
    };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| BadAnswer::Broken { source: source.into() })?;
        if let Ok(data) = frame.into_data() {
            decoder.write(&data).map_err(|error| failed(error, max))?;
        }
    }
    let read = decoder.finish().map_err(|error| failed(error, max))?;
    Ok(Bytes::from(read.into_boxed_slice()))
}

enum Decoder {
    Gzip(Box<MultiGzDecoder<BoundedBuffer>>),
    Identity(BoundedBuffer),
}

impl Decoder {
    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(decoder) => decoder.write_all(data),
            Self::Identity(bytes) => bytes.write_all(data),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(decoder) => Ok(decoder.finish()?.bytes),
            Self::Identity(bytes) => Ok(bytes.bytes),
        }
    }
}

/// Buffer of at most `max` bytes. A write that exceeds it fails.
struct BoundedBuffer {
    bytes: Vec<u8>,
    max: usize,
}

impl BoundedBuffer {
    /// Creates a buffer with room for `expected` bytes: growing costs up to three times as much
    /// memory.
    fn new(max: usize, expected: usize) -> Self {
        Self { bytes: Vec::with_capacity(expected), max }
    }
}

impl Write for BoundedBuffer {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > self.max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed(error: io::Error, max: usize) -> BadAnswer {
    match error.kind() {
        io::ErrorKind::FileTooLarge => BadAnswer::TooLarge { max },
        _ => BadAnswer::Broken { source: error.into() },
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;
    use http_body_util::Full;

    use super::*;

    /// Body that arrives in pieces of 100 bytes.
    struct Pieces(Bytes);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let length = self.0.len().min(100);
            let piece = self.0.split_to(length);
            Poll::Ready((length > 0).then_some(Ok(Frame::data(piece))))
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn read(body: Vec<u8>, coding: BodyCoding, max: usize) -> Result<Bytes, BadAnswer> {
        let in_flight = BodyMemory::new(max, max);
        let read = in_flight.read(Full::from(body), coding).await;
        let read = read.map(|(bytes, permit)| {
            assert_eq!(
                in_flight.bytes.available_permits(),
                max - bytes.len(),
                "kept what it holds"
            );
            drop(permit);
            bytes
        });
        assert_eq!(in_flight.bytes.available_permits(), max, "gave everything back");
        read
    }

    #[tokio::test]
    async fn a_body_is_decoded_up_to_its_limit() {
        let (gzip_coding, identity) = (BodyCoding::Gzip, BodyCoding::Identity);
        let body = vec![b'x'; 1000];
        assert_eq!(read(body.clone(), identity, 1000).await.unwrap(), body);
        assert_eq!(read(gzip(&body), gzip_coding, 1000).await.unwrap(), body);
        let members = [gzip(&body[..400]), gzip(&body[400..])].concat();
        assert_eq!(read(members, gzip_coding, 1000).await.unwrap(), body);
        for (body, coding) in [(body.clone(), identity), (gzip(&body), gzip_coding)] {
            let refused = read(body, coding, 999).await;
            assert!(matches!(refused, Err(BadAnswer::TooLarge { max: 999 })), "{coding:?}");
        }
    }

    #[tokio::test]
    async fn what_is_not_whole_or_not_gzip_is_broken() {
        let whole = gzip(b"[]");
        for body in [whole[..whole.len() - 1].to_vec(), b"[]".to_vec(), vec![], vec![0x1f, 0x8b]] {
            let read = read(body.clone(), BodyCoding::Gzip, 1000).await;
            assert!(matches!(read, Err(BadAnswer::Broken { .. })), "{body:?}: {read:?}");
        }
    }

    /// A few kilobytes of gzip that decode to 64 MiB: the gateway stops reading and keeps nothing.
    #[tokio::test]
    async fn a_bomb_is_cut_off_while_it_is_read() {
        let bomb = Bytes::from(gzip(&vec![0; 64 << 20]));
        let (length, mut pieces) = (bomb.len(), Pieces(bomb));
        let read = BodyMemory::new(4096, 4096).read(&mut pieces, BodyCoding::Gzip).await;
        assert!(matches!(read, Err(BadAnswer::TooLarge { max: 4096 })));
        assert_eq!(pieces.0.len(), length - 100, "the first piece was enough");
    }

    #[tokio::test]
    async fn a_body_is_not_read_before_there_is_room_for_it() {
        let in_flight = BodyMemory::new(100, 60);
        let chunked = |length| Pieces(Bytes::from(vec![b'x'; length]));
        let (_, permit) = in_flight.read(chunked(50), BodyCoding::Identity).await.unwrap();
        let mut second = std::pin::pin!(in_flight.read(chunked(10), BodyCoding::Identity));
        let poll = second.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
        assert!(poll.is_pending(), "50 of 100 are permit, and it may become 60 long");
        let short = Full::from(vec![b'x'; 50]);
        let exact = in_flight.read(short, BodyCoding::Identity);
        drop(permit);
        assert_eq!(second.await.unwrap().0.len(), 10);
        assert_eq!(exact.await.unwrap().0.len(), 50);
    }

    #[test]
    fn only_what_was_asked_for_is_decoded() {
        let coding = |lines: &[&'static str]| {
            let mut fields = HeaderMap::new();
            for line in lines {
                fields.append(CONTENT_ENCODING, http::HeaderValue::from_static(line));
            }
            BodyCoding::of(&fields)
        };
        assert_eq!(coding(&[]), Some(BodyCoding::Identity));
        assert_eq!(coding(&["Identity"]), Some(BodyCoding::Identity));
        assert_eq!(coding(&["GZIP"]), Some(BodyCoding::Gzip));
        assert_eq!(coding(&["identity, x-gzip"]), Some(BodyCoding::Gzip));
        for lines in [&["br"][..], &["gzip, gzip"], &["gzip", "br"], &["deflate"]] {
            assert_eq!(coding(lines), None, "{lines:?}");
        }
    }
}
