//! `ikgate serve`: runs until told to stop, then drains.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, runtime};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Settings;
use crate::error::chain;
use crate::server::DrainEnd;
use crate::telemetry::{self, Metrics};

pub(super) fn run(settings: Settings) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let mut stop = StopSignals::listen()?;
        let app = start(settings)?;
        stop.wait_and_drain(app).await
    })
}

/// Sets up the log and starts the gateway.
pub(super) fn start(settings: Settings) -> Result<App, Failure> {
    let names = settings.policy.callers.iter().map(|caller| caller.name.clone());
    let metrics = Arc::new(Metrics::new(names));
    let (subscriber, log_writer) = telemetry::subscriber(&settings.telemetry, &metrics);
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Failure::Run(chain(&error)))?;
    let upstream = settings.upstream.url.to_string();
    let app = App::start(settings, &Clock::system(), metrics, Some(log_writer))
        .map_err(|error| Failure::Run(chain(&error)))?;
    tracing::info!(public = ?app.public, admin = %app.admin, upstream, "ready");
    Ok(app)
}

/// SIGTERM and SIGINT.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    pub(super) fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::Run(format!("cannot handle signals: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Waits for the first signal, then drains. A second one ends the drain at once.
    pub(super) async fn wait_and_drain(&mut self, app: App) -> Result<(), Failure> {
        self.next().await;
        tracing::info!("draining");
        tokio::select! {
            end = app.shut_down() => {
                match end {
                    DrainEnd::Finished => tracing::info!("drained"),
                    DrainEnd::Cut { connections } => {
                        tracing::warn!(connections, "cut what did not finish within shutdown_grace");
                    }
                }
                Ok(())
            }
            () = self.next() => Err(Failure::Run("stopped by a second signal".to_owned())),
        }
    }
}
