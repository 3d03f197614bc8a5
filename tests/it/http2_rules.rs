//! Tests of the requirements of RFC 9113 on a server, frame by frame.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::http2::{Draining, Misused, NO_WINDOW, get};
use crate::support::http2::{
    ACK, DATA, END_STREAM, Frame, Frames, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS,
};
use crate::support::{Connection, FILE, Reply, versions_of};

const WINDOW_UPDATE: u8 = 8;
const ENABLE_PUSH: [u8; 2] = [0, 2];

fn window_update(stream: u32, bytes: u32) -> Frame {
    Frame::new(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

fn last_stream(goaway: &Frame) -> u32 {
    u32::from_be_bytes(goaway.payload[..4].try_into().unwrap())
}

/// Sends a PING and returns every frame up to its acknowledgement.
async fn until_now(frames: &mut Frames) -> Vec<Frame> {
    frames.send(&[Frame::new(PING, 0, 0, b"till now")]).await;
    let mut seen = Vec::new();
    loop {
        let frame = frames.read().await.unwrap();
        if frame.kind == PING && frame.flags & ACK != 0 && frame.payload == b"till now" {
            return seen;
        }
        seen.push(frame);
    }
}

/// Sections 3.4, 6.5.2 and 6.5.3.
#[tokio::test]
async fn settings_come_first_and_each_frame_of_them_is_acknowledged_once() {
    let misused = Misused::start("").await;
    let mut frames = misused.open(&[]).await;
    let first = frames.read().await.unwrap();
    assert_eq!((first.kind, first.flags & ACK, first.stream), (SETTINGS, 0, 0));
    let pushes = first.payload.chunks(6).any(|setting| setting[..2] == ENABLE_PUSH);
    assert!(!pushes, "{first:?}");
    frames.send(&[Frame::new(SETTINGS, 0, 0, &[]), Frame::new(SETTINGS, 0, 0, &NO_WINDOW)]).await;
    let seen = until_now(&mut frames).await;
    let is_acknowledgement = |frame: &&Frame| frame.kind == SETTINGS && frame.flags & ACK != 0;
    assert_eq!(seen.iter().filter(is_acknowledgement).count(), 3, "the preface's too: {seen:?}");
    drop(frames);
    misused.gateway.finish().await;
}

/// Section 3.4.
#[tokio::test]
async fn a_preface_of_other_bytes_ends_the_connection() {
    let misused = Misused::start("").await;
    let mut stream = misused.authority.connect(misused.gateway.public, &["h2"]).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of(FILE));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    _ = stream.read_to_end(&mut seen).await;
    assert!(!seen.starts_with(b"HTTP"), "{seen:?}");
    assert_eq!(misused.origin.requests(), Vec::<String>::new());
    misused.gateway.finish().await;
}

/// Section 3.2.
#[tokio::test]
async fn a_client_that_offers_only_the_protocol_without_tls_gets_none() {
    let misused = Misused::start("").await;
    assert!(misused.authority.connect(misused.gateway.public, &["h2c"]).await.is_err());
    misused.gateway.finish().await;
}

/// Sections 5.2.2, 6.7 and 6.9.2.
#[tokio::test]
async fn an_answer_that_waits_for_a_window_sends_no_data_and_keeps_nothing_else_back() {
    let misused = Misused::start("").await;
    let mut frames = misused.open(&NO_WINDOW).await;
    frames.send(&[get(1)]).await;
    let head = frames.find(|frame| frame.kind == HEADERS).await.unwrap();
    assert_eq!(head.status(), 200);
    for octets in [b"12345678", b"\0\xff\0\xff\0\xff\0\xff"] {
        frames.send(&[Frame::new(PING, 0, 0, octets)]).await;
        let answer = frames.read().await.unwrap();
        assert_eq!((answer.kind, answer.flags, &answer.payload[..]), (PING, ACK, &octets[..]));
    }
    frames.send(&[window_update(1, 3)]).await;
    let part = frames.find(|frame| frame.kind == DATA).await.unwrap();
    assert_eq!((part.payload, part.flags), (b"[1,".to_vec(), 0));
    assert!(until_now(&mut frames).await.iter().all(|frame| frame.kind != DATA));
    frames.send(&[window_update(1, 100)]).await;
    let rest = frames.find(|frame| frame.kind == DATA).await.unwrap();
    assert_eq!((rest.payload, rest.flags), (b"2]".to_vec(), END_STREAM));
    drop(frames);
    misused.gateway.finish().await;
}

/// Section 6.4.
#[tokio::test]
async fn of_a_stream_that_was_reset_nothing_more_comes() {
    let misused = Misused::start("").await;
    let mut frames = misused.open(&NO_WINDOW).await;
    frames.send(&[get(1)]).await;
    frames.find(|frame| frame.kind == HEADERS).await.unwrap();
    let grant = Frame::new(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]);
    frames.send(&[Frame::reset(1), grant, get(3)]).await;
    let seen = until_now(&mut frames).await;
    assert!(seen.iter().all(|frame| frame.stream != 1), "{seen:?}");
    drop(frames);
    misused.gateway.finish().await;
}

