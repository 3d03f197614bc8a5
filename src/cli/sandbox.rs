//! `ikgate sandbox`: runs the local stand-in for ImageKit's Media API, without a gateway.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::companion::{Companion, CompanionListener};
use super::report::{Failure, print};
use super::runtime::runtime;
use super::serve::StopSignals;
use crate::clock::Clock;
use crate::invalidation::SigningSecret;
use crate::sandbox::{
    DEFAULT_KEY, DEFAULT_RATE, IMAGE_WITH_VERSIONS, Sandbox, SandboxSettings, WebhookTarget,
    WebhookUrl,
};
use crate::secret::{Secret, is_one_word};
use crate::telemetry;

#[derive(Debug, clap::Args)]
pub(super) struct SandboxCommand {
    /// Address of the sandbox.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Private key that the sandbox accepts. Do not use a real one: the process list shows it.
    #[arg(long, value_name = "KEY", default_value = DEFAULT_KEY, value_parser = parse_key)]
    key: Secret,
    /// Limit in requests per second; above it, the sandbox answers 429.
    #[arg(long, value_name = "PER_SECOND", default_value_t = DEFAULT_RATE)]
    rate: NonZeroU32,
    /// Delay before each answer of the API, like 20ms.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_latency)]
    latency: Duration,
    /// URL that receives a signed event when a version is added or removed, like
    /// `http://127.0.0.1:8080/webhooks/imagekit`; without TLS.
    #[arg(long, value_name = "URL", requires = "webhook_secret", value_parser = WebhookUrl::parse)]
    webhook_url: Option<WebhookUrl>,
    /// Secret that signs the events, like `whsec_dGVzdA==`. Do not use a real one.
    #[arg(long, value_name = "SECRET", requires = "webhook_url", value_parser = parse_secret)]
    webhook_secret: Option<Secret>,
}

/// Running sandbox.
pub(super) struct RunningSandbox {
    pub(super) address: SocketAddr,
    pub(super) sandbox: Arc<Sandbox>,
    server: Companion,
}

impl SandboxCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        runtime()?.block_on(async {
            let mut stop = StopSignals::listen()?;
            let settings =
                SandboxSettings { key: self.key, rate: self.rate, latency: self.latency };
            let key = settings.key.clone();
            let sandbox = start(self.listen, settings)?;
            if let (Some(url), Some(secret)) = (self.webhook_url, self.webhook_secret) {
                telemetry::log_to_terminal();
                let secret = SigningSecret::new(secret);
                sandbox.sandbox.deliver_to(WebhookTarget { url, secret });
            }
            print(&greeting(sandbox.address, &key));
            stop.next().await;
            sandbox.stop().await;
            Ok(())
        })
    }
}

/// Binds the listener and starts the sandbox. Must be called within a Tokio runtime.
pub(super) fn start(
    listen: SocketAddr,
    settings: SandboxSettings,
) -> Result<RunningSandbox, Failure> {
    let listener = CompanionListener::new(listen, "the sandbox")?;
    let address = listener.address;
    let sandbox = Arc::new(Sandbox::new(settings, Clock::system()));
    let server = listener.serve(Arc::clone(&sandbox));
    Ok(RunningSandbox { address, sandbox, server })
}

impl RunningSandbox {
    pub(super) async fn stop(&self) {
        self.server.stop().await;
    }
}

/// Returns the text that the command prints. It shows the key on purpose: the key opens only this
/// sandbox.
fn greeting(address: SocketAddr, key: &Secret) -> String {
    format!(
        "The sandbox is running on http://{address}

  curl -u '{}:' http://{address}/v1/files/{IMAGE_WITH_VERSIONS}/versions
  curl -X POST http://{address}/_sandbox/files/{IMAGE_WITH_VERSIONS}/versions
  curl http://{address}/_sandbox/files

Stop with Ctrl-C.",
        key.expose()
    )
}

fn parse_key(text: &str) -> Result<Secret, &'static str> {
    if is_one_word(text) && !text.contains(':') {
        Ok(Secret::new(text.to_owned()))
    } else {
        Err("must be visible ASCII without blanks and colons")
    }
}

fn parse_secret(text: &str) -> Result<Secret, &'static str> {
    if is_one_word(text) {
        Ok(Secret::new(text.to_owned()))
    } else {
        Err("must be visible ASCII without blanks")
    }
}

fn parse_latency(text: &str) -> Result<Duration, &'static str> {
    match humantime::parse_duration(text) {
        Ok(latency) if latency <= Duration::from_mins(1) => Ok(latency),
        _ => Err("must be a duration like 20ms, at most 1m"),
    }
}
