//! Check of `[[callers]]`: names, key digests, files and quotas of the configured callers.

use super::super::given::{Given, each};
use super::super::section::Section;
use super::quota::quota;
use crate::caller::{CallerSettings, KeyDigest};
use crate::exchange::CallerLabel;
use crate::file_id::FileId;
use crate::limit::CallerQuota;

const CALLERS_MAX: usize = 1000;
const CALLER_NAME_MAX: usize = 64;

pub(super) fn callers(root: &mut Section) -> (Vec<CallerSettings>, Vec<CallerQuota>) {
    let sections = root.sections("callers");
    if sections.len() > CALLERS_MAX {
        root.note("callers", format_args!("must be at most {CALLERS_MAX}"));
    }
    let mut callers: Vec<CallerSettings> = Vec::new();
    let mut quotas = Vec::new();
    for mut section in sections {
        let name = section.require("name", |given| caller_name(given.text()?));
        let keys = section.require("key_sha256", key_digests);
        let files = section.optional("files", |given| {
            let ids = given.texts().map_err(str::to_owned)?;
            let id = |text: &str| {
                let expected = "is no file id: 1 to 64 of A-Z a-z 0-9 _ -";
                FileId::parse(text).map_err(|_| format!("{text:?} {expected}"))
            };
            each(&ids, id)
        });
        let quota = quota(&mut section, "quota");
        let (name, keys) = (name.unwrap_or_default(), keys.unwrap_or_default());
        if callers.iter().any(|other| other.name == name && !name.is_empty()) {
            section.note(
                "name",
                format_args!(
                    "\"{name}\" is the name of another caller: for a second key, list both digests \
                     in the key_sha256 of one"
                ),
            );
        }
        let taken = |key| callers.iter().any(|other| other.keys.contains(key));
        if keys.iter().any(taken) {
            section.note("key_sha256", "is the key of another caller");
        }
        quotas.push(CallerQuota { name: name.clone(), quota });
        callers.push(CallerSettings { name, keys, files });
    }
    (callers, quotas)
}

/// Checks a caller's name. It is used in quoted field values and in labels of metrics.
pub fn caller_name(name: &str) -> Result<String, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > CALLER_NAME_MAX || !name.bytes().all(allowed) {
        return Err("must be 1 to 64 of A-Z a-z 0-9 . _ -");
    }
    if CallerLabel::FIXED.contains(&name) {
        return Err("is reserved for ikgate's own kinds of callers");
    }
    Ok(name.to_owned())
}

/// Reads one digest, or two while a key is being replaced.
fn key_digests(given: &Given) -> Result<Vec<KeyDigest>, String> {
    let texts = match given.text() {
        Ok(text) => vec![text.to_owned()],
        Err(_) => given.texts().map_err(str::to_owned)?,
    };
    match &texts[..] {
        [only] => Ok(vec![digest(only, "")?]),
        [first, second] => match (digest(first, "the first "), digest(second, "the second ")) {
            (Ok(first), Ok(second)) => Ok(vec![first, second]),
            (Err(first), Err(second)) => Err(format!("{first}; {second}")),
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        },
        _ => Err("must be one digest, or two while a key is being replaced".to_owned()),
    }
}

/// Reads the digest at this place. The text is not repeated: it may be the key itself, and problems
/// are logged.
fn digest(hex: &str, place: &str) -> Result<KeyDigest, String> {
    KeyDigest::parse(hex).map_err(|error| format!("{place}{error}"))
}
