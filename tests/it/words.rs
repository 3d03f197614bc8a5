//! Language of the tree: comments are sentences that stand alone, with an actor that has a name;
//! types have names that say what they hold; pages have a length.

use std::path::{Path, PathBuf};

/// Folders whose comments are read.
const FOLDERS: [&str; 3] = ["src", "tests", "benches"];

/// Beginnings of fragments that need the line above them to be understood.
const FRAGMENTS: [&str; 7] = ["Of ", "Who ", "Whom ", "What ", "Where ", "How ", "So "];

/// Words that stand in place of a caller, a client, a connection or an operator.
const NAMELESS: [&str; 6] = ["whoever", "whatever", "somebody", "nobody", "anybody", "whomever"];

/// Names that say nothing to a newcomer. No type has one of them.
const UNCLEAR_NAMES: [&str; 46] = [
    "Ask",
    "Beside",
    "Bucket",
    "Choice",
    "Circumstances",
    "Claim",
    "Debit",
    "Desk",
    "Facts",
    "Findings",
    "Flight",
    "Force",
    "FromZero",
    "Ghosts",
    "Held",
    "KeyGate",
    "Known",
    "Lane",
    "Leave",
    "Lines",
    "Most",
    "Only",
    "Order",
    "Own",
    "Place",
    "Places",
    "Plain",
    "Purges",
    "Purse",
    "Readings",
    "Seat",
    "Share",
    "Shelf",
    "Sight",
    "Slots",
    "Standing",
    "Stranger",
    "Tail",
    "Taken",
    "Ticket",
    "Told",
    "Turns",
    "Twin",
    "Waiting",
    "Way",
    "Words",
];

/// Pages, and the most lines that each may have.
const PAGES: [(&str, usize); 9] = [
    ("README.md", 250),
    ("config/README.md", 250),
    ("deploy/README.md", 250),
    ("deploy/fleet.md", 250),
    ("deploy/operations.md", 500),
    ("deploy/pages.md", 250),
    ("deploy/security.md", 250),
    ("benches/README.md", 250),
    ("tests/clients/README.md", 250),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources_in(directory: &Path) -> Vec<PathBuf> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !name.starts_with('.') && !matches!(name, "node_modules" | "target") {
            sources.extend(sources_in(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
    sources
}

/// Text of a comment, and whether it begins one: a line that follows another comment line may go
/// on with its sentence.
fn comments(text: &str) -> impl Iterator<Item = (usize, &str, bool)> {
    let mut goes_on = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let line = line.trim_start();
        let comment = ["///", "//!", "//"].iter().find_map(|mark| line.strip_prefix(mark));
        let begins = !goes_on;
        goes_on = comment.is_some_and(|comment| !comment.trim().is_empty());
        Some((number + 1, comment?.trim(), begins))
    })
}

fn fault(comment: &str, begins: bool) -> Option<String> {
    let words = comment.split(|character: char| !character.is_alphanumeric());
    for word in words {
        if NAMELESS.iter().any(|nameless| word.eq_ignore_ascii_case(nameless)) {
            return Some(format!("\"{word}\" has no name"));
        }
    }
    let fragment = FRAGMENTS.iter().find(|fragment| begins && comment.starts_with(**fragment))?;
    Some(format!("begins with \"{fragment}\""))
}

#[test]
fn comments_are_sentences_whose_actors_have_names() {
    let mut faults = Vec::new();
    for path in FOLDERS.iter().flat_map(|folder| sources_in(&root().join(folder))) {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, comment, begins) in comments(&text) {
            if let Some(fault) = fault(comment, begins) {
                faults.push(format!("{}:{number}: {fault}: {comment}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_file_says_first_what_it_is() {
    let mut silent = Vec::new();
    for path in FOLDERS.iter().flat_map(|folder| sources_in(&root().join(folder))) {
        let text = std::fs::read_to_string(&path).unwrap();
        let first = text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default();
        if !first.starts_with("//! ") {
            silent.push(path.display().to_string());
        }
    }
    assert!(silent.is_empty(), "no header: {}", silent.join("\n"));
}

#[test]
fn types_have_names_that_say_what_they_hold() {
    let mut unclear = Vec::new();
    for path in FOLDERS.iter().flat_map(|folder| sources_in(&root().join(folder))) {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            let declares = |word| matches!(word, "struct" | "enum" | "trait" | "type");
            if words.by_ref().any(declares)
                && let Some(name) = words.next()
                && UNCLEAR_NAMES.contains(&name)
                && !line.trim_start().starts_with("//")
            {
                unclear.push(format!("{}:{}: {name}", path.display(), number + 1));
            }
        }
    }
    assert!(unclear.is_empty(), "{} types\n{}", unclear.len(), unclear.join("\n"));
}

#[test]
fn no_page_is_longer_than_it_may_be() {
    for (page, lines_max) in PAGES {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        let lines = text.lines().count();
        assert!(lines <= lines_max, "{page} has {lines} lines, at most {lines_max} are allowed");
    }
}
