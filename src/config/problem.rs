//! Problems of a configuration: path and message of each.

use std::fmt;

/// One problem that the operator must fix, or a warning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// `FILE:LINE`, `FILE`, or an environment variable; `None` for a text without a file.
    pub location: Option<String>,
    /// Line of a text that is not TOML, from 1. A problem of a key has the line of its key.
    pub(super) line: Option<usize>,
    /// Path of the key, like `cache.ttl`; empty for the file as a whole.
    pub path: String,
    /// Text of the problem, without the path.
    pub message: String,
}

/// All problems of a configuration; at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems(pub Vec<Problem>);

impl Problem {
    /// Makes a problem of the key at `path`, without a location.
    pub fn new(path: &str, message: impl fmt::Display) -> Self {
        Self { location: None, line: None, path: path.to_owned(), message: message.to_string() }
    }
}

impl Problems {
    pub(crate) fn one(path: &str, message: impl fmt::Display) -> Self {
        Self(vec![Problem::new(path, message)])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// Writes one line per problem.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.0.iter().map(ToString::to_string);
        f.write_str(&lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl std::error::Error for Problems {}
