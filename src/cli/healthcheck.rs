//! `ikgate healthcheck`: requests `/readyz` of a running gateway, for containers without a shell.

use http::{Method, StatusCode};

use super::admin_client::{AdminUrl, send};
use super::failure::Failure;
use super::output::say;
use super::runtime::runtime;

#[derive(Debug, clap::Args)]
pub(super) struct Healthcheck {
    /// URL of the admin listener.
    #[arg(long, value_name = "URL", default_value = AdminUrl::DEFAULT,
          value_parser = AdminUrl::parse)]
    admin: AdminUrl,
}

impl Healthcheck {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let answer = runtime()?.block_on(send(Method::GET, &self.admin, "/readyz", None));
        let (status, body) = answer?;
        let body = String::from_utf8_lossy(body.trim_ascii()).into_owned();
        if status == StatusCode::OK {
            say(&body);
            Ok(())
        } else {
            Err(Failure::Run(format!("not ready: {body}")))
        }
    }
}
