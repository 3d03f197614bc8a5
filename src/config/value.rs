//! Reader of one configuration table, key by key. It collects problems and reports unknown keys.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use bytesize::ByteSize;
use toml::{Table, Value};

use super::lookup;
use super::problem::Problem;
use super::unknown::unknown;

/// Longest duration that can be configured. A longer one is a mistake, and sums of several must
/// fit.
const DURATION_MAX: Duration = Duration::from_hours(365 * 24);

/// Problems and warnings collected from all sections.
#[derive(Clone, Default)]
pub(super) struct Noted {
    problems: Rc<RefCell<Vec<Problem>>>,
    warnings: Rc<RefCell<Vec<Problem>>>,
}

impl Noted {
    /// Returns a collection that begins with these problems.
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems: Rc::new(RefCell::new(problems)), warnings: Rc::default() }
    }

    pub(super) fn note(&self, path: &str, message: impl Display) {
        self.problems.borrow_mut().push(Problem::new(path, message));
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.problems.borrow().iter().any(|problem| problem.path == path)
    }

    pub(super) fn take(&self) -> Vec<Problem> {
        self.problems.take()
    }

    pub(super) fn take_warnings(&self) -> Vec<Problem> {
        self.warnings.take()
    }
}

/// Table that is being read. When dropped, it notes each key that was not read as unknown.
pub(super) struct Section {
    path: String,
    table: Table,
    from_environment: Rc<HashSet<String>>,
    noted: Noted,
}

/// Value of a key as the operator wrote it.
pub(super) struct Given {
    pub(super) value: Value,
    /// Whether it comes from an environment variable. Then it is text, for every expected type.
    from_environment: bool,
}

impl Section {
    pub(super) fn root(table: Table, from_environment: HashSet<String>, noted: &Noted) -> Self {
        let from_environment = Rc::new(from_environment);
        Self { path: String::new(), table, from_environment, noted: noted.clone() }
    }

    /// Returns the path of a key, as problems name it.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn note(&self, key: &str, message: impl Display) {
        self.noted.note(&self.path(key), message);
    }

    /// Notes a warning for the operator. The gateway starts in spite of it.
    pub(super) fn warn(&self, key: &str, message: impl Display) {
        self.noted.warnings.borrow_mut().push(Problem::new(&self.path(key), message));
    }

    /// Returns whether the key has a problem.
    pub(super) fn is_noted(&self, key: &str) -> bool {
        self.noted.has(&self.path(key))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(super) fn is_table(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(Value::is_table)
    }

    /// Returns the names of the keys that were not read yet.
    pub(super) fn names(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    /// Returns the table under `key`; an empty one if there is none.
    pub(super) fn section(&mut self, key: &str) -> Self {
        let table = match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.note(key, "must be a table");
                Table::new()
            }
        };
        self.inner(self.path(key), table)
    }

    /// Returns the tables of an array of tables.
    pub(super) fn sections(&mut self, key: &str) -> Vec<Self> {
        let Some(value) = self.table.remove(key) else { return Vec::new() };
        let Value::Array(values) = value else {
            self.note(key, format_args!("must be written as [[{key}]]"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (place, value) in values.into_iter().enumerate() {
            let path = format!("{}[{place}]", self.path(key));
            match value {
                Value::Table(table) => sections.push(self.inner(path, table)),
                _ => self.noted.note(&path, "must be a table"),
            }
        }
        sections
    }

    fn inner(&self, path: String, table: Table) -> Self {
        let from_environment = Rc::clone(&self.from_environment);
        Self { path, table, from_environment, noted: self.noted.clone() }
    }

    /// Reads the value of a key with `parse`. The declared default applies without the key, and in
    /// place of a value that cannot be read, which is noted.
    pub(super) fn get<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl Fn(&Given) -> Result<T, E>,
    ) -> T {
        self.optional(key, &parse).unwrap_or_else(|| {
            let value = lookup::default(&self.path(key)).expect("a key that is read is declared");
            let default = parse(&Given { value, from_environment: false });
            default.map_err(|error| error.to_string()).expect("a declared default can be read")
        })
    }

    /// Reads the value of a key that may be absent. A value that cannot be read is noted, and
    /// counts as absent.
    pub(super) fn optional<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl Fn(&Given) -> Result<T, E>,
    ) -> Option<T> {
        let path = self.path(key);
        debug_assert!(lookup::key(&path).is_some(), "{path} is read and not declared");
        let value = self.table.remove(key)?;
        let from_environment = self.from_environment.contains(&path);
        match parse(&Given { value, from_environment }) {
            Ok(value) => Some(value),
            Err(message) => {
                self.note(key, message);
                None
            }
        }
    }

    /// Reads the value of a required key. A missing one is noted.
    pub(super) fn require<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl Fn(&Given) -> Result<T, E>,
    ) -> Option<T> {
        self.must_have(key);
        self.optional(key, parse)
    }

    /// Notes a required key that is missing.
    pub(super) fn must_have(&self, key: &str) {
        if !self.has(key) {
            self.note(key, "is required");
        }
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        for key in self.table.keys() {
            let path = self.path(key);
            self.noted.note(&path, unknown(&path));
        }
    }
}

