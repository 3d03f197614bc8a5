//! `ikgate serve`: runs until told to stop, then drains. SIGHUP reads its configuration again.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ConfigFile, Failure, environment, load, runtime};
use crate::app::App;
use crate::clock::Clock;
use crate::config::{self, Settings};
use crate::error::chain;
use crate::server::DrainEnd;
use crate::telemetry::{self, Metrics, ReloadOutcome};

pub(super) fn run(file: &ConfigFile) -> Result<(), Failure> {
    let settings = load(file)?;
    runtime()?.block_on(async {
        let mut stop = StopSignals::listen()?;
        let mut hang_up = listen(SignalKind::hangup())?;
        let mut app = start(settings)?;
        loop {
            tokio::select! {
                () = stop.next() => return stop.drain(app).await,
                _ = hang_up.recv() => reload(&mut app, file).await,
            }
        }
    })
}

async fn reload(app: &mut App, file: &ConfigFile) {
    let path = file.config.clone();
    // Files, which may be on a disk that takes its time.
    let loaded = tokio::task::spawn_blocking(move || config::load(&path, environment())).await;
    match loaded {
        Ok(Ok(settings)) => {
            let waiting = app.reload(settings);
            tracing::info!("the configuration has been reloaded");
            if !waiting.is_empty() {
                tracing::warn!(keys = waiting.join(", "), "these keys change with a restart only");
            }
            ReloadOutcome::Applied.emit();
        }
        Ok(Err(problems)) => {
            for problem in &problems.0 {
                tracing::error!(path = problem.path, problem = problem.message, "not reloaded");
            }
            ReloadOutcome::Refused.emit();
        }
        Err(error) => {
            tracing::error!(%error, "not reloaded");
            ReloadOutcome::Refused.emit();
        }
    }
}

/// Sets up the log and starts the gateway.
pub(super) fn start(settings: Settings) -> Result<App, Failure> {
    let metrics = Arc::new(Metrics::new());
    let (subscriber, log) = telemetry::subscriber(&settings.telemetry, &metrics);
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Failure::Run(chain(&error)))?;
    let upstream = settings.upstream.url.to_string();
    let app = App::start(settings, &Clock::system(), metrics, Some(log))
        .map_err(|error| Failure::Run(chain(&error)))?;
    tracing::info!(public = ?app.public, admin = %app.admin, upstream, "ready");
    Ok(app)
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::Run(format!("cannot handle signals: {error}")))
}

/// SIGTERM and SIGINT.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    pub(super) fn listen() -> Result<Self, Failure> {
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

    /// Drains. Another signal ends that at once.
    pub(super) async fn drain(&mut self, app: App) -> Result<(), Failure> {
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
