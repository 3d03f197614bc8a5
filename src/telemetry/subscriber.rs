//! Subscriber of the process: metrics, log, access log and recent events as layers.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, reload};

use super::access_log::{AccessLog, AccessLogMode};
use super::log_buffer::{LogBuffer, LogWriter};
use super::log_filter::{LogFilter, LogFormat};
use super::metrics::Metrics;
use super::metrics_layer::{self, MetricsLayer};
use super::recent_events::{RecentEvents, RecentEventsLayer};
use crate::clock::Clock;

/// Settings of the log and the access log.
#[derive(Clone, Debug)]
pub struct TelemetrySettings {
    /// Filter of the log.
    pub log: LogFilter,
    /// Format of log and access log.
    pub format: LogFormat,
    /// Exchanges that are logged.
    pub access_log: AccessLogMode,
}

/// Handle of the log: its filter, the recent events, and the number of dropped lines.
pub struct Log {
    buffer: LogBuffer,
    set_filter: SetFilter,
    recent: Arc<RecentEvents>,
}

// Boxed, since the handle of the filter has the type of the whole subscriber.
type SetFilter = Box<dyn Fn(&LogFilter) + Send + Sync>;

impl Log {
    /// Sets the filter of the log from now on.
    pub fn set_filter(&self, filter: &LogFilter) {
        (self.set_filter)(filter);
    }

    /// Returns the recent events.
    pub fn recent(&self) -> &RecentEvents {
        &self.recent
    }

    /// Returns the number of lines that were not written, since writing was too slow or failed.
    pub fn dropped_lines(&self) -> u64 {
        self.buffer.dropped()
    }
}

/// Returns the subscriber: metrics, and the log and the access log on standard error.
///
/// # Errors
///
/// An [`io::Error`] if the writing thread cannot be started.
pub fn subscriber(
    settings: &TelemetrySettings,
    metrics: &Arc<Metrics>,
    clock: &Clock,
) -> io::Result<(impl Subscriber + Send + Sync + use<>, Log, LogWriter)> {
    let (buffer, writer) = LogWriter::start(io::stderr())?;
    let access_log = AccessLog {
        mode: settings.access_log,
        format: settings.format,
        buffer: buffer.clone(),
        clock: clock.clone(),
        metrics: Arc::clone(metrics),
    };
    let (layer, set_filter) = log_layer(settings, buffer.clone());
    let counting = counting_layer(metrics, Some(access_log));
    let recent = Arc::<RecentEvents>::default();
    let recent_layer = RecentEventsLayer { events: Arc::clone(&recent), clock: clock.clone() };
    let recent_layer = recent_layer.with_filter(filter_fn(|metadata| {
        *metadata.level() <= Level::INFO
            && metadata.target().starts_with("ikgate")
            && !metrics_layer::is_counted(metadata)
    }));
    let subscriber = Registry::default().with(counting).with(recent_layer).with(layer);
    Ok((subscriber, Log { buffer, set_filter, recent }, writer))
}

/// Logs to standard error, for a command that counts nothing.
pub fn log_to_terminal() {
    let log = tracing_subscriber::fmt::layer()
        .compact()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .with_filter(tracing_subscriber::filter::LevelFilter::INFO);
    // If a subscriber is set already, that one serves as well.
    _ = tracing::subscriber::set_global_default(Registry::default().with(log));
}

/// Returns the layer of the metrics alone.
pub fn metrics_layer<S>(metrics: &Arc<Metrics>) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    counting_layer(metrics, None)
}

fn counting_layer<S>(
    metrics: &Arc<Metrics>,
    access_log: Option<AccessLog>,
) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let counted = filter_fn(metrics_layer::is_counted);
    MetricsLayer::new(Arc::clone(metrics), access_log).with_filter(counted)
}

fn log_layer<S>(
    settings: &TelemetrySettings,
    buffer: LogBuffer,
) -> (Box<dyn Layer<S> + Send + Sync>, SetFilter)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let (chosen, handle) = reload::Layer::new(settings.log.to_env_filter());
    let set_filter = move |filter: &LogFilter| {
        // The reload fails only when the subscriber is gone, and then nothing is logged any more.
        _ = handle.reload(filter.to_env_filter());
    };
    // The other events are numbers for the metrics. This filter comes first, since it is the
    // cheaper one.
    let readable = filter_fn(|metadata| !metrics_layer::is_counted(metadata));
    let filter = readable.and(chosen);
    let layer = tracing_subscriber::fmt::layer().with_writer(move || buffer.clone());
    let layer = match settings.format {
        LogFormat::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
        LogFormat::Pretty => {
            let colours = io::stderr().is_terminal();
            layer.compact().with_ansi(colours).with_filter(filter).boxed()
        }
    };
    (layer, Box::new(set_filter))
}
