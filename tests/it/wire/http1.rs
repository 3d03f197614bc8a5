//! Runner of the HTTP/1.1 wire cases (`tests/wire`), each through every code path.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Bench, Case, expand, plain};
use crate::support::{Answer, Connection};

/// Case, as it stands in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http1Case {
    id: String,
    bytes: String,
    /// Status of each response. Empty if the connection is closed without one.
    status: Vec<u16>,
    connection: Fate,
    /// Number of calls that reach the upstream.
    #[serde(default)]
    upstream: usize,
    /// The client closes its sending side after the bytes.
    #[serde(default)]
    half_close: bool,
    /// Method that decides the framing of the responses.
    #[serde(default = "get")]
    method: String,
    /// Fields of the last response. An empty value means that the field is absent.
    #[serde(default)]
    fields: BTreeMap<String, String>,
    /// Source of the rule.
    why: String,
}

/// Expected state of the connection after the case.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Fate {
    Closes,
    /// A further request on the connection is answered.
    Stays,
}

/// Way in which the bytes arrive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Arrival {
    Whole,
    /// One byte at a time; a few bytes at a time for long cases.
    InPieces,
    OverTls,
    /// After a request that leaves the connection with hyper.
    ThroughHyper,
}

/// Maximum number of pieces of a case.
const PIECES_MAX: usize = 1000;

fn get() -> String {
    "GET".to_owned()
}

impl Case for Http1Case {
    fn id(&self) -> &str {
        &self.id
    }
}

pub(super) fn cases() -> Vec<Http1Case> {
    super::read(|file| file != "http2")
}

impl Http1Case {
    /// Runs the case. The error describes the actual result.
    async fn run(&self, arrival: Arrival, bench: &mut Bench) -> Result<(), String> {
        let bytes = expand(&self.bytes, &bench.new_file());
        let before = bench.origin.requests().len();
        let mut connection = bench.connect(arrival == Arrival::OverTls).await;
        if arrival == Arrival::ThroughHyper {
            connection.write(plain("stored").replace("Host", "TE: trailers\r\nHost")).await;
            connection.read("GET").await.unwrap();
        }
        let pieces = if arrival == Arrival::InPieces { PIECES_MAX } else { 1 };
        for piece in bytes.chunks(bytes.len().div_ceil(pieces).max(1)) {
            // A refusal may arrive before the last piece is sent.
            if !connection.try_write(piece).await {
                break;
            }
        }
        if self.half_close {
            connection.half_close().await;
        }
        let mut last = None;
        for expected in &self.status {
            let answer = connection.try_read(&self.method).await?;
            let status = answer.as_ref().map(|answer| answer.status);
            if status != Some(*expected) {
                return Err(format!("{status:?} instead of {expected}"));
            }
            last = answer;
        }
        self.check_fields(last.as_ref())?;
        self.check_fate(&mut connection).await?;
        let upstream = bench.origin.requests().len() - before;
        if upstream != self.upstream {
            return Err(format!("{upstream} upstream calls"));
        }
        Ok(())
    }

    fn check_fields(&self, answer: Option<&Answer>) -> Result<(), String> {
        let Some(answer) = answer else { return Ok(()) };
        for (name, expected) in &self.fields {
            let found = answer.find(name).unwrap_or_default();
            if found != expected {
                return Err(format!("{name}: {found:?} instead of {expected:?}"));
            }
        }
        Ok(())
    }

    async fn check_fate(&self, connection: &mut Connection) -> Result<(), String> {
        match self.connection {
            Fate::Stays => {
                if !connection.try_write(plain("stored").as_bytes()).await {
                    return Err("closed instead of open".to_owned());
                }
                match connection.try_read("GET").await? {
                    Some(answer) if answer.status == 200 => Ok(()),
                    other => Err(format!("not open for more: {other:?}")),
                }
            }
            Fate::Closes => match connection.try_read("GET").await? {
                None => Ok(()),
                Some(answer) => Err(format!("one more answer: {}", answer.status)),
            },
        }
    }
}

async fn all_hold(arrival: Arrival) {
    let mut bench = Bench::start(arrival == Arrival::OverTls).await;
    let mut wrong = Vec::new();
    for case in cases() {
        if let Err(found) = case.run(arrival, &mut bench).await {
            wrong.push(format!("{}: {found} ({})", case.id, case.why));
        }
        bench.rest();
    }
    assert!(wrong.is_empty(), "{arrival:?}: {} cases\n{}", wrong.len(), wrong.join("\n"));
    bench.gateway.finish().await;
}

#[tokio::test]
async fn each_case_holds_whole() {
    all_hold(Arrival::Whole).await;
}

#[tokio::test]
async fn each_case_holds_in_pieces() {
    all_hold(Arrival::InPieces).await;
}

#[tokio::test]
async fn each_case_holds_over_tls() {
    all_hold(Arrival::OverTls).await;
}

#[tokio::test]
async fn each_case_holds_through_hyper() {
    all_hold(Arrival::ThroughHyper).await;
}
