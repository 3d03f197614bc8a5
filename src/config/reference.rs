//! Reference of the configuration, made of the declaration: tables in Markdown, and the commented
//! file.

use super::declared::SECTIONS;
use super::spec::{Change, KeyDefault, KeySpec, Presence, SectionSpec};

/// Longest line of a comment in the commented file, in characters.
const WIDTH: usize = 98;

const HEAD: &str = "\
Every key of ikgate, with its default. A section that is commented out is off when absent. A key \
that is commented out elsewhere has no default: its value is an example. A duration is like \"30s\" \
or \"5m\", a size like \"256MiB\". A relative path starts at this file's directory. The keys marked \
(live) change with SIGHUP, the others at the next start. Any scalar or list can be set by \
environment instead: IKGATE_CACHE__TTL=30s. This file is the output of \
`ikgate reference config --format toml`.";

/// Returns a table of keys for each section, in Markdown.
pub fn markdown() -> String {
    let mut lines = Vec::new();
    for section in &SECTIONS {
        // An inner section goes on with the table of the outer one.
        if !section.name.contains('.') {
            lines.extend(heading(section));
        }
        lines.extend(section.keys.iter().map(|key| row(section, key)));
        if !section.about.is_empty() && section.name.contains('.') {
            lines.extend([String::new(), format!("`[{}]`: {}", section.name, section.about)]);
        }
    }
    lines.join("\n").trim_start().to_owned()
}

fn heading(section: &SectionSpec) -> Vec<String> {
    let mut lines = vec![String::new(), format!("### {}", section.name), String::new()];
    if !section.about.is_empty() {
        let page = section.page.map(|page| {
            let name = page.split('#').next().unwrap_or(page);
            format!(" See [{name}](../{page}).")
        });
        lines.extend([format!("{}{}", section.about, page.unwrap_or_default()), String::new()]);
    }
    lines.push("| key | default | type | change | meaning |".to_owned());
    lines.push("| --- | --- | --- | --- | --- |".to_owned());
    lines
}

fn row(section: &SectionSpec, key: &KeySpec) -> String {
    let (name, kind) = (section.shown_name(), key.kind.text());
    let default = match key.default {
        KeyDefault::Value(text) => format!("`{text}`"),
        KeyDefault::Required(_) => "required".to_owned(),
        KeyDefault::Off(_) => "off".to_owned(),
    };
    let change = key.change.as_str();
    format!("| `{name}.{}` | {default} | {kind} | {change} | {} |", key.name, key.meaning)
}

/// Returns the commented file: every key with its default, as `config/ikgate.toml`.
pub fn toml() -> String {
    let mut lines = comment(HEAD);
    for section in &SECTIONS {
        lines.push(String::new());
        let page = section.page.and_then(|page| page.split('#').next());
        let page = page.map(|page| format!(" See {page}.")).unwrap_or_default();
        if !section.about.is_empty() {
            lines.extend(comment(&format!("{}{page}", section.about)));
        }
        let is_on = section.presence == Presence::Always;
        lines.push(match section.presence {
            Presence::Always => format!("[{}]", section.name),
            Presence::Optional => format!("#[{}]", section.name),
            Presence::List => format!("#[[{}]]", section.name),
        });
        for key in section.keys {
            lines.extend(comment(&sentence(key)));
            let mark = if is_on && key.default.value().is_some() { "" } else { "#" };
            lines.push(format!("{mark}{} = {}", key.name, key.default.example()));
        }
    }
    lines.join("\n")
}

/// Returns the sentence about a key as plain text.
fn sentence(key: &KeySpec) -> String {
    let live = if key.change == Change::Live { " (live)" } else { "" };
    format!("{}{live}", key.meaning.replace('`', ""))
}

/// Breaks a text into lines of comments. They begin with a hash and a blank, a key that is commented
/// out with a hash alone.
fn comment(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("# {word}")),
        }
    }
    lines
}
