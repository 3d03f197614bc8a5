//! Reference of the error codes, made of their declaration.

use serde::Serialize;

use super::code::{CodeSpec, ErrorCode};

/// Row of the table of codes, as plain text.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorRow {
    pub code: &'static str,
    pub status: u16,
    pub when: String,
    pub retry: String,
    pub remedy: String,
}

/// Returns the codes of the public listener, in the order of the reference.
pub fn rows() -> impl Iterator<Item = ErrorRow> {
    ErrorCode::ALL.iter().filter(|code| code.is_public()).map(|code| {
        let CodeSpec { code, status, when, retry, remedy, clients: _ } = code.spec();
        ErrorRow {
            code,
            status: status.as_u16(),
            when: plain(when),
            retry: plain(retry.as_str()),
            remedy: plain(remedy),
        }
    })
}

/// Removes the marks of Markdown that the declarations use: code, and links, whose text stays.
fn plain(markdown: &str) -> String {
    let mut parts = markdown.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once(')').map_or(part, |(_, after)| after));
    }
    text.replace(['`', '['], "")
}

/// Returns the table of all codes, in Markdown.
pub fn markdown() -> String {
    let head = "| code | status | happens when | retry | what to do |\n\
                | --- | --- | --- | --- | --- |";
    let rows = ErrorCode::ALL.iter().map(|code| row(&code.spec()));
    std::iter::once(head.to_owned()).chain(rows).collect::<Vec<_>>().join("\n")
}

fn row(spec: &CodeSpec) -> String {
    let CodeSpec { code, status, when, retry, remedy, clients: _ } = spec;
    format!("| `{code}` | {} | {when} | {} | {remedy} |", status.as_u16(), retry.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_of_a_page_are_no_part_of_a_text() {
        assert_eq!(
            plain("One of [two](a.md) has `b`, and [more](c.md)."),
            "One of two has b, and more."
        );
        for row in rows() {
            let texts = [row.when, row.retry, row.remedy].concat();
            assert!(!texts.contains(['`', '[', ']', '#', '*']), "{texts}");
        }
    }
}
