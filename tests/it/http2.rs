//! Tests of HTTP/2 abuse: its cost is bounded, and other connections are not affected.

use std::time::Duration;

use ikgate::server::DrainEnd;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADERS, PING, RST_STREAM,
    SETTINGS, WINDOW_UPDATE,
};
use crate::support::{Authority, FILE, Origin, Reply, TestGateway, scratch, secured, versions_of};

pub(super) struct Misused {
    pub(super) origin: Origin,
    pub(super) gateway: TestGateway,
    pub(super) authority: Authority,
    _directory: tempfile::TempDir,
}

/// SETTINGS payload with an initial window of 0: the server may send no body bytes.
pub(super) const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
const ONE_BYTE: [u8; 6] = [0, 4, 0, 0, 0, 1];

impl Misused {
    pub(super) async fn start(server: &str) -> Self {
        let directory = scratch();
        let (authority, tls) = secured(directory.path());
        let origin = Origin::start().await;
        origin.replies(&versions_of(FILE), Reply::json(200, "[1,2]"));
        let more = format!(
            "[limits]\nanonymous = {{ per_second = 100000, burst = 100000 }}\n\
             [server]\n{server}\n{tls}"
        );
        let gateway = TestGateway::configured(&origin, &more);
        Self { origin, gateway, authority, _directory: directory }
    }

    pub(super) async fn open(&self, settings: &[u8]) -> Frames {
        let stream = self.authority.connect(self.gateway.public, &["h2"]).await.unwrap();
        Frames::open(stream, settings).await
    }

    /// Checks that a request on a new connection is answered as usual.
    async fn serves_others(&self) {
        let mut frames = self.open(&[]).await;
        frames.send(&[get(1)]).await;
        let head = frames.find(|frame| frame.kind == HEADERS).await.unwrap();
        assert_eq!(head.status(), 200);
        assert_eq!(frames.find(|frame| frame.kind == DATA).await.unwrap().payload, b"[1,2]");
    }

    async fn counted(&self, deadline: &str) {
        let series = format!("ikgate_connection_deadlines_total{{deadline=\"{deadline}\"}}");
        self.gateway.has_counted(&series, 1.0).await;
    }
}

pub(super) fn get(stream: u32) -> Frame {
    Frame::get(stream, &versions_of(FILE), &[("host", "a")])
}

#[tokio::test]
async fn each_rule_of_the_head_is_kept() {
    let misused = Misused::start("").await;
    let mut frames = misused.open(&[]).await;
    for (place, (fields, status)) in [
        (&[("host", "a")][..], 200),
        (&[(":authority", "a")], 200),
        (&[(":authority", "A"), ("host", "a")], 200),
        (&[(":authority", "a"), ("host", "b")], 400),
        (&[("host", "a"), ("host", "a")], 400),
        (&[], 400),
        (&[("host", "a"), ("x", " a")], 400),
        (&[("host", "a"), ("x", "a\t")], 400),
    ]
    .into_iter()
    .enumerate()
    {
        let stream = 2 * u32::try_from(place).unwrap() + 1;
        frames.send(&[Frame::get(stream, &versions_of(FILE), fields)]).await;
        let is_answer = |frame: &Frame| frame.stream == stream && frame.kind == HEADERS;
        let answer = frames.find(is_answer).await.unwrap();
        assert_eq!(answer.status(), status, "{fields:?}");
    }
    // Malformed (RFC 9113 section 8.2.2): a stream error.
    let malformed = [("transfer-encoding", "chunked"), ("connection", "close")];
    for (place, field) in malformed.into_iter().enumerate() {
        let stream = 2 * u32::try_from(place).unwrap() + 101;
        frames.send(&[Frame::get(stream, &versions_of(FILE), &[("host", "a"), field])]).await;
        let ended = frames.find(|frame| frame.stream == stream).await.unwrap();
        assert_eq!(ended.kind, RST_STREAM, "{field:?}");
    }
    frames.send(&[get(201)]).await;
    assert_eq!(frames.find(|frame| frame.stream == 201).await.unwrap().status(), 200);
    drop(frames);
    misused.gateway.finish().await;
}

