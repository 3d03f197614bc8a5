//! HTTP/2 frame by frame: what no client would send.

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
pub(crate) const CONTINUATION: u8 = 9;

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

    /// A request without a body, whose fields are written out.
    pub(crate) fn get(stream: u32, path: &str, fields: &[(&str, &str)]) -> Self {
        // Of the static table: GET, https.
        let mut block = vec![0x82, 0x87];
        block.extend([0x04]);
        text(&mut block, path);
        for (name, value) in fields {
            block.push(0);
            text(&mut block, name);
            text(&mut block, value);
        }
        Self { kind: HEADERS, flags: END_STREAM | END_HEADERS, stream, payload: block }
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

    /// The status of a response's head, whose first field is `:status`.
    pub(crate) fn status(&self) -> u16 {
        match self.payload[0] {
            // Of the static table.
            0x88 => 200,
            0x89 => 204,
            0x8b => 304,
            0x8c => 400,
            0x8d => 404,
            0x8e => 500,
            // By itself, under the name of one of those, perhaps coded.
            0x08 | 0x48 => match &self.payload[1..] {
                [3, digits @ ..] => String::from_utf8_lossy(&digits[..3]).parse().unwrap(),
                // In the Huffman code.
                [0x83, 0x69, 0x90, 0xff, ..] => 431,
                other => panic!("{other:x?}"),
            },
            _ => panic!("{self:x?}"),
        }
    }
}

/// Shorter than 16 KB.
fn text(block: &mut Vec<u8>, text: &str) {
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
    block.extend(text.as_bytes());
}

/// A connection after its preface.
pub(crate) struct Frames(BufReader<TlsStream<TcpStream>>);

impl Frames {
    /// Says these settings, six bytes each.
    pub(crate) async fn open(mut stream: TlsStream<TcpStream>, settings: &[u8]) -> Self {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut frames = Self(BufReader::new(stream));
        frames.send(&[Frame::new(SETTINGS, 0, 0, settings)]).await;
        frames
    }

    /// The other side may have closed already, as it should when it is misused.
    pub(crate) async fn send(&mut self, frames: &[Frame]) {
        let bytes: Vec<_> = frames.iter().flat_map(Frame::bytes).collect();
        let stream = self.0.get_mut();
        if stream.write_all(&bytes).await.is_ok() {
            _ = stream.flush().await;
        }
    }

    /// The next frame; `None` at the end.
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

    /// The first frame that is one of these; `None` if the connection ends before.
    pub(crate) async fn find(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.read().await?;
            if wanted(&frame) {
                return Some(frame);
            }
        }
    }

    /// Waits until everything that was sent so far has been read.
    pub(crate) async fn sync(&mut self) -> Option<()> {
        self.send(&[Frame::new(PING, 0, 0, b"12345678")]).await;
        self.find(|frame| frame.kind == PING && frame.flags & ACK != 0).await.map(drop)
    }

    /// Whether it ends, whatever comes before.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.find(|_| false).await.is_none()
    }
}