impl Given {
    pub(super) fn text(&self) -> Result<&str, &'static str> {
        self.value.as_str().ok_or("must be a string in quotes")
    }

    pub(super) fn boolean(&self) -> Result<bool, &'static str> {
        let value = match &self.value {
            Value::Boolean(value) => Some(*value),
            Value::String(text) if self.from_environment => text.parse().ok(),
            _ => None,
        };
        value.ok_or("must be true or false")
    }

    pub(super) fn integer<T: TryFrom<i64> + Display + PartialOrd>(
        &self,
        range: &RangeInclusive<T>,
    ) -> Result<T, String> {
        let number = match &self.value {
            Value::Integer(number) => Some(*number),
            Value::String(text) if self.from_environment => text.parse().ok(),
            _ => None,
        };
        number
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("must be a number from {} to {}", range.start(), range.end()))
    }

    pub(super) fn duration(&self) -> Result<Duration, String> {
        let text = self.text().map_err(|_| "must be a duration like \"30s\"".to_owned())?;
        let duration = humantime::parse_duration(text);
        let duration =
            duration.map_err(|_| "must be a duration like \"30s\" or \"5m\"".to_owned())?;
        if duration > DURATION_MAX {
            return Err("must be at most \"365days\"".to_owned());
        }
        Ok(duration)
    }

    /// Reads a duration that is not zero.
    pub(super) fn positive_duration(&self) -> Result<Duration, String> {
        let duration = self.duration()?;
        if duration.is_zero() { Err("must be more than zero".to_owned()) } else { Ok(duration) }
    }

    /// Reads a size in bytes, from a text like `"16KiB"`.
    pub(super) fn size(&self, range: &RangeInclusive<u64>) -> Result<u64, String> {
        let range_text = || {
            let (least, most) = (ByteSize(*range.start()), ByteSize(*range.end()));
            format!("must be a size like \"16MiB\", from {least} to {most}")
        };
        let text = self.text().map_err(|_| range_text())?;
        let size = text.parse::<ByteSize>().map_err(|_| range_text())?.as_u64();
        if range.contains(&size) { Ok(size) } else { Err(range_text()) }
    }

    /// Reads strings: an array in the file, comma-separated in the environment. One string is a
    /// list of one.
    pub(super) fn texts(&self) -> Result<Vec<String>, &'static str> {
        const EXPECTED: &str = "must be a list of strings, like [\"a\", \"b\"]";
        match &self.value {
            Value::String(text) if self.from_environment => {
                let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
                Ok(texts.map(str::to_owned).collect())
            }
            Value::Array(values) => {
                let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
                texts.collect::<Option<_>>().ok_or(EXPECTED)
            }
            _ => Err(EXPECTED),
        }
    }
}

/// Reads every entry of a list.
///
/// # Errors
///
/// Returns what is wrong with each wrong entry, not only with the first.
pub(super) fn each<T>(
    texts: &[String],
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let (mut entries, mut wrong) = (Vec::new(), Vec::new());
    for text in texts {
        match read(text) {
            Ok(entry) => entries.push(entry),
            Err(message) => wrong.push(message),
        }
    }
    if wrong.is_empty() { Ok(entries) } else { Err(wrong.join("; ")) }
}