#[tokio::test]
async fn a_client_that_grants_no_window_is_cut_although_the_socket_takes_more() {
    for window in [NO_WINDOW, ONE_BYTE] {
        let misused = Misused::start("write_stall_timeout = \"100ms\"").await;
        let long = Reply::json(200, &format!("[\"{}\"]", "x".repeat(5000)));
        misused.origin.replies(&versions_of("long"), long);
        let mut frames = misused.open(&window).await;
        frames.send(&[Frame::get(1, &versions_of("long"), &[("host", "a")])]).await;
        // PING frames still move, but they do not count as progress.
        let busy = async { while frames.sync().await.is_some() {} };
        let cut = tokio::time::timeout(Duration::from_secs(20), busy).await;
        cut.expect("it stays open");
        misused.counted("write_stall").await;
        misused.serves_others().await;
        misused.gateway.finish().await;
    }
}

/// A client that reads a little at a time is slow, not stalled.
#[tokio::test]
async fn a_client_that_takes_an_answer_slowly_gets_all_of_it() {
    const STALL: Duration = Duration::from_secs(1);
    let misused = Misused::start("write_stall_timeout = \"1s\"").await;
    let body = format!("[\"{}\"]", "x".repeat(60_000));
    misused.origin.replies(&versions_of("long"), Reply::json(200, &body));
    let mut frames = misused.open(&ONE_BYTE).await;
    frames.send(&[Frame::get(1, &versions_of("long"), &[("host", "a")])]).await;
    let (began, mut received) = (Instant::now(), Vec::new());
    while received.len() < body.len() {
        let data = frames.find(|frame| frame.kind == DATA).await.expect("it is cut");
        received.extend(data.payload);
        // Reads byte by byte for longer than the stall limit, then the rest at once.
        let more: u32 = if began.elapsed() < 2 * STALL { 1 } else { 100_000 };
        frames.send(&[Frame::new(WINDOW_UPDATE, 0, 1, &more.to_be_bytes())]).await;
    }
    assert!(began.elapsed() >= STALL, "it was not slow at all");
    assert_eq!(received, body.as_bytes());
    drop(frames);
    misused.gateway.finish().await;
}

#[tokio::test]
async fn a_connection_without_requests_is_idle_with_any_other_frames() {
    let misused = Misused::start("idle_timeout = \"100ms\"").await;
    let mut frames = misused.open(&[]).await;
    let busy = async { while frames.sync().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(20), busy).await.expect("it stays open");
    misused.counted("idle").await;
    misused.gateway.finish().await;
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let misused = Misused::start("").await;
    let mut frames = misused.open(&[]).await;
    let flood: Vec<_> =
        (0..2000).flat_map(|place| [get(2 * place + 1), Frame::reset(2 * place + 1)]).collect();
    frames.send(&flood).await;
    assert!(frames.is_closed().await);
    misused.serves_others().await;
    misused.gateway.finish().await;
}

