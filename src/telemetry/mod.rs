//! Telemetry: log, access log and metrics, all made from one stream of tracing events.
//!
//! Filters are per layer. A filter for the whole subscriber would silence the metrics together with
//! the log.

mod access_log;
mod caller_counts;
mod declared;
mod error_codes;
mod events;
mod exposition;
mod gauges;
mod history;
mod labels;
mod log_buffer;
mod log_filter;
mod metric;
mod metrics;
mod metrics_layer;
mod outcome_counters;
mod percentiles;
mod process;
mod recent_events;
pub mod reference;
mod reload_outcome;
mod request_counters;
mod series;
mod subscriber;
mod top;

pub use access_log::AccessLogMode;
pub use caller_counts::{CallerCounts, CallerRow};
pub use exposition::Exposition;
pub use gauges::{ClusterGauges, GaugeLimits, GaugeValues};
pub use history::{History, INTERVAL as HISTORY_INTERVAL, Point};
pub use log_buffer::LogWriter;
pub use log_filter::{InvalidLogFilter, LogFilter, LogFormat};
pub use metrics::{Metrics, RecentMetrics};
pub use metrics_layer::MetricsLayer;
pub use percentiles::Percentiles;
pub use recent_events::{RecentEvent, RecentEvents};
pub use reload_outcome::ReloadOutcome;
pub use subscriber::{Log, TelemetrySettings, log_to_terminal, metrics_layer, subscriber};
pub use top::FileCount;
