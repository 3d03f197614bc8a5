//! Reference of the error codes, made of their declaration.

use super::code::{CodeSpec, ErrorCode};

/// Returns the table of all codes, in Markdown.
pub fn markdown() -> String {
    let head = "| code | status | happens when | retry | what to do |\n\
                | --- | --- | --- | --- | --- |";
    let rows = ErrorCode::ALL.iter().map(|code| row(&code.spec()));
    std::iter::once(head.to_owned()).chain(rows).collect::<Vec<_>>().join("\n")
}

fn row(CodeSpec { code, status, when, retry, remedy }: &CodeSpec) -> String {
    format!("| `{code}` | {} | {when} | {} | {remedy} |", status.as_u16(), retry.as_str())
}
