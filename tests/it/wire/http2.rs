//! Runner of the HTTP/2 wire cases (`tests/wire`): requests given as fields, and frames of any
//! kind.

use serde::Deserialize;

use super::{Bench, Case, expand};
use crate::support::http2::{Frame, Frames, GOAWAY, HEADERS, RST_STREAM};

/// Case, as it stands in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http2Case {
    id: String,
    /// Fields of one request, sent as they stand.
    fields: Option<Vec<(String, String)>>,
    /// Body of the request. With a body, the last DATA frame ends the stream.
    body: Option<String>,
    /// Frames after the preface: type, flags, stream, payload in hexadecimal.
    frames: Option<Vec<(Kind, u8, u32, String)>>,
    status: Option<u16>,
    outcome: Option<Outcome>,
    /// Number of calls that reach the upstream.
    #[serde(default)]
    upstream: usize,
    /// Source of the rule.
    why: String,
}

/// Type of a frame, by its number or its name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kind {
    Number(u8),
    Name(String),
}

/// Expected result of a case.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    #[serde(skip)]
    Status(u16),
    /// The stream is reset, and the connection stays open.
    StreamError,
    /// GOAWAY with an error, or a closed connection.
    ConnectionError,
}

const NAMES: [&str; 10] = [
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
];

const STREAM_MASK: u32 = u32::MAX >> 1;

impl Kind {
    fn number(&self) -> u8 {
        match self {
            Self::Number(number) => *number,
            Self::Name(name) => {
                let place = NAMES.iter().position(|known| known == name).unwrap();
                u8::try_from(place).unwrap()
            }
        }
    }
}

impl Case for Http2Case {
    fn id(&self) -> &str {
        &self.id
    }
}

pub(super) fn cases() -> Vec<Http2Case> {
    super::read(|file| file == "http2")
}

impl Http2Case {
    fn frames(&self, new_file: &str) -> Vec<Frame> {
        let expanded = |text: &String| expand(text, new_file);
        let Some(frames) = &self.frames else {
            let fields = self.fields.as_ref().expect("neither fields nor frames");
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| (expanded(name), expanded(value))).collect();
            return Frame::request(1, &fields, self.body.as_ref().map(expanded).as_deref());
        };
        let frame = |(kind, flags, stream, payload): &(Kind, u8, u32, String)| {
            let payload = from_hex(&expanded(payload));
            Frame::new(kind.number(), *flags, *stream, &payload)
        };
        frames.iter().map(frame).collect()
    }

    /// Runs the case. The error describes the actual result.
    async fn run(&self, bench: &mut Bench) -> Result<(), String> {
        let before = bench.origin.requests().len();
        let sent = self.frames(&bench.new_file());
        let opened = sent.iter().rev().find(|frame| frame.kind == HEADERS);
        let stream = opened.map(|frame| frame.stream & STREAM_MASK);
        let tls = bench.authority.connect(bench.gateway.public, &["h2"]).await.unwrap();
        let mut frames = Frames::open(tls, &[]).await;
        frames.send(&sent).await;
        let found = outcome(&mut frames, stream).await;
        let expected = self.outcome.or(self.status.map(Outcome::Status)).expect("no outcome");
        if found != expected {
            return Err(format!("{found:?} instead of {expected:?}"));
        }
        let upstream = bench.origin.requests().len() - before;
        if upstream != self.upstream {
            return Err(format!("{upstream} upstream calls"));
        }
        Ok(())
    }
}

fn from_hex(text: &[u8]) -> Vec<u8> {
    let digits = std::str::from_utf8(text).unwrap();
    let byte = |place: usize| u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).unwrap();
    (0..digits.len() / 2).map(byte).collect()
}

/// Reads frames until the result of a case is known. A case without a stream can only end in a
/// connection error.
async fn outcome(frames: &mut Frames, stream: Option<u32>) -> Outcome {
    loop {
        let Some(frame) = frames.read().await else { return Outcome::ConnectionError };
        match frame.kind {
            GOAWAY if frame.payload.get(4..8) != Some(&[0; 4]) => return Outcome::ConnectionError,
            RST_STREAM => {
                // It is a stream error only if the connection stays open.
                let goes_on = frames.sync().await.is_some();
                return if goes_on { Outcome::StreamError } else { Outcome::ConnectionError };
            }
            HEADERS if Some(frame.stream) == stream => return Outcome::Status(frame.status()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn each_case_holds() {
    let mut bench = Bench::start(true).await;
    let mut wrong = Vec::new();
    for case in cases() {
        if let Err(found) = case.run(&mut bench).await {
            wrong.push(format!("{}: {found} ({})", case.id, case.why));
        }
        bench.rest();
    }
    assert!(wrong.is_empty(), "{} cases\n{}", wrong.len(), wrong.join("\n"));
    bench.gateway.finish().await;
}