/// Sends requests slowly enough that each is in progress when it is reset.
#[tokio::test]
async fn a_client_that_gives_up_all_its_requests_is_cut() {
    let misused = Misused::start("").await;
    misused.origin.hold(&versions_of("held"));
    let mut frames = misused.open(&[]).await;
    let given_up = async {
        for place in 0..1000 {
            let stream = 2 * place + 1;
            let ask = Frame::get(stream, &versions_of("held"), &[("host", "a")]);
            frames.send(&[ask]).await;
            if frames.sync().await.is_none() {
                return true;
            }
            frames.send(&[Frame::reset(stream)]).await;
            if frames.sync().await.is_none() {
                return true;
            }
        }
        false
    };
    assert!(given_up.await, "it could go on for ever");
    misused.counted("abandoned").await;
    misused.serves_others().await;
    misused.gateway.finish().await;
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused_and_the_others_answered() {
    let misused = Misused::start("").await;
    misused.origin.hold(&versions_of("held"));
    let mut frames = misused.open(&[]).await;
    let first = frames.find(|frame| frame.kind == SETTINGS).await.unwrap();
    let allowed = [0, 3, 0, 0, 0, 100];
    assert!(first.payload.chunks(6).any(|setting| setting == allowed), "{first:?}");
    misused.origin.replies(&versions_of("held"), Reply::json(200, "[]"));
    let ask = |place: u32| Frame::get(2 * place + 1, &versions_of("held"), &[("host", "a")]);
    let many: Vec<_> = (0..101).map(ask).collect();
    frames.send(&many).await;
    let refused = frames.find(|frame| frame.kind == RST_STREAM).await.unwrap();
    assert_eq!((refused.stream, refused.payload), (201, 7_u32.to_be_bytes().to_vec()));
    misused.origin.release(&versions_of("held"));
    for _ in 0..100 {
        let answer = frames.find(|frame| frame.kind == HEADERS).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    drop(frames);
    misused.gateway.finish().await;
}

#[tokio::test]
async fn a_head_without_end_or_bounds_ends_the_connection() {
    let misused = Misused::start("").await;
    let open_head = Frame { flags: END_STREAM, ..get(1) };
    let more = |bytes: usize| Frame::new(CONTINUATION, 0, 1, &vec![0; bytes]);
    for flood in [vec![more(0); 5000], vec![more(16_384); 100]] {
        let mut frames = misused.open(&[]).await;
        frames.send(std::slice::from_ref(&open_head)).await;
        frames.send(&flood).await;
        assert!(frames.is_closed().await);
    }
    // Each field counts 32 bytes more than its text (RFC 9113 section 6.5.2).
    let mut frames = misused.open(&[]).await;
    frames.send(&[Frame::get(1, &versions_of(FILE), &vec![("x", "a"); 700])]).await;
    let refused = frames.find(|frame| frame.stream == 1).await.unwrap();
    assert_eq!((refused.kind, refused.status()), (HEADERS, 431));
    misused.serves_others().await;
    drop(frames);
    misused.gateway.finish().await;
}

#[tokio::test]
async fn what_is_not_http_2_ends_the_connection() {
    let misused = Misused::start("").await;
    for frame in [
        Frame::new(DATA, 0, 1, b"of no stream"),
        Frame::new(HEADERS, END_HEADERS, 2, &[0x82]),
        Frame::new(SETTINGS, 0, 0, &[0; 5]),
        Frame::new(PING, 0, 0, b"short"),
        Frame::new(HEADERS, END_HEADERS, 1, &[0xff; 16]),
        Frame::get(1, &versions_of(FILE), &[("host", "a"), ("Upper", "a")]),
    ] {
        let mut frames = misused.open(&[]).await;
        frames.send(std::slice::from_ref(&frame)).await;
        let told = frames.find(|frame| frame.kind == GOAWAY).await;
        assert!(told.is_some(), "{frame:?}");
        assert!(frames.is_closed().await, "{frame:?}");
    }
    misused.serves_others().await;
    misused.gateway.finish().await;
}

/// Gateway that drains while stream 1 waits for its answer.
pub(crate) struct Draining {
    pub(crate) frames: Frames,
    pub(crate) origin: Origin,
    pub(crate) drained: JoinHandle<DrainEnd>,
}

impl Draining {
    pub(crate) async fn begin() -> Self {
        let misused = Misused::start("").await;
        misused.origin.replies(&versions_of("held"), Reply::json(200, "[]"));
        misused.origin.hold(&versions_of("held"));
        let mut frames = misused.open(&[]).await;
        frames.send(&[Frame::get(1, &versions_of("held"), &[("host", "a")])]).await;
        misused.origin.has_seen(&versions_of("held"), 1).await;
        let Misused { origin, gateway, .. } = misused;
        let drained = tokio::spawn(gateway.into_app().shut_down());
        Self { frames, origin, drained }
    }
}

#[tokio::test]
async fn a_drain_says_goodbye_and_answers_what_it_has_taken() {
    let Draining { mut frames, origin, drained } = Draining::begin().await;
    assert!(frames.find(|frame| frame.kind == GOAWAY).await.is_some());
    origin.release(&versions_of("held"));
    let answer = frames.find(|frame| frame.kind == HEADERS).await.unwrap();
    assert_eq!(answer.status(), 200);
    drop(frames);
    assert_eq!(drained.await.unwrap(), DrainEnd::Finished);
}
