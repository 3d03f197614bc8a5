//! Problems of a configuration: path and message of each.

use std::fmt;

/// One problem that the operator must fix.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Path of the key, like `cache.ttl`; empty for the file as a whole.
    pub path: String,
    /// Text of the problem, without the path.
    pub message: String,
}

/// All problems of a configuration; at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    pub(crate) fn one(path: &str, message: String) -> Self {
        Self(vec![Problem { path: path.to_owned(), message }])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
