//! Telemetry: log, access log and metrics, all made from one stream of tracing events.
//!
//! Filters are per layer. A filter for the whole subscriber would silence the metrics together with
//! the log.

mod access_log;
mod declared;
mod events;
mod exposition;
mod gauges;
mod history;
mod labels;
mod lines;
mod metric;
mod metrics;
mod metrics_layer;
mod process;
pub mod reference;
mod series;
mod tail;
mod top;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use tail::TailLayer;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, reload};

use access_log::AccessLog;
pub use access_log::AccessLogMode;
pub use exposition::Exposition;
pub use gauges::{ClusterReadings, Most, Readings};
pub use history::{History, INTERVAL as HISTORY_INTERVAL, Percentiles, Point};
use lines::Lines;
pub use lines::LogWriter;
pub use metrics::Metrics;
pub use metrics_layer::MetricsLayer;
pub use tail::{Tail, TailLine};
pub use top::Counted;

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

/// Outcome of a reload of the configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum ReloadOutcome {
    /// The new configuration is in force.
    Applied,
    /// The new configuration has a problem. The old one stays in force.
    Refused,
}

impl ReloadOutcome {
    /// All outcomes, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Applied, Self::Refused];

    /// Returns the label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        }
    }

    /// Emits the event that the metrics count.
    pub fn emit(self) {
        tracing::info!(target: "ikgate.config_reload", outcome = self as u64);
    }
}

/// Valid directive list in the syntax of tracing's `EnvFilter`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogFilter(String);

/// Error for a text that is not a directive list.
#[derive(Debug, thiserror::Error)]
#[error("must be a level or a list like \"info,ikgate=debug\"")]
pub struct InvalidLogFilter(#[source] tracing_subscriber::filter::ParseError);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    Json,
    Pretty,
}

impl LogFilter {
    /// Parses a directive list.
    pub fn parse(text: &str) -> Result<Self, InvalidLogFilter> {
        EnvFilter::builder().parse(text).map_err(InvalidLogFilter)?;
        Ok(Self(text.to_owned()))
    }

    fn to_env_filter(&self) -> EnvFilter {
        EnvFilter::builder().parse_lossy(&self.0)
    }
}

/// Handle of the log: filter, recent events, dropped lines.
pub struct Log {
    lines: Lines,
    set_filter: SetFilter,
    tail: Arc<Tail>,
}

// Boxed, since the handle of the filter has the type of the whole subscriber.
type SetFilter = Box<dyn Fn(&LogFilter) + Send + Sync>;

impl Log {
    /// Sets the filter of the log from now on.
    pub fn set_filter(&self, filter: &LogFilter) {
        (self.set_filter)(filter);
    }

    /// Returns the recent events.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// Returns the number of lines that were not written, since writing was too slow or failed.
    pub fn dropped_lines(&self) -> u64 {
        self.lines.dropped()
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
    let (lines, writer) = LogWriter::start(io::stderr())?;
    let access_log = AccessLog {
        mode: settings.access_log,
        format: settings.format,
        lines: lines.clone(),
        clock: clock.clone(),
        metrics: Arc::clone(metrics),
    };
    let (layer, set_filter) = log_layer(settings, lines.clone());
    let counting = counting_layer(metrics, Some(access_log));
    let tail = Arc::<Tail>::default();
    let said = TailLayer { tail: Arc::clone(&tail), clock: clock.clone() };
    let said = said.with_filter(filter_fn(|metadata| {
        *metadata.level() <= Level::INFO
            && metadata.target().starts_with("ikgate")
            && !metrics_layer::is_counted(metadata)
    }));
    let subscriber = Registry::default().with(counting).with(said).with(layer);
    Ok((subscriber, Log { lines, set_filter, tail }, writer))
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
    lines: Lines,
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
    let layer = tracing_subscriber::fmt::layer().with_writer(move || lines.clone());
    let layer = match settings.format {
        LogFormat::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
        LogFormat::Pretty => {
            let colours = io::stderr().is_terminal();
            layer.compact().with_ansi(colours).with_filter(filter).boxed()
        }
    };
    (layer, Box::new(set_filter))
}
