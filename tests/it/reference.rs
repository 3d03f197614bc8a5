//! Tests of the reference: what `ikgate reference` prints is what the pages hold, and what the
//! program does. `UPDATE=1 cargo test --test it reference` writes the pages anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ikgate::config::{self, Settings};
use ikgate::error::{Clients, ErrorCode};

use crate::support::{run, scratch};

/// Pages, with the topics that each holds between `<!-- ikgate reference TOPIC -->` and
/// `<!-- end -->`.
const PAGES: [(&str, &[&str]); 3] = [
    ("config/README.md", &["config"]),
    ("deploy/operations.md", &["metrics", "events"]),
    ("README.md", &["errors"]),
];

/// The commented configuration file, which is generated as a whole.
const COMMENTED: &str = "config/ikgate.toml";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn printed(arguments: &[&str]) -> String {
    let output = run(&[&["reference"], arguments].concat(), &[]);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the page with the reference of a topic between its markers.
fn with_reference(page: &str, topic: &str) -> String {
    let begin = format!("<!-- ikgate reference {topic} -->\n");
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) =
        rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("{topic} has no end"));
    format!("{before}{begin}\n{}\n<!-- end -->{after}", printed(&[topic]))
}

/// Compares a file with its expected text, or writes it if `UPDATE` is set.
fn compare(name: &str, expected: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path(name), expected).unwrap();
    }
    let found = std::fs::read_to_string(path(name)).unwrap();
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "{name}:{}: UPDATE=1 writes it anew", number + 1);
    }
    assert_eq!(found, expected, "{name}: UPDATE=1 writes it anew");
}

#[test]
fn the_pages_hold_what_is_printed() {
    for (name, topics) in PAGES {
        let page = std::fs::read_to_string(path(name)).unwrap();
        let page = topics.iter().fold(page, |page, topic| with_reference(&page, topic));
        compare(name, &page);
    }
}

#[test]
fn the_commented_file_is_what_is_printed() {
    compare(COMMENTED, &printed(&["config", "--format", "toml"]));
}

#[test]
fn only_the_configuration_can_be_toml() {
    for topic in ["errors", "events", "metrics"] {
        let output = run(&["reference", topic, "--format", "toml"], &[]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0), "{topic}");
        assert!(!output.stderr.is_empty());
    }
    assert_eq!(run(&["reference", "pages"], &[]).status.code(), Some(64));
}

/// Directory with the secrets that the commented file names.
fn directory() -> tempfile::TempDir {
    let directory = scratch();
    let write = |name: &str, content: &str| {
        std::fs::write(directory.path().join(name), content).unwrap();
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    write("cert.pem", &certificate);
    write("ca.pem", &certificate);
    write("key.pem", &key.serialize_pem());
    let tokens = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    write("jwt.pub", &tokens.public_key_pem());
    write("imagekit.key", "private_a=");
    write("webhook.secret", "whsec_a");
    write("revoked.txt", "sub:user-1");
    write("admin.token", "of-an-operator");
    directory
}

/// Returns the settings of a file, without whether the file wrote the limit of anonymous callers.
fn loaded(text: &str, directory: &Path) -> Settings {
    let settings = config::from_text(text, directory, []);
    let settings = settings.unwrap_or_else(|problems| panic!("{problems}"));
    Settings {
        anonymous_is_written: true,
        effective: toml::Table::new(),
        warnings: Vec::new(),
        ..settings
    }
}

/// Every declared default and every example can be read, every declared key is read, and a default
/// that is written is the default that applies without it.
#[test]
fn every_key_of_the_commented_file_can_be_written() {
    let directory = directory();
    let text = printed(&["config", "--format", "toml"]);
    let lines = text.lines().filter(|line| !line.starts_with("# "));
    let all = lines.map(|line| line.trim_start_matches('#'));
    // Only one of them can be written, with `key_file`: `token_keys` and `jwks` test the others.
    let alternatives = ["key_files =", "jwks_url =", "algorithms ="];
    let all = all.filter(|line| !alternatives.iter().any(|key| line.starts_with(key)));
    let all: Vec<_> = all.collect();
    let written = loaded(&all.join("\n"), directory.path());

    let commented = text.lines().filter_map(|line| line.strip_prefix('#'));
    let commented = commented.filter(|line| !line.starts_with(' '));
    let needed: BTreeSet<_> = commented.collect();
    let defaults = defaults();
    let is_needed = |line: &&&str| {
        line.starts_with('[')
            || needed.contains(**line) && !defaults.iter().any(|default| default == **line)
    };
    let needed: Vec<_> = all.iter().filter(is_needed).copied().collect();
    let absent = loaded(&needed.join("\n"), directory.path());
    assert!(needed.len() < all.len() / 2, "{needed:#?}");
    assert_eq!(format!("{written:#?}"), format!("{absent:#?}"));
}

/// Returns the lines of all keys with a default.
fn defaults() -> Vec<String> {
    let page = printed(&["config"]);
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let line = |row: &str| {
        let cells: Vec<_> = row.split(" | ").collect();
        let (_, key) = cells[0].rsplit_once('.').unwrap();
        let default = cells[1].strip_prefix('`')?.strip_suffix('`')?;
        Some(format!("{} = {default}", key.trim_end_matches('`')))
    };
    rows.filter_map(line).collect()
}

const DESCRIPTION: &str = "src/gateway/help/openapi.json";

/// Returns the codes whose clients `keep` accepts.
fn codes(keep: impl Fn(ErrorCode) -> bool) -> Vec<&'static str> {
    let codes = ErrorCode::ALL.iter().filter(|code| keep(**code)).map(|code| code.as_str());
    let mut seen = BTreeSet::new();
    codes.filter(|code| seen.insert(*code)).collect()
}

