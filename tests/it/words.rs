//! Language of the tree: comments are sentences that stand alone; comments, pages and tests name the
//! actor; types have names that say what they hold; pages have a length.

use std::path::{Path, PathBuf};

/// Folders whose comments are read.
const FOLDERS: [&str; 3] = ["src", "tests", "benches"];

/// Beginnings of fragments that need the line above them to be understood.
const FRAGMENTS: [&str; 7] = ["Of ", "Who ", "Whom ", "What ", "Where ", "How ", "So "];

/// Words that stand in place of a caller, a client, a connection or an operator.
const NAMELESS: [&str; 7] =
    ["whoever", "whatever", "somebody", "nobody", "anybody", "whom", "whomever"];

/// Words that the tree does not use, each with the one that it does.
const REPLACED: [(&str, &str); 4] =
    [("mend", "fix"), ("mends", "fixes"), ("mended", "fixed"), ("mending", "fixing")];

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

/// Pages, and the most lines that each may have, without its generated tables.
const PAGES: [(&str, usize); 11] = [
    ("README.md", 200),
    ("CONTRIBUTING.md", 250),
    ("config/README.md", 250),
    ("deploy/README.md", 250),
    ("deploy/fleet.md", 250),
    ("deploy/operations.md", 250),
    ("deploy/pages.md", 250),
    ("deploy/runbook.md", 350),
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
    word_fault(comment).or_else(|| {
        let is_start = |fragment: &&&str| begins && comment.starts_with(**fragment);
        let fragment = FRAGMENTS.iter().find(is_start)?;
        Some(format!("begins with \"{fragment}\""))
    })
}

/// Returns the first word of a text that this tree does not use, with the reason.
fn word_fault(text: &str) -> Option<String> {
    text.split(|character: char| !character.is_alphanumeric()).find_map(|word| {
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        if NAMELESS.into_iter().any(is) {
            return Some(format!("\"{word}\" names no actor"));
        }
        let (_, instead) = REPLACED.into_iter().find(|(replaced, _)| is(replaced))?;
        Some(format!("\"{word}\": write \"{instead}\""))
    })
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
fn pages_name_the_actor() {
    let mut faults = Vec::new();
    for (page, _) in PAGES {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        for (number, line) in text.lines().enumerate() {
            if let Some(fault) = word_fault(line) {
                faults.push(format!("{page}:{}: {fault}: {line}", number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn names_of_functions_name_the_actor() {
    let mut faults = Vec::new();
    for path in FOLDERS.iter().flat_map(|folder| sources_in(&root().join(folder))) {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let name =
                line.trim_start().split("fn ").nth(1).and_then(|rest| rest.split('(').next());
            if let Some(fault) = name.and_then(word_fault) {
                faults.push(format!("{}:{}: {fault}", path.display(), number + 1));
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
        let lines = written_by_hand(&text);
        assert!(
            lines <= lines_max,
            "{page} has {lines} lines beside its generated tables, at most {lines_max} are allowed: \
             shorten it, or move a part to another page"
        );
    }
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 250, "README.md has more than 250 lines in all");
}

/// Returns the number of lines outside the regions that `ikgate reference` prints.
fn written_by_hand(page: &str) -> usize {
    let mut is_generated = false;
    let by_hand = page.lines().filter(|line| {
        is_generated = match *line {
            "<!-- end -->" => false,
            line => is_generated || line.starts_with("<!-- ikgate reference "),
        };
        !is_generated
    });
    by_hand.count()
}
