//! Configuration: reads the file and the environment, and checks them into settings.
//!
//! `declared` holds each key once: name, type, default, whether a change is live, and a sentence.
//! `raw` is the file as a table, with the overrides of the environment laid over it. `check` turns
//! it into the settings types of the other modules. It collects every problem with its path instead
//! of stopping at the first. Only `app` and `cli` import this module.

mod check;
mod declared;
mod effective;
mod given;
mod live;
mod location;
mod lookup;
mod problem;
mod raw;
pub mod reference;
mod section;
mod settings;
mod spec;
mod unknown;

use std::path::Path;

use location::Locations;

pub use check::{caller_name, listed_origin};
pub use live::Reloaded;
pub use problem::{Problem, Problems};
pub use settings::{AdminListenerSettings, PRIVATE_KEY_VARIABLE, PublicSettings, Settings};

use crate::caller::TokenSettings;
use crate::clock::Clock;

/// Reads and checks a configuration file. Relative paths in it start at its directory.
///
/// # Errors
///
/// [`Problems`] with every problem found.
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, Problems> {
    let (text, directory) = read(path)?;
    let environment: Vec<_> = environment.into_iter().collect();
    let locations = Locations::of(path, &text, names(&environment));
    let mut loaded = from_text(&text, directory, environment.iter().cloned());
    locations.sort(match &mut loaded {
        Ok(settings) => &mut settings.warnings,
        Err(Problems(problems)) => problems,
    });
    loaded
}

/// Reads and checks only the section `[jwt]`: signing a token needs nothing else.
///
/// # Errors
///
/// [`Problems`] with every problem found in that section.
pub fn tokens(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<TokenSettings, Problems> {
    let (text, directory) = read(path)?;
    let environment: Vec<_> = environment.into_iter().collect();
    let locations = Locations::of(path, &text, names(&environment));
    let raw = raw::Raw::new(&text, environment.iter().cloned());
    let checked = raw.and_then(|raw| check::tokens(raw, directory));
    checked.map_err(|Problems(mut problems)| {
        locations.sort(&mut problems);
        Problems(problems)
    })
}

fn names(environment: &[(String, String)]) -> Vec<&str> {
    environment.iter().map(|(name, _)| name.as_str()).collect()
}

fn read(path: &Path) -> Result<(String, &Path), Problems> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problems::one("", format!("cannot read {}: {error}", path.display())))?;
    Ok((text, path.parent().unwrap_or(Path::new(""))))
}

/// Checks a configuration that is already in memory.
///
/// # Errors
///
/// [`Problems`] with every problem found.
pub fn from_text(
    text: &str,
    directory: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, Problems> {
    let raw = raw::Raw::new(text, environment)?;
    check::check(raw, directory, Clock::system().unix_time())
}
