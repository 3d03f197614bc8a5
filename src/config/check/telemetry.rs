//! Check of `[telemetry]`: log, log format and access log.

use super::super::section::Section;
use crate::error_chain::chain;
use crate::telemetry::{AccessLogMode, LogFilter, LogFormat, TelemetrySettings};

pub(super) fn telemetry(telemetry: &mut Section) -> TelemetrySettings {
    let log = telemetry.get("log", |given| {
        LogFilter::parse(given.text().map_err(str::to_owned)?).map_err(|error| chain(&error))
    });
    for module in log.unknown_modules() {
        let message = format_args!("ikgate has no module {module:?}: the directive has no effect");
        telemetry.warn("log", message);
    }
    let format = telemetry.get("format", |given| match given.text() {
        Ok("json") => Ok(LogFormat::Json),
        Ok("pretty") => Ok(LogFormat::Pretty),
        _ => Err("must be \"json\" or \"pretty\""),
    });
    let access_log = telemetry.get("access_log", |given| match given.text() {
        Ok("all") => Ok(AccessLogMode::All),
        Ok("errors") => Ok(AccessLogMode::Errors),
        Ok("off") => Ok(AccessLogMode::Off),
        _ => Err("must be \"all\", \"errors\" or \"off\""),
    });
    TelemetrySettings { log, format, access_log }
}
