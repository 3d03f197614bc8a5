//! Language of comments, as CONTRIBUTING asks for it: sentences that stand alone, with an actor that
//! has a name.

use std::path::{Path, PathBuf};

/// Folders whose comments are read.
const FOLDERS: [&str; 3] = ["src", "tests", "benches"];

/// Beginnings of fragments that need the line above them to be understood.
const FRAGMENTS: [&str; 7] = ["Of ", "Who ", "Whom ", "What ", "Where ", "How ", "So "];

/// Words that stand in place of a caller, a client, a connection or an operator.
const NAMELESS: [&str; 6] = ["whoever", "whatever", "somebody", "nobody", "anybody", "whomever"];

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
