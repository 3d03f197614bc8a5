//! Configuration as the operator wrote it: a table, and the paths that came from the environment.
//!
//! `IKGATE_CACHE__TTL=30s` stands for `cache.ttl`. Only names with a double underscore are
//! overrides: Kubernetes sets `IKGATE_PORT` and the like for a service called ikgate.

use std::collections::{BTreeMap, HashSet};

use toml::{Table, Value};

use super::problem::{Problem, Problems};
use super::settings::PRIVATE_KEY_VARIABLE;
use crate::secret::Secret;

const PREFIX: &str = "IKGATE_";
const SEPARATOR: &str = "__";

/// Unchecked configuration.
pub(super) struct Raw {
    pub(super) table: Table,
    /// Paths whose value comes from an environment variable.
    pub(super) from_environment: HashSet<String>,
    pub(super) private_key: Option<Secret>,
}

impl Raw {
    pub(super) fn new(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let table =
            text.parse::<Table>().map_err(|error| Problems::one("", not_toml(text, &error)))?;
        let mut raw = Self { table, from_environment: HashSet::new(), private_key: None };
        // Sorted, so that the reported problems do not depend on the system.
        let environment: BTreeMap<_, _> = environment.into_iter().collect();
        let mut problems = Vec::new();
        for (name, value) in environment {
            if name == PRIVATE_KEY_VARIABLE {
                raw.private_key = Some(Secret::new(value));
            } else if let Some(path) = path_of(&name)
                && let Err(problem) = raw.lay_over(&name, &path, value)
            {
                problems.push(problem);
            }
        }
        if problems.is_empty() { Ok(raw) } else { Err(Problems(problems)) }
    }

    fn lay_over(&mut self, name: &str, path: &[String], value: String) -> Result<(), Problem> {
        let dotted = path.join(".");
        let Some((key, sections)) = path.split_last() else { return Ok(()) };
        let mut table = &mut self.table;
        for section in sections {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(inner) = inner else {
                let message = format!("{name} is inside a value that is not a table");
                return Err(Problem { path: dotted, message });
            };
            table = inner;
        }
        table.insert(key.clone(), Value::String(value));
        self.from_environment.insert(dotted);
        Ok(())
    }
}

/// Returns a message with the line number, but not the line itself: it may hold a secret, and the
/// message is logged.
fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    format!("not TOML: line {line}: {}", error.message())
}

fn path_of(name: &str) -> Option<Vec<String>> {
    let path = name.strip_prefix(PREFIX).filter(|path| path.contains(SEPARATOR))?;
    Some(path.split(SEPARATOR).map(str::to_ascii_lowercase).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str, environment: &[(&str, &str)]) -> Result<Raw, Problems> {
        let owned = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Raw::new(text, owned)
    }

    #[test]
    fn the_environment_is_laid_over_the_file() {
        let environment = [("IKGATE_CACHE__TTL", "30s"), ("IKGATE_A__B__C", "1"), ("PATH", "/bin")];
        let raw = raw("[cache]\nttl = \"60s\"\nmax_bytes = \"1MiB\"", &environment).unwrap();
        let expected = "a.b.c = \"1\"\n[cache]\nttl = \"30s\"\nmax_bytes = \"1MiB\"";
        assert_eq!(raw.table, expected.parse::<Table>().unwrap());
        assert!(raw.from_environment.contains("cache.ttl"));
    }

    #[test]
    fn what_kubernetes_sets_for_a_service_of_our_name_is_not_configuration() {
        let environment = [("IKGATE_PORT", "tcp://10.0.0.1:80"), ("IKGATE_SERVICE_HOST", "a")];
        assert!(raw("", &environment).unwrap().table.is_empty());
    }

    #[test]
    fn a_variable_inside_a_plain_value_is_a_problem() {
        let problems = raw("cache = 1", &[("IKGATE_CACHE__TTL", "30s")]).err().unwrap();
        assert_eq!(problems.0[0].path, "cache.ttl");
    }
}
