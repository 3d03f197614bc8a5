//! Configuration as the operator wrote it: a table, and the paths that came from the environment.
//!
//! `IKGATE_CACHE__TTL=30s` stands for `cache.ttl`. A variable that begins with `IKGATE_` and names no
//! key is a problem, except those that Kubernetes sets for a service called ikgate.

use std::collections::{BTreeMap, HashSet};

use toml::{Table, Value};

use super::lookup::{is_declared, names_in};
use super::problem::{Problem, Problems};
use super::settings::PRIVATE_KEY_VARIABLE;
use super::unknown::{known, names_of, nearest_of};
use crate::secret::Secret;

/// Beginning of the variables that are configuration.
pub(super) const PREFIX: &str = "IKGATE_";
const SEPARATOR: &str = "__";

/// Unchecked configuration.
pub(super) struct Raw {
    pub(super) table: Table,
    /// Paths whose value comes from an environment variable.
    pub(super) from_environment: HashSet<String>,
    pub(super) private_key: Option<Secret>,
    /// Whether the file sets nothing.
    pub(super) file_is_empty: bool,
    /// Problems of the variables. The rest can be checked in spite of them.
    pub(super) problems: Vec<Problem>,
}

impl Raw {
    /// Lays the variables of `environment` over the file's `text`.
    ///
    /// # Errors
    ///
    /// [`Problems`] if the text is not TOML.
    pub(super) fn new(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let table =
            text.parse::<Table>().map_err(|error| Problems(vec![not_toml(text, &error)]))?;
        let mut raw = Self {
            file_is_empty: table.is_empty(),
            table,
            from_environment: HashSet::new(),
            private_key: None,
            problems: Vec::new(),
        };
        // Sorted, so that the reported problems do not depend on the system.
        let environment: BTreeMap<_, _> = environment.into_iter().collect();
        for (name, value) in environment {
            if name == PRIVATE_KEY_VARIABLE {
                raw.private_key = Some(Secret::new(value));
            } else if name.starts_with(PREFIX) && !is_foreign(&name, &value) {
                let problem = match path_of(&name) {
                    _ if value.contains(char::REPLACEMENT_CHARACTER) => {
                        Some(Problem::new(&name, "must be UTF-8"))
                    }
                    Some(path) if is_declared(&path.join(".")) => {
                        raw.lay_over(&name, &path, value).err()
                    }
                    _ => Some(unknown_variable(&name)),
                };
                raw.problems.extend(problem);
            }
        }
        Ok(raw)
    }

    fn lay_over(&mut self, name: &str, path: &[String], value: String) -> Result<(), Problem> {
        let dotted = path.join(".");
        let Some((key, sections)) = path.split_last() else { return Ok(()) };
        let mut table = &mut self.table;
        for section in sections {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(inner) = inner else {
                let message = format!("{name} is inside a value that is not a table");
                return Err(Problem::new(&dotted, message));
            };
            table = inner;
        }
        if value.trim_start().starts_with('{') {
            let inline = inline_table(&value).map_err(|message| Problem::new(&dotted, message))?;
            table.insert(key.clone(), inline);
        } else {
            table.insert(key.clone(), Value::String(value));
            self.from_environment.insert(dotted);
        }
        Ok(())
    }
}

/// Returns the problem of a text that is not TOML, with its line number, but not the line itself: it
/// may hold a secret, and the problem is logged.
fn not_toml(text: &str, error: &toml::de::Error) -> Problem {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    Problem { line: Some(line), ..Problem::new("", format_args!("not TOML: {}", error.message())) }
}

/// Parses a value like `{ per_second = 1, burst = 5 }`. The message does not repeat the value.
fn inline_table(text: &str) -> Result<Value, &'static str> {
    let table = format!("value = {text}").parse::<Table>();
    let value = table.ok().and_then(|mut table| table.remove("value"));
    value.ok_or("must be an inline table in TOML, like { per_second = 1, burst = 5 }")
}

/// Returns the name of the variable that overrides the key at this path.
pub(super) fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', SEPARATOR).to_ascii_uppercase())
}

