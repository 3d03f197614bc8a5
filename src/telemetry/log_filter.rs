//! Filter and format of the log.

use tracing_subscriber::filter::EnvFilter;

/// Valid directive list in the syntax of tracing's `EnvFilter`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogFilter(String);

/// Error for a text that is not a directive list.
#[derive(Debug, thiserror::Error)]
#[error("must be a level or a list like \"info,ikgate=debug\"")]
pub struct InvalidLogFilter(#[source] tracing_subscriber::filter::ParseError);

/// Format of a log line.
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

    pub(super) fn to_env_filter(&self) -> EnvFilter {
        EnvFilter::builder().parse_lossy(&self.0)
    }
}
