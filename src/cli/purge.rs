//! `ikgate purge`: purges files from the cache of a running gateway through its admin listener.

use std::path::PathBuf;

use http::{Method, StatusCode};

use super::admin_client::{AdminUrl, send};
use super::failure::Failure;
use super::output::say;
use super::runtime::runtime;
use crate::error::chain;
use crate::file_id::FileId;
use crate::secret::Secret;

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
    /// URL of the admin listener.
    #[arg(long, value_name = "URL", default_value = AdminUrl::DEFAULT,
          value_parser = AdminUrl::parse)]
    admin: AdminUrl,
    /// File that holds the admin token, if the gateway has one.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Purge {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let token = self.token_file.as_deref().map(Secret::from_file).transpose();
        let token = token.map_err(|error| Failure::Run(chain(&error)))?;
        let query = if self.soft { "?soft=true" } else { "" };
        let mut paths: Vec<_> =
            self.files.iter().map(|file| format!("/api/cache/{file}{query}")).collect();
        if self.all {
            paths.push(format!("/api/cache{query}"));
        }
        runtime()?.block_on(async {
            let mut partial = None;
            for path in paths {
                let (status, body) =
                    send(Method::DELETE, &self.admin, &path, token.as_ref()).await?;
                let body = String::from_utf8_lossy(body.trim_ascii()).into_owned();
                match status {
                    StatusCode::OK => say(&body),
                    // This gateway has purged, and it will tell the others later. The next files
                    // can still be purged.
                    StatusCode::SERVICE_UNAVAILABLE if body.contains("purge_partial") => {
                        partial = Some(body);
                    }
                    _ => return Err(Failure::Run(format!("not purged ({status}): {body}"))),
                }
            }
            partial.map_or(Ok(()), |body| Err(Failure::Run(format!("purged in part: {body}"))))
        })
    }
}
