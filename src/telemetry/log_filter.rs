//! Filter and format of the log.

use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError};

/// Name of this crate: the first part of its modules' paths.
const CRATE: &str = "ikgate";

/// Modules of this crate, as the paths of its log lines begin.
const MODULES: [&str; 26] = [
    "admin",
    "app",
    "breaker",
    "cache",
    "caller",
    "cli",
    "clock",
    "cluster",
    "config",
    "demo",
    "error",
    "error_chain",
    "exchange",
    "file_id",
    "gateway",
    "invalidation",
    "jwks",
    "limit",
    "message",
    "response",
    "route",
    "sandbox",
    "secret",
    "server",
    "telemetry",
    "upstream",
];

/// Valid directive list in the syntax of tracing's `EnvFilter`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogFilter(String);

/// Error for a text that is not a directive list.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLogFilter {
    /// `EnvFilter` takes any word for a module, and then nothing else is logged.
    #[error(
        "{0:?} is no level: allowed are trace, debug, info, warn, error and off, and MODULE=LEVEL \
         as in \"info,ikgate::upstream=debug\""
    )]
    NoLevel(String),
    #[error("must be a level or a list like \"info,ikgate::upstream=debug\"")]
    Syntax(#[source] ParseError),
}

/// Format of a log line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    Json,
    Pretty,
}

impl LogFilter {
    /// Parses a directive list.
    pub fn parse(text: &str) -> Result<Self, InvalidLogFilter> {
        if let Some(word) = directives(text).find(|directive| is_misspelled_level(directive)) {
            return Err(InvalidLogFilter::NoLevel(word.to_owned()));
        }
        EnvFilter::builder().parse(text).map_err(InvalidLogFilter::Syntax)?;
        Ok(Self(text.to_owned()))
    }

    /// Returns the targets that look like modules of this crate and are none. A directive for one
    /// has no effect.
    pub fn unknown_modules(&self) -> impl Iterator<Item = &str> {
        directives(&self.0).map(target).filter(|target| {
            let module = target.strip_prefix(CRATE).and_then(|rest| rest.strip_prefix("::"));
            let name = module.map(|path| path.split("::").next().unwrap_or_default());
            name.is_some_and(|name| !MODULES.contains(&name))
        })
    }

    pub(super) fn to_env_filter(&self) -> EnvFilter {
        EnvFilter::builder().parse_lossy(&self.0)
    }
}

fn directives(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|directive| !directive.is_empty())
}

/// Returns the target of a directive: the part before its span or its level.
fn target(directive: &str) -> &str {
    directive.split(['[', '=']).next().unwrap_or_default()
}

/// Returns whether a directive is one word that is neither a level nor a module's path.
fn is_misspelled_level(directive: &str) -> bool {
    let is_word = !directive.contains(['=', '[', ']', '{', '}']);
    let is_module = directive == CRATE || directive.contains("::");
    is_word && !is_module && directive.parse::<LevelFilter>().is_err()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_a_problem() {
        for text in ["debgu", "verbose", "info,verbose", "hyper", " inf "] {
            let Err(InvalidLogFilter::NoLevel(word)) = LogFilter::parse(text) else {
                panic!("{text:?} is accepted");
            };
            assert!(text.contains(&word));
        }
        for text in ["info", "INFO", "off", "3", "ikgate", "ikgate::cache", "warn,hyper=debug", ""]
        {
            assert!(LogFilter::parse(text).is_ok(), "{text:?}");
        }
        for text in ["info,a=b=c", "ikgate::cache=verbose"] {
            assert!(matches!(LogFilter::parse(text), Err(InvalidLogFilter::Syntax(_))), "{text:?}");
        }
    }

    #[test]
    fn a_module_of_our_own_that_does_not_exist_is_named() {
        let filter = "info,ikgate::upstraem=debug,ikgate::cache::fill=trace,hyper::x=off";
        let filter = LogFilter::parse(filter).unwrap();
        assert_eq!(filter.unknown_modules().collect::<Vec<_>>(), ["ikgate::upstraem"]);
    }

    #[test]
    fn the_modules_are_those_of_the_source() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let names = std::fs::read_dir(source).unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.map(|name| name.to_str().unwrap().trim_end_matches(".rs").to_owned());
        let found: BTreeSet<_> = names.filter(|name| name != "lib" && name != "main").collect();
        assert_eq!(found, MODULES.map(str::to_owned).into());
    }
}
