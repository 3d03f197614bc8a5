//! State of a gateway at one moment: its readiness and its statistics, fetched from the admin
//! listener.

use http::{Method, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::admin::Stats;
use crate::cli::admin_client::{AdminClient, NoAnswer};
use crate::cli::printable::{make_printable, printable};
use crate::cli::report::Failure;

/// State of a gateway. All of its texts but those of `body` may be shown in a terminal.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) readiness: Readiness,
    pub(super) stats: Stats,
    /// Body of `/api/stats`, as it came.
    pub(super) body: Value,
}

/// Answer of `/readyz`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Readiness {
    #[serde(rename = "ready")]
    pub(super) is_ready: bool,
    /// `ready`, or the reason why not.
    pub(super) readiness: String,
}

/// Reason why there is no snapshot, as a sentence.
#[derive(Debug)]
pub(super) enum Unavailable {
    /// The gateway does not answer. It may answer later.
    NoAnswer(NoAnswer),
    /// The gateway answers, but refuses its statistics or writes them in another way.
    Refused(String),
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::NoAnswer(none) => none.into(),
            Unavailable::Refused(reason) => Self::Run(reason),
        }
    }
}

/// Fetches the state of a gateway.
pub(super) async fn fetch(client: &AdminClient) -> Result<Snapshot, Unavailable> {
    let answers = tokio::try_join!(
        client.send(Method::GET, "/readyz"),
        client.send(Method::GET, "/api/stats")
    );
    let ((ready, reason), (status, body)) = answers.map_err(Unavailable::NoAnswer)?;
    if status != StatusCode::OK {
        return Err(Unavailable::Refused(client.refusal(status, &body)));
    }
    let readiness = Readiness {
        is_ready: ready == StatusCode::OK,
        readiness: printable(String::from_utf8_lossy(&reason).trim()),
    };
    snapshot(readiness, &body).map_err(|error| {
        let reason = printable(&error.to_string());
        Unavailable::Refused(format!(
            "the statistics of {} cannot be read: {reason}. This is ikgate {}: is the gateway of \
             another version?",
            client.url(),
            env!("CARGO_PKG_VERSION")
        ))
    })
}

/// Parses the body of `/api/stats`.
pub(super) fn snapshot(readiness: Readiness, body: &[u8]) -> serde_json::Result<Snapshot> {
    let body: Value = serde_json::from_slice(body)?;
    let mut shown = body.clone();
    make_printable(&mut shown);
    Ok(Snapshot { readiness, stats: serde_json::from_value(shown)?, body })
}