/// Returns whether a variable is not meant as configuration: Kubernetes sets it for a service whose
/// name begins with ikgate.
fn is_foreign(name: &str, value: &str) -> bool {
    let is_port = |rest: &str| rest.starts_with(|first: char| first.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || value.contains("://") && name.ends_with("_PORT")
        || name.split_once("_PORT_").is_some_and(|(_, rest)| is_port(rest))
}

/// Returns the problem of a variable that names no key: the variable that was probably meant, or the
/// keys of its section.
fn unknown_variable(name: &str) -> Problem {
    let variables = known().into_iter().map(|path| variable(&path));
    let near = nearest_of(name, variables.filter(|variable| variable.contains(SEPARATOR)));
    let path = path_of(name).unwrap_or_default();
    let section = path.split_last().map(|(_, sections)| sections.join("."));
    let section = section.filter(|section| !names_in(section).is_empty());
    // The only variable that has another prefix: it is ImageKit's name for its key.
    let near =
        near.or_else(|| name.ends_with("PRIVATE_KEY").then(|| PRIVATE_KEY_VARIABLE.to_owned()));
    let meant = near.map_or_else(|| ".".to_owned(), |near| format!(": did you mean {near}?"));
    let others = section.map_or_else(
        || "Variables are written IKGATE_SECTION__KEY".to_owned(),
        |section| names_of(Some(&section)),
    );
    Problem::new(name, format!("is not a variable of ikgate{meant} {others}"))
}

fn path_of(name: &str) -> Option<Vec<String>> {
    let path = name.strip_prefix(PREFIX).filter(|path| path.contains(SEPARATOR))?;
    // A key id is a name of the operator's, in any case.
    if let Some(kid) = path.strip_prefix("JWT__KEY_FILES__") {
        return Some(vec!["jwt".to_owned(), "key_files".to_owned(), kid.to_owned()]);
    }
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
        let environment =
            [("IKGATE_CACHE__TTL", "30s"), ("IKGATE_SERVER__TLS__KEY", "1"), ("PATH", "/bin")];
        let raw = raw("[cache]\nttl = \"60s\"\nmax_bytes = \"1MiB\"", &environment).unwrap();
        let expected = "server.tls.key = \"1\"\n[cache]\nttl = \"30s\"\nmax_bytes = \"1MiB\"";
        assert_eq!(raw.table, expected.parse::<Table>().unwrap());
        assert!(raw.from_environment.contains("cache.ttl"));
    }

    #[test]
    fn what_kubernetes_sets_for_a_service_of_our_name_is_not_configuration() {
        let environment = [
            ("IKGATE_PORT", "tcp://10.0.0.1:80"),
            ("IKGATE_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("IKGATE_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("IKGATE_SERVICE_HOST", "10.0.0.1"),
            ("IKGATE_SERVICE_PORT_HTTP", "80"),
            ("IKGATE_ADMIN_SERVICE_HOST", "10.0.0.2"),
            ("IKGATE__CANARY_SERVICE_HOST", "10.0.0.3"),
            ("IKGATE__CANARY_PORT_80_TCP", "tcp://10.0.0.3:80"),
        ];
        assert!(raw("", &environment).unwrap().table.is_empty());
    }

    #[test]
    fn a_variable_that_names_no_key_is_a_problem_and_the_key_that_was_meant_is_named() {
        for (name, near) in [
            ("IKGATE_CACHE_TTL", ": did you mean IKGATE_CACHE__TTL?"),
            ("IKGATE_CACHE__TTLL", ": did you mean IKGATE_CACHE__TTL?"),
            ("IKGATE_SERVER_LISTEN", ": did you mean IKGATE_SERVER__LISTEN?"),
            ("IKGATE_UPSTREAM__BUDGET__BURTS", ": did you mean IKGATE_UPSTREAM__BUDGET__BURST?"),
            ("IKGATE_ADMIN__PORT", ". The keys of admin are listen, token_file, hosts"),
            ("IKGATE_PRIVATE_KEY", ": did you mean IMAGEKIT_PRIVATE_KEY?"),
            ("IKGATE_PORT", ". Variables are written IKGATE_SECTION__KEY"),
            ("IKGATE_VERSION", ". Variables are written IKGATE_SECTION__KEY"),
            ("IKGATE_LOG_LEVEL", ". Variables are written IKGATE_SECTION__KEY"),
            ("IKGATE_SURPRISE__PORT", ". Variables are written IKGATE_SECTION__KEY"),
        ] {
            let raw = raw("", &[(name, "30")]).unwrap();
            assert_eq!(raw.problems[0].path, name);
            let message = &raw.problems[0].message;
            let expected = format!("is not a variable of ikgate{near}");
            assert!(message.starts_with(&expected), "{message}");
            assert!(raw.table.is_empty(), "{name} is reported once");
        }
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_a_problem_for_every_key() {
        let raw = raw("", &[("IKGATE_JWT__ISSUER", "a\u{fffd}")]).unwrap();
        assert_eq!(raw.problems[0].to_string(), "IKGATE_JWT__ISSUER: must be UTF-8");
    }

    #[test]
    fn a_key_id_in_a_variable_keeps_its_case() {
        let raw = raw("", &[("IKGATE_JWT__KEY_FILES__Key1", "a.pub")]).unwrap();
        assert_eq!(raw.table, "jwt.key_files.Key1 = \"a.pub\"".parse::<Table>().unwrap());
    }

    #[test]
    fn an_inline_table_is_read_from_the_environment() {
        let quota = [("IKGATE_LIMITS__ANONYMOUS", "{ per_second = 1, burst = 5 }")];
        let raw = raw("[limits]\nanonymous = false", &quota).unwrap();
        let expected = "limits.anonymous = { per_second = 1, burst = 5 }";
        assert_eq!(raw.table, expected.parse::<Table>().unwrap());
    }

    #[test]
    fn an_inline_table_that_is_malformed_is_not_repeated() {
        let quota = [("IKGATE_LIMITS__ANONYMOUS", "{ per_second = 1, secret")];
        let problems = raw("", &quota).unwrap().problems[0].to_string();
        assert!(problems.starts_with("limits.anonymous: must be an inline table"), "{problems}");
        assert!(!problems.contains("secret"), "{problems}");
    }

    #[test]
    fn a_variable_inside_a_plain_value_is_a_problem() {
        let problems = raw("cache = 1", &[("IKGATE_CACHE__TTL", "30s")]).unwrap().problems;
        assert_eq!(problems[0].path, "cache.ttl");
    }
}
