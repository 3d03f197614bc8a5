//! `ikgate reference`: prints the reference of keys, metrics, events or error codes, made of their
//! declarations.

use clap::ValueEnum;

use super::report::{Failure, print};
use crate::{config, error, telemetry};

#[derive(Debug, clap::Args)]
pub(super) struct Reference {
    /// Part of the reference.
    topic: Topic,
    /// Format of the output. Only `config` can be TOML: the commented file, with every default.
    #[arg(long, value_name = "FORMAT", default_value = "markdown")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Topic {
    Config,
    Errors,
    Events,
    Metrics,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Markdown,
    Toml,
}

impl Reference {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let text = match (self.topic, self.format) {
            (Topic::Config, Format::Markdown) => config::reference::markdown(),
            (Topic::Config, Format::Toml) => config::reference::toml(),
            (Topic::Errors, Format::Markdown) => error::reference::markdown(),
            (Topic::Events, Format::Markdown) => telemetry::reference::events(),
            (Topic::Metrics, Format::Markdown) => telemetry::reference::metrics(),
            (Topic::Errors | Topic::Events | Topic::Metrics, Format::Toml) => {
                return Err(Failure::Usage("only `config` can be written as TOML".to_owned()));
            }
        };
        print(&text);
        Ok(())
    }
}
