//! Check of the conformance table (`tests/conformance/rules.toml`): each rule of a standard names
//! existing tests. The generated page must equal `tests/conformance/README.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::wire;

#[derive(Deserialize)]
struct Rules {
    rule: Vec<Rule>,
}

/// One requirement of a standard.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    id: String,
    /// Document and section.
    source: String,
    level: Level,
    #[serde(rename = "rule")]
    text: String,
    /// `yes`, or the reason why not: its kind and a sentence.
    applies: String,
    tests: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
enum Level {
    #[serde(rename = "MUST")]
    Must,
    #[serde(rename = "MUST NOT")]
    MustNot,
    #[serde(rename = "SHOULD")]
    Should,
    #[serde(rename = "SHOULD NOT")]
    ShouldNot,
}

/// Kinds of reasons why a rule does not apply in full.
const REASONS: [(&str, &str); 6] = [
    ("policy", "differs on purpose: the text in italics is ikgate's own rule"),
    ("role", "is not the role of this gateway"),
    ("hyper", "is kept, or broken, by hyper, h2 or http"),
    ("rustls", "is kept by rustls"),
    ("redis", "is kept by Redis"),
    ("open", "does not hold yet"),
];

impl Rule {
    /// Returns the kind of the reason. `None` if the rule applies.
    fn reason(&self) -> Option<&str> {
        (self.applies != "yes").then(|| self.applies.split_once(": ").map_or("", |(kind, _)| kind))
    }

    fn is_must(&self) -> bool {
        matches!(self.level, Level::Must | Level::MustNot)
    }