/// Section 6.8.
#[tokio::test]
async fn a_connection_that_is_idle_or_old_is_told_so_before_it_ends() {
    for limit in ["idle_timeout = \"100ms\"", "max_connection_age = \"100ms\""] {
        let misused = Misused::start(limit).await;
        let mut frames = misused.open(&[]).await;
        assert!(frames.find(|frame| frame.kind == GOAWAY).await.is_some(), "{limit}");
        misused.gateway.finish().await;
    }
}

/// Section 6.8.
#[tokio::test]
async fn a_drain_takes_what_was_sent_before_it_was_heard_of_and_its_numbers_do_not_grow() {
    let Draining { mut frames, origin, drained } = Draining::begin().await;
    let first = frames.find(|frame| frame.kind == GOAWAY).await.unwrap();
    assert_eq!(last_stream(&first), (1 << 31) - 1);
    let heard = frames.find(|frame| frame.kind == PING).await.unwrap();
    frames.send(&[get(3)]).await;
    let is_answer = |frame: &Frame| frame.stream == 3 && frame.kind == HEADERS;
    assert_eq!(frames.find(is_answer).await.unwrap().status(), 200);
    frames.send(&[Frame::new(PING, ACK, 0, &heard.payload)]).await;
    let second = frames.find(|frame| frame.kind == GOAWAY).await.unwrap();
    assert_eq!(last_stream(&second), 3);
    origin.release(&versions_of("held"));
    let is_answer = |frame: &Frame| frame.stream == 1 && frame.kind == HEADERS;
    assert_eq!(frames.find(is_answer).await.unwrap().status(), 200);
    drop(frames);
    assert_eq!(drained.await.unwrap(), ikgate::server::DrainEnd::Finished);
}

/// Section 8.7.
#[tokio::test]
async fn a_stream_that_is_refused_reached_neither_the_upstream_nor_the_quota() {
    let misused = Misused::start("").await;
    misused.origin.hold(&versions_of("held"));
    misused.origin.replies(&versions_of("held"), Reply::json(200, "[]"));
    let before = left(&misused).await;
    let mut frames = misused.open(&[]).await;
    let ask = |place: u32| {
        let file = if place == 100 { "late" } else { "held" };
        Frame::get(2 * place + 1, &versions_of(file), &[("host", "a")])
    };
    frames.send(&(0..101).map(ask).collect::<Vec<_>>()).await;
    let refused = frames.find(|frame| frame.kind == RST_STREAM).await.unwrap();
    assert_eq!((refused.stream, refused.payload), (201, 7_u32.to_be_bytes().to_vec()));
    misused.gateway.has_waiting("held", 100).await;
    assert_eq!(misused.origin.requests_for(&versions_of("late")), 0);
    assert_eq!(before - left(&misused).await, 101, "a hundred, and this one");
    misused.origin.release(&versions_of("held"));
    drop(frames);
    misused.gateway.finish().await;
}

/// Sends one more request and returns the quota that is left.
async fn left(misused: &Misused) -> u32 {
    let stream = misused.authority.connect(misused.gateway.public, &[]).await.unwrap();
    let mut connection = Connection::over(stream);
    connection.write(format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of(FILE))).await;
    let answer = connection.read("GET").await.unwrap();
    let (_, left) = answer.field("ratelimit").split_once(";r=").unwrap();
    left.split(';').next().unwrap().parse().unwrap()
}
