//! `ikgate purge`: purges files from the cache of a running gateway through its admin listener.

use http::{Method, StatusCode};

use super::admin_client::AdminOptions;
use super::printable::{json, printable};
use super::report::{Failure, print};
use super::runtime::runtime;
use crate::admin::{ErrorBody, PurgeResult};
use crate::file_id::FileId;

#[derive(Debug, clap::Args)]
pub(super) struct Purge {
    /// Ids of the files to purge.
    #[arg(value_name = "FILE_ID", required_unless_present = "all", conflicts_with = "all",
          value_parser = FileId::parse)]
    files: Vec<FileId>,
    /// Purge every file.
    #[arg(long)]
    all: bool,
    /// Only make the stored responses stale, as if their TTL had ended.
    #[arg(long)]
    soft: bool,
    /// Print the answers of the gateway, one JSON object a line, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Purge {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let client = self.admin.client()?;
        runtime()?.block_on(async {
            let mut partial = None;
            for (what, path) in self.targets() {
                let (status, body) = client.send(Method::DELETE, &path).await?;
                if status == StatusCode::OK {
                    print(&self.told(&body)?);
                } else if let Some(message) = partly_purged(&body) {
                    // This gateway has purged, and it will tell the others later. The next files
                    // can still be purged.
                    partial = Some(format!("{what}: purged in part: {message}"));
                } else {
                    let why = client.refusal(status, &body);
                    return Err(Failure::Run(format!("{what}: not purged: {why}")));
                }
            }
            partial.map_or(Ok(()), |message| Err(Failure::Run(message)))
        })
    }

    /// Returns a name and the path of each purge.
    fn targets(&self) -> Vec<(String, String)> {
        let query = if self.soft { "?soft=true" } else { "" };
        if self.all {
            return vec![("all files".to_owned(), format!("/api/cache{query}"))];
        }
        let target = |file: &FileId| (file.to_string(), format!("/api/cache/{file}{query}"));
        self.files.iter().map(target).collect()
    }

    /// Returns the line that tells what was purged.
    fn told(&self, body: &[u8]) -> Result<String, Failure> {
        let result: PurgeResult = serde_json::from_slice(body).map_err(|error| {
            Failure::Run(format!("the answer to the purge cannot be read: {error}"))
        })?;
        Ok(if self.json { json(&result) } else { printable(&self.sentence(&result)) })
    }

    fn sentence(&self, result: &PurgeResult) -> String {
        let PurgeResult { purged, soft, responses, .. } = result;
        let done = if *soft { "marked stale" } else { "purged" };
        match (self.all, responses) {
            (true, _) => format!("all files: ≈ {responses} responses {done}"),
            (false, 0) => format!("{purged}: not stored here"),
            (false, _) => format!("{purged}: {done}"),
        }
    }
}

/// Returns what the gateway says about a purge that the other gateways have not received yet.
fn partly_purged(body: &[u8]) -> Option<String> {
    let problem: ErrorBody<'_> = serde_json::from_slice(body).ok()?;
    let said = format!("{} {}", problem.message, problem.help);
    (problem.code == "purge_partial").then(|| printable(&said))
}
