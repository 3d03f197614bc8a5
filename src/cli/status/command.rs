//! `ikgate status`: prints the state of a running gateway once.

use ratatui::buffer::Buffer;
use serde::Serialize;
use serde_json::Value;

use super::output::{area, is_terminal, palette, text};
use super::snapshot::{Readiness, Snapshot, fetch};
use super::view::View;
use crate::cli::admin_client::AdminOptions;
use crate::cli::printable::json;
use crate::cli::report::{Failure, print};
use crate::cli::runtime::runtime;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Status {
    #[command(flatten)]
    admin: AdminOptions,
    /// Print the body of /api/stats with `ready` and `readiness` in one line, for programs.
    #[arg(long)]
    json: bool,
}

/// Output for programs: the body of `/api/stats`, with the answer of `/readyz`.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    readiness: &'a Readiness,
    #[serde(flatten)]
    body: &'a Value,
}

impl Status {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let snapshot = runtime()?.block_on(fetch(&client))?;
        let Snapshot { readiness, body, .. } = &snapshot;
        if self.json {
            print(&json(&Report { readiness, body }));
        } else {
            print(&screen(&snapshot, &client.url()));
        }
        if readiness.is_ready {
            Ok(())
        } else {
            Err(Failure::Run(format!("not ready: {}", readiness.readiness)))
        }
    }
}

fn screen(snapshot: &Snapshot, url: &str) -> String {
    let mut buffer = Buffer::empty(area());
    let view =
        View { url, snapshot: Some(snapshot), silence: None, palette: palette(), is_live: false };
    view.draw(buffer.area, &mut buffer);
    text(&buffer, is_terminal())
}