fn is_of_callers(code: ErrorCode) -> bool {
    matches!(code.clients(), Clients::Callers | Clients::CallersAndOperators)
}

/// Returns a text with the lines of a list replaced. The list is the first one after `place` whose
/// first line ends with `open`, and ends at the line that begins with `close`. Each of its lines is
/// made of a code and of whether it is the last.
fn with_list(
    text: &str,
    [place, open, close]: [&str; 3],
    codes: &[&str],
    line: impl Fn(&str, bool) -> String,
) -> String {
    let at = text.find(place).unwrap_or_else(|| panic!("no {place}"));
    let begin = at + text[at..].find(open).unwrap() + open.len();
    let end = begin + text[begin..].find(close).unwrap();
    let last = codes.len() - 1;
    let lines = codes.iter().enumerate().map(|(number, code)| line(code, number == last));
    format!("{}{}{}", &text[..begin], lines.collect::<String>(), &text[end..])
}

/// Returns the responses of components that allow several codes, each with its status.
fn responses_of_several_codes(description: &serde_json::Value) -> BTreeMap<String, u16> {
    let operations = description["paths"].as_object().unwrap().values();
    let operations = operations.flat_map(|path| path.as_object().unwrap().values());
    let responses = operations.filter_map(|operation| operation["responses"].as_object());
    let responses = responses.flatten().filter_map(|(status, response)| {
        let name = response["$ref"].as_str()?.rsplit('/').next()?;
        let schema = &description["components"]["responses"][name]["content"]["application/json"];
        schema["schema"]["properties"]["code"]["enum"].as_array()?;
        Some((name.to_owned(), status.parse().unwrap()))
    });
    responses.collect()
}

#[test]
fn the_description_of_the_listeners_has_the_declared_codes() {
    let text = std::fs::read_to_string(path(DESCRIPTION)).unwrap();
    let description = serde_json::from_str(&text).unwrap();
    let list = |text: &str, place: &str, indent: usize, codes: &[&str]| {
        let line = |code: &str, last: bool| {
            format!("{:indent$}\"{code}\"{}\n", "", if last { "" } else { "," })
        };
        let close = format!("{:1$}]", "", indent - 2);
        with_list(text, [&format!("\n      \"{place}\": {{"), "\"enum\": [\n", &close], codes, line)
    };
    let mut text = list(&text, "Problem", 14, &codes(ErrorCode::is_public));
    let is_of_operators = |code: ErrorCode| code.clients() != Clients::Callers;
    text = list(&text, "AdminProblem", 14, &codes(is_of_operators));
    let responses = responses_of_several_codes(&description);
    assert_eq!(responses.len(), 2, "{responses:?}");
    for (name, status) in responses {
        let codes = codes(|code| is_of_callers(code) && code.status() == status);
        text = list(&text, &name, 20, &codes);
    }
    compare(DESCRIPTION, &text);
}

#[test]
fn the_client_for_pages_has_the_codes_that_callers_get() {
    let codes = codes(is_of_callers);
    let name = "src/demo/helper/ikgate.js";
    let text = std::fs::read_to_string(path(name)).unwrap();
    let place = ["const GATEWAY_CODES", " = [\n", "];"];
    compare(name, &with_list(&text, place, &codes, |code, _| format!("  \"{code}\",\n")));

    let name = "src/demo/helper/ikgate.d.ts";
    let text = std::fs::read_to_string(path(name)).unwrap();
    let place = ["type GatewayErrorCode", " =\n", "\n/**"];
    let line = |code: &str, last| format!("  | \"{code}\"{}\n", if last { ";" } else { "" });
    compare(name, &with_list(&text, place, &codes, line));
}

/// Returns the source of the program, file by file.
fn sources() -> Vec<String> {
    let (mut paths, mut sources) = (vec![path("src")], Vec::new());
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(std::fs::read_to_string(path).unwrap());
        }
    }
    sources
}

/// Returns the target and the fields of an event, from the source after `target: "`.
fn emitted(rest: &str) -> (String, BTreeSet<String>) {
    let (target, rest) = rest.split_once('"').unwrap();
    let (arguments, _) = rest.split_once(");").unwrap();
    let lines = arguments.lines().filter(|line| !line.trim_start().starts_with("//"));
    let arguments = lines.collect::<Vec<_>>().join(" ");
    let is_name = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.".contains(&byte))
    };
    let names = arguments.split(',').map(|part| part.split(" = ").next().unwrap().trim());
    (target.to_owned(), names.filter(|name| is_name(name)).map(str::to_owned).collect())
}

/// The modules that emit events are above the one that declares them, and do not use it.
#[test]
fn events_are_emitted_as_they_are_declared() {
    let page = printed(&["events"]);
    let row = |target: &str| {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{target}` |")));
        let row = row.unwrap_or_else(|| panic!("{target} is not declared"));
        row.split(" | ").nth(2).unwrap().replace('`', "")
    };
    let mut targets = BTreeSet::new();
    for source in sources() {
        let code = source.split("#[cfg(test)]").next().unwrap();
        for rest in code.split("tracing::info!(").skip(1) {
            let Some(rest) = rest.trim_start().strip_prefix("target: \"") else { continue };
            let (target, fields) = emitted(rest);
            let declared = row(&target);
            let declared = declared.split(", ").map(str::to_owned).collect::<BTreeSet<_>>();
            assert_eq!(fields, declared, "{target}");
            targets.insert(target);
        }
        for rest in code.split("STATE_CHANGE: &str = \"").skip(1) {
            row(rest.split('"').next().unwrap());
        }
    }
    assert_eq!(targets.len(), 11, "{targets:?}");
}
