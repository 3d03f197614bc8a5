//! HTTP/2 client for tests that sends and reads single frames, also those that no library sends.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Default maximum size of a frame payload, in bytes (`SETTINGS_MAX_FRAME_SIZE`).
const PAYLOAD_MAX: usize = 16_384;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        Self { kind, flags, stream, payload: payload.to_vec() }
    }

    /// Returns a HEADERS frame of a GET without a body, with literal fields.
    pub(crate) fn get(stream: u32, path: &str, fields: &[(&str, &str)]) -> Self {
        // Entries of the static table: GET, https.
        let mut block = vec![0x82, 0x87];
        block.extend([0x04]);
        text(&mut block, path.as_bytes());
        for (name, value) in fields {
            block.push(0);
            text(&mut block, name.as_bytes());
            text(&mut block, value.as_bytes());
        }
        Self { kind: HEADERS, flags: END_STREAM | END_HEADERS, stream, payload: block }
    }

    /// Returns the frames of a request with the given literal fields. With a body, the last DATA
    /// frame ends the stream.
    pub(crate) fn request(
        stream: u32,
        fields: &[(Vec<u8>, Vec<u8>)],
        body: Option<&[u8]>,
    ) -> Vec<Self> {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            text(&mut block, name);
            text(&mut block, value);
        }
        let mut frames: Vec<_> = block
            .chunks(PAYLOAD_MAX)
            .map(|part| Self::new(CONTINUATION, 0, stream, part))
            .collect();
        if let Some(last) = frames.last_mut() {
            last.flags = END_HEADERS;
        }
        if let Some(first) = frames.first_mut() {
            first.kind = HEADERS;
            first.flags |= if body.is_none() { END_STREAM } else { 0 };
        }
        let Some(body) = body else { return frames };
        let data = body.chunks(PAYLOAD_MAX).map(|part| Self::new(DATA, 0, stream, part));
        let headers = frames.len();
        frames.extend(data);
        if frames.len() == headers {
            frames.push(Self::new(DATA, 0, stream, b""));
        }
        if let Some(last) = frames.last_mut() {
            last.flags = END_STREAM;
        }
        frames
    }

    pub(crate) fn reset(stream: u32) -> Self {
        Self::new(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
    }

    fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// Returns the status of a response head, whose first field is `:status`.
    pub(crate) fn status(&self) -> u16 {
        let digits = match *after_size_updates(&self.payload) {
            // Entry of the static table.
            [indexed @ 0x88..=0x8e, ..] => {
                return [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)];
            }
            // Literal value under a name of the static table.
            [0x08 | 0x48, length, ref rest @ ..] => {
                let bytes = &rest[..usize::from(length & !HUFFMAN)];
                if length & HUFFMAN == 0 {
                    String::from_utf8_lossy(bytes).into_owned()
                } else {
                    huffman_digits(bytes)
                }
            }
            _ => panic!("{self:x?}"),
        };
        digits.parse().unwrap()
    }
}

/// Returns the header block without the dynamic table size updates at its start (RFC 7541 section
/// 6.3).
fn after_size_updates(mut block: &[u8]) -> &[u8] {
    while let [first @ 0x20..=0x3f, rest @ ..] = block {
        let more = rest.iter().take_while(|byte| **byte >= 128).count() + 1;
        block = if *first == 0x3f { &rest[more..] } else { rest };
    }
    block
}

/// Flag bit of a string in the Huffman code.
const HUFFMAN: u8 = 0x80;

/// Reads digits in the Huffman code (RFC 7541, appendix B): 0 to 2 have five bits, 3 to 9 six, and
/// the last byte is filled with ones.
fn huffman_digits(bytes: &[u8]) -> String {
    let bits = bytes.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let (mut left, mut digits) = (8 * bytes.len(), String::new());
    let first = |left: usize, count: usize| (bits >> (left - count)) & ((1 << count) - 1);
    while left >= 5 && first(left, left) != (1 << left) - 1 {
        let (digit, length) = match first(left, 5) {
            digit @ 0..=2 => (digit, 5),
            _ => (first(left, 6) - 0b01_1001 + 3, 6),
        };
        digits.push_str(&digit.to_string());
        left -= length;
    }
    digits
}

/// Writes a string of less than 16 KB without the Huffman code.
fn text(block: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(length) if length < 127 => block.push(length),
        _ => {
            let mut rest = text.len() - 127;
            block.push(127);
            while rest >= 128 {
                block.push(u8::try_from(rest % 128 + 128).unwrap());
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap());
        }
    }
    block.extend(text);
}

/// HTTP/2 connection after its preface.
pub(crate) struct Frames(BufReader<TlsStream<TcpStream>>);

impl Frames {
    /// Sends the preface and these settings, six bytes each.
    pub(crate) async fn open(mut stream: TlsStream<TcpStream>, settings: &[u8]) -> Self {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut frames = Self(BufReader::new(stream));
        frames.send(&[Frame::new(SETTINGS, 0, 0, settings)]).await;
        frames
    }

    /// Sends frames. It ignores a write error, because a misused server should close.
    pub(crate) async fn send(&mut self, frames: &[Frame]) {
        let bytes: Vec<_> = frames.iter().flat_map(Frame::bytes).collect();
        let stream = self.0.get_mut();
        if stream.write_all(&bytes).await.is_ok() {
            _ = stream.flush().await;
        }
    }

    /// Returns the next frame. `None` at the end of the connection.
    pub(crate) async fn read(&mut self) -> Option<Frame> {
        let read = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            Some(Frame { kind: head[3], flags: head[4], stream, payload })
        };
        tokio::time::timeout(PATIENCE, read).await.expect("neither a frame nor the end in time")
    }

    /// Returns the first frame that matches `wanted`. `None` if the connection ends before.
    pub(crate) async fn find(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.read().await?;
            if wanted(&frame) {
                return Some(frame);
            }
        }
    }

    /// Waits until the server has read everything that was sent so far, by a PING.
    pub(crate) async fn sync(&mut self) -> Option<()> {
        self.send(&[Frame::new(PING, 0, 0, b"12345678")]).await;
        self.find(|frame| frame.kind == PING && frame.flags & ACK != 0).await.map(drop)
    }

    /// Returns whether the connection ends, after any frames.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.find(|_| false).await.is_none()
    }
}
