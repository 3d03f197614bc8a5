//! `ikgate healthcheck`: requests `/readyz` of a running gateway, for containers without a shell.

use http::{Method, StatusCode};

use super::admin_client::{AdminClient, AdminUrl};
use super::printable::printable;
use super::report::{Failure, print};
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
        let client = AdminClient::without_token(self.admin.clone());
        let (status, body) = runtime()?.block_on(client.send(Method::GET, "/readyz"))?;
        let body = printable(String::from_utf8_lossy(&body).trim());
        if status == StatusCode::OK {
            print(&body);
            Ok(())
        } else {
            Err(Failure::Run(format!("not ready: {body}")))
        }
    }
}
