//! Reader of one configuration table, key by key. It collects problems and reports unknown keys.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::Display;
use std::rc::Rc;

use toml::{Table, Value};

use super::given::Given;
use super::lookup;
use super::problem::Problem;
use super::unknown::unknown;

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
