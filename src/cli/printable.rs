//! Texts of a gateway that may be shown in a terminal: no part of them moves the cursor, changes
//! colours or reverses the direction of text.

use std::fmt::Write as _;

use serde_json::Value;

/// Returns whether a terminal may act on a character: control characters, and those that change the
/// direction of text.
fn acts_on_a_terminal(character: char) -> bool {
    let is_direction = matches!(character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || is_direction
}

/// Returns a text in one line, in which an escape like `\u{1b}` stands for each character that a
/// terminal may act on.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if acts_on_a_terminal(character) {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

/// Makes all texts of a JSON value printable, keys included.
pub(super) fn make_printable(value: &mut Value) {
    match value {
        Value::String(text) => *text = printable(text),
        Value::Array(values) => values.iter_mut().for_each(make_printable),
        Value::Object(members) => {
            for (name, mut value) in std::mem::take(members) {
                make_printable(&mut value);
                members.insert(printable(&name), value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns a value as JSON in one line. JSON's own escapes stand for the characters that a terminal
/// may act on, so that it means the same.
pub(super) fn json(value: &impl serde::Serialize) -> String {
    let plain = serde_json::to_string(value).expect("values with text keys always serialise");
    let mut json = String::with_capacity(plain.len());
    for character in plain.chars() {
        if acts_on_a_terminal(character) {
            _ = write!(json, "\\u{:04x}", u32::from(character));
        } else {
            json.push(character);
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NASTY: &str = "a\x1b[2J\u{9b}31m\u{202e}b\r\n";

    #[test]
    fn escapes_stand_for_what_a_terminal_would_act_on() {
        assert_eq!(printable(NASTY), "a\\u{1b}[2J\\u{9b}31m\\u{202e}b\\r\\n");
        assert_eq!(printable("größer ≈ 3"), "größer ≈ 3");
        let mut value = json!([{ NASTY: { "a": NASTY, "b": 1 } }, null]);
        make_printable(&mut value);
        assert_eq!(value, json!([{ printable(NASTY): { "a": printable(NASTY), "b": 1 } }, null]));
    }

    #[test]
    fn json_means_the_same_and_has_no_such_character() {
        let text = json(&json!({ "a": NASTY }));
        assert!(!text.chars().any(acts_on_a_terminal), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({ "a": NASTY }));
    }
}
