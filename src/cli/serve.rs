//! `ikgate serve`: runs the gateway until SIGTERM or SIGINT, then drains. SIGHUP reloads the
//! configuration.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use super::config_file::{ConfigFile, environment, load};
use super::report::Failure;
use super::runtime::runtime;
use super::service_manager;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{self, Problems, Settings};
use crate::error_chain::chain;
use crate::server::{DrainEnd, PassedSockets};
use crate::telemetry::{self, LogWriter, Metrics, ReloadOutcome};

/// Open files and sockets other than those of callers: upstream, operators, the runtime.
const OTHER_OPEN_FILES: u64 = 1024;

pub(super) fn run(file: &ConfigFile) -> Result<(), Failure> {
    let passed = PassedSockets::from_environment();
    let settings = load(file)?;
    let open_files = raise_open_files(settings.public.server.max_connections);
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let mut stop = StopSignals::listen()?;
        let mut hang_up = listen(SignalKind::hangup())?;
        let url = settings.upstream.url.clone();
        let (mut app, _log) = start(settings, passed)?;
        if let Err(limit) = open_files {
            tracing::warn!(
                limit,
                "the open file limit is too low for server.max_connections: fewer connections fit"
            );
        }
        if !url.is_imagekit() {
            tracing::warn!(upstream = %url, "the private key goes to a host that is not ImageKit's");
        }
        let status = format!("answering on {:?}, operators on {}", app.public, app.admin);
        service_manager::ready(&status);
        tokio::spawn(service_manager::send_watchdog_messages());
        let mut loading = Loading::default();
        loop {
            tokio::select! {
                () = stop.next() => return stop.drain(app).await,
                _ = hang_up.recv() => {
                    service_manager::reloading();
                    loading.begin(file);
                }
                loaded = loading.end() => {
                    apply(&mut app, loaded);
                    service_manager::ready(&status);
                }
            }
        }
    });
    // A disk that does not answer must not delay the end of the process.
    runtime.shutdown_background();
    ended
}

/// Raises the limit of open files to what `connections` need. Most systems start programs with a
/// soft limit of 1024 and allow more.
///
/// # Errors
///
/// Returns the limit in force, if it is lower than needed.
fn raise_open_files(connections: usize) -> Result<(), u64> {
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_OPEN_FILES);
    let have = rlimit::Resource::NOFILE.get_soft().unwrap_or_default();
    if have >= needed {
        return Ok(());
    }
    match rlimit::increase_nofile_limit(needed) {
        Ok(limit) if limit >= needed => Ok(()),
        Ok(limit) => Err(limit),
        Err(_) => Err(have),
    }
}

/// Configuration that a blocking thread reads, because its files may be on a slow disk.
#[derive(Default)]
struct Loading(Option<JoinHandle<Result<Settings, Problems>>>);

impl Loading {
    /// Starts to read the file. It drops a read that is in progress, because that one may return an
    /// older version.
    fn begin(&mut self, file: &ConfigFile) {
        let path = file.config.clone();
        self.0 = Some(tokio::task::spawn_blocking(move || config::load(&path, environment())));
    }

    /// Waits for the result of the read. It never returns if no read is in progress.
    async fn end(&mut self) -> Result<Settings, Problems> {
        let Some(reading) = &mut self.0 else { return std::future::pending().await };
        let loaded = reading.await;
        self.0 = None;
        loaded.unwrap_or_else(|error| Err(Problems::one("", error.to_string())))
    }
}

fn apply(app: &mut App, loaded: Result<Settings, Problems>) {
    match loaded.and_then(|settings| app.reload(settings)) {
        Ok(_needs_restart) => ReloadOutcome::Applied.emit(),
        Err(problems) => {
            for problem in &problems.0 {
                tracing::error!(
                    location = problem.location,
                    path = problem.path,
                    problem = problem.message,
                    "configuration not reloaded: the old one stays in force"
                );
            }
            app.note_refused_reload(&problems);
            ReloadOutcome::Refused.emit();
        }
    }
}

/// Sets up the log and starts the gateway. Log lines are lost after the returned [`LogWriter`] is
/// dropped.
pub(super) fn start(
    settings: Settings,
    passed: PassedSockets,
) -> Result<(App, LogWriter), Failure> {
    let metrics = Arc::new(Metrics::new());
    let clock = Clock::system();
    let (subscriber, log, writer) = telemetry::subscriber(&settings.telemetry, &metrics, &clock)
        .map_err(|error| Failure::Run(format!("cannot start the log: {error}")))?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Failure::Run(chain(&error)))?;
    let upstream = settings.upstream.url.to_string();
    let app = App::start(settings, &clock, metrics, Some(Arc::new(log)), passed)
        .map_err(|error| Failure::Run(chain(&error)))?;
    let pid = std::process::id();
    tracing::info!(public = ?app.public, admin = %app.admin, upstream, pid, "ready");
    Ok((app, writer))
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::Run(format!("cannot handle signals: {error}")))
}

/// Streams of the stop signals: SIGTERM and SIGINT.
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

    /// Drains and stops the gateway. A second signal stops it at once.
    pub(super) async fn drain(&mut self, app: App) -> Result<(), Failure> {
        tracing::info!("draining");
        service_manager::stopping();
        tokio::select! {
            end = app.shut_down() => {
                match end {
                    DrainEnd::Finished => tracing::info!("drained"),
                    DrainEnd::Cut { connections } => {
                        tracing::warn!(connections, "connections cut at the end of shutdown_grace");
                    }
                }
                Ok(())
            }
            () = self.next() => Err(Failure::Run("stopped by a second signal".to_owned())),
        }
    }
}