    /// Returns the document of the source, without the section.
    fn document(&self) -> &str {
        let ends = [" section", ","].map(|end| self.source.find(end).unwrap_or(self.source.len()));
        &self.source[..ends[0].min(ends[1])]
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rules() -> Vec<Rule> {
    let path = root().join("tests/conformance/rules.toml");
    let rules: Rules = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    rules.rule
}

/// Returns the names of all tests and cases, as rules name them.
fn known_tests() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    known.extend(wire::http1_cases().into_iter().map(|id| format!("wire::{id}")));
    known.extend(wire::http2_cases().into_iter().map(|id| format!("wire2::{id}")));
    for (directory, prefix) in [("tests/it", "it::"), ("tests/fleet", "fleet::"), ("src", "")] {
        let base = root().join(directory);
        for file in files_in(&base) {
            let path = file.strip_prefix(&base).unwrap().with_extension("");
            let parts = path.iter().map(|part| part.to_str().unwrap());
            let parts: Vec<_> = parts.filter(|part| !matches!(*part, "mod" | "lib")).collect();
            let text = std::fs::read_to_string(&file).unwrap();
            for name in tests_of(&text) {
                let module = if prefix.is_empty() && !is_tests(&parts) { "tests::" } else { "" };
                known.insert(format!("{prefix}{}::{module}{name}", parts.join("::")));
            }
        }
    }
    known
}

/// Returns whether a file holds only tests.
fn is_tests(parts: &[&str]) -> bool {
    ["tests", "simulation", "conformance"].iter().any(|name| parts.contains(name))
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_in(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Returns the names of the functions that follow `#[test]` or `#[tokio::test]`, property tests
/// included.
fn tests_of(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut is_next = false;
    for line in text.lines().map(str::trim_start) {
        is_next |= line.starts_with("#[test") || line.starts_with("#[tokio::test");
        let Some((_, after)) = line.split_once("fn ") else { continue };
        let is_function = ["fn ", "async fn "].iter().any(|start| line.starts_with(start));
        if is_next && is_function {
            names.push(after.split(['(', '<']).next().unwrap());
            is_next = false;
        }
    }
    names
}

#[test]
fn each_rule_that_must_be_kept_names_tests_that_exist() {
    let (known, mut wrong) = (known_tests(), Vec::new());
    let rules = rules();
    assert!(rules.len() >= 250, "{}", rules.len());
    let mut ids = BTreeSet::new();
    for rule in &rules {
        if !ids.insert(&rule.id) {
            wrong.push(format!("{}: twice", rule.id));
        }
        if rule.text.is_empty() || rule.source.is_empty() {
            wrong.push(format!("{}: says too little", rule.id));
        }
        if let Some(reason) = rule.reason()
            && !REASONS.iter().any(|(known, _)| *known == reason)
        {
            wrong.push(format!("{}: applies {:?}", rule.id, rule.applies));
        }
        if rule.reason().is_none() && rule.is_must() && rule.tests.is_empty() {
            wrong.push(format!("{}: no test", rule.id));
        }
        for test in rule.tests.iter().filter(|test| !known.contains(*test)) {
            wrong.push(format!("{}: there is no test {test}", rule.id));
        }
    }
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
}

/// A filter that fits no test runs none, and passes.
#[test]
fn the_runner_filters_for_tests_that_exist() {
    let (known, runner) = (known_tests(), root().join("tests/run"));
    let runner = std::fs::read_to_string(runner).unwrap();
    let filters =
        runner.lines().filter_map(|line| line.split_once("cargo test ")?.1.split_once("--lib "));
    let filters: Vec<_> = filters.map(|(_, filter)| filter.split(' ').next().unwrap()).collect();
    assert!(!filters.is_empty());
    for filter in filters {
        assert!(known.iter().any(|test| test.contains(filter)), "there is no test {filter}");
    }
}

/// Renders the page: counts by document and level, and the rules that do not apply in full.
fn page(rules: &[Rule]) -> String {
    let mut page = String::from(
        "# Rules of the standards\n\n\
         For developers who change what ikgate says to clients, to ImageKit or to Redis: which rules bind\n\
         it, and which test holds each. `rules.toml` has the rules, in own words; `tests/wire` has requests\n\
         as bytes, which rules name as `wire::` (HTTP/1.1) and `wire2::` (HTTP/2). This page is written by\n\
         `UPDATE=1 cargo test --test it conformance`; the test fails where a named test does not exist, or a\n\
         MUST that applies has none.\n\n",
    );
    let tests: usize = rules.iter().map(|rule| rule.tests.len()).sum();
    let names: BTreeSet<_> = rules.iter().flat_map(|rule| &rule.tests).collect();
    let cases = wire::http1_cases().len() + wire::http2_cases().len();
    writeln!(
        page,
        "{} rules. They name {} tests and cases, {tests} times in all. `tests/wire` has {cases} \
         cases.\n",
        rules.len(),
        names.len(),
    )
    .unwrap();
    page.push_str(
        "| document | MUST | MUST NOT | SHOULD | SHOULD NOT |\n| --- | --- | --- | --- | --- |\n",
    );
    let mut documents = BTreeMap::<&str, [usize; 4]>::new();
    for rule in rules {
        documents.entry(rule.document()).or_default()[rule.level as usize] += 1;
    }
    for (document, [must, must_not, should, should_not]) in documents {
        writeln!(page, "| {document} | {must} | {must_not} | {should} | {should_not} |").unwrap();
    }
    for (kind, meaning) in REASONS {
        let of_kind: Vec<_> = rules.iter().filter(|rule| rule.reason() == Some(kind)).collect();
        if of_kind.is_empty() {
            continue;
        }
        writeln!(page, "\n## `{kind}`: {meaning} ({})\n", of_kind.len()).unwrap();
        for rule in of_kind {
            let reason = rule.applies.split_once(": ").map_or("", |(_, reason)| reason);
            writeln!(page, "- {}: {} *{reason}*", rule.source, rule.text).unwrap();
        }
    }
    page
}

#[test]
fn the_page_says_what_the_rules_say() {
    let path = root().join("tests/conformance/README.md");
    let page = page(&rules());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), page, "UPDATE=1 writes it anew");
}
