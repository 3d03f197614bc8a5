//! Locations of keys: the line in the file, or the environment variable.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::lookup::without_indexes;
use super::problem::Problem;
use super::raw::{PREFIX, variable};

/// Locations of the keys of one configuration.
pub(super) struct Locations<'a> {
    file: &'a Path,
    /// Lines by path. A list of tables has indexes: `callers[0].name`.
    lines: BTreeMap<String, usize>,
    /// Names of the environment's variables.
    variables: Vec<&'a str>,
}

impl<'a> Locations<'a> {
    /// Finds the keys of a file with this text. A text that is not TOML has none.
    pub(super) fn of(file: &'a Path, text: &str, variables: Vec<&'a str>) -> Self {
        let mut lines = BTreeMap::new();
        if let Ok(table) = DeTable::parse(text) {
            let line_of =
                |at: usize| text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
            add_table(table.get_ref(), "", &line_of, &mut lines);
        }
        Self { file, lines, variables }
    }

    /// Returns the line of a problem's key, or of its section if the key is missing. `None`: it is
    /// not in the file.
    fn line(&self, problem: &Problem) -> Option<usize> {
        if problem.line.is_some() {
            return problem.line;
        }
        let mut path = problem.path.as_str();
        loop {
            if let Some(line) = self.lines.get(path) {
                return Some(*line);
            }
            (path, _) = path.rsplit_once('.')?;
        }
    }

    /// Adds the locations to problems, and puts them in the order of the file.
    pub(super) fn sort(&self, problems: &mut [Problem]) {
        for problem in problems.iter_mut() {
            self.locate(problem);
        }
        problems.sort_by_key(|problem| self.line(problem));
    }

    /// Adds the location of its key to a problem. A key that is missing has the location of its
    /// section.
    fn locate(&self, problem: &mut Problem) {
        // The path of an unknown variable is its name.
        if self.variables.contains(&problem.path.as_str()) {
            return;
        }
        let file = self.file.display();
        problem.location = Some(match (self.variable_of(&problem.path), self.line(problem)) {
            (Some(variable), _) => variable.to_owned(),
            (None, Some(line)) => format!("{file}:{line}"),
            (None, None) => file.to_string(),
        });
    }

    /// Returns the variable that sets the key at this path, or the inline table that holds it.
    fn variable_of(&self, path: &str) -> Option<&'a str> {
        let path = without_indexes(path);
        let mut path = path.as_str();
        // A section alone has no variable.
        while let Some((parent, _)) = path.rsplit_once('.') {
            let expected = variable(path);
            // A section, a key and a key id may be in any case.
            let is_of =
                |name: &&&str| name.starts_with(PREFIX) && name.eq_ignore_ascii_case(&expected);
            if let Some(name) = self.variables.iter().find(is_of) {
                return Some(name);
            }
            path = parent;
        }
        None
    }
}

fn add_table(
    table: &DeTable<'_>,
    path: &str,
    line_of: &impl Fn(usize) -> usize,
    lines: &mut BTreeMap<String, usize>,
) {
    for (key, value) in table {
        let name = key.get_ref();
        let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        lines.insert(path.clone(), line_of(key.span().start));
        add_value(value, &path, line_of, lines);
    }
}

fn add_value(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    line_of: &impl Fn(usize) -> usize,
    lines: &mut BTreeMap<String, usize>,
) {
    match value.get_ref() {
        DeValue::Table(table) => add_table(table, path, line_of, lines),
        DeValue::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                let path = format!("{path}[{index}]");
                lines.insert(path.clone(), line_of(value.span().start));
                add_value(value, &path, line_of, lines);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_line_of_its_key_or_section_or_the_name_of_its_variable() {
        let text = "[server]\nlisten = []\n\n[server.tls]\nkey = \"a\"\n\n[[callers]]\nname = \"a\"\n\
                    [[callers]]\nquota = { per_second = 1,\n  burst = 0 }\n";
        let locations = Locations::of(
            Path::new("a.toml"),
            text,
            vec![
                "IKGATE_CACHE__TTL",
                "IKGATE_LIMITS__ANONYMOUS",
                "IKGATE_JWT__KEY_FILES__Key1",
                "IKGATE_SERVER",
                "ikgate_upstream__url",
            ],
        );
        for (path, expected) in [
            ("server.listen", "a.toml:2"),
            ("server.tls.certificate", "a.toml:4"),
            ("callers[0].name", "a.toml:8"),
            ("callers[1].quota.burst", "a.toml:11"),
            ("callers[1].name", "a.toml:9"),
            ("upstream.url", "a.toml"),
            ("cache.ttl", "IKGATE_CACHE__TTL"),
            ("limits.anonymous.burst", "IKGATE_LIMITS__ANONYMOUS"),
            ("jwt.key_files.Key1", "IKGATE_JWT__KEY_FILES__Key1"),
            ("", "a.toml"),
        ] {
            let mut problem = Problem::new(path, "is wrong");
            locations.locate(&mut problem);
            assert_eq!(problem.location.as_deref(), Some(expected), "{path}");
        }
    }
}
