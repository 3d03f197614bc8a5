//! Parser of ImageKit's webhook events: which files' version lists have changed.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::file_id::FileId;

/// Effect of an event on stored lists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WebhookEvent {
    /// The lists of these files have changed. Only an event with an `id` may be recognised when it
    /// is delivered again.
    Changed { id: Option<String>, files: Vec<FileId> },
    /// The event concerns no stored list.
    Other,
}

/// Reason why a body is refused: it is not an event, or it names no file.
#[derive(Debug, thiserror::Error)]
pub enum InvalidEvent {
    #[error("the event names no file")]
    NoFile,
    #[error("the body is not an ImageKit event")]
    NotAnEvent(#[from] serde_json::Error),
}

/// Envelope of an event: `{"id","type","created_at","data"}`. The type is read as text, so that a
/// new type is not mistaken for a known one.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Data of an event. A version's deletion has only the first two fields; a file's deletion has only
/// the first. Each is parsed by itself, so that a malformed one does not hide the others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventData<'a> {
    #[serde(borrow)]
    file_id: Option<&'a RawValue>,
    #[serde(borrow)]
    version_id: Option<&'a RawValue>,
    #[serde(borrow)]
    version_info: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct EventVersionInfo<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// Returns a member's text; `None` if it is not a string.
fn text(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    serde_json::from_str(raw?.get()).ok()
}

impl WebhookEvent {
    /// Parses the body of a delivery.
    ///
    /// The result names the file and also a version's own id. ImageKit does not say whether the
    /// `fileId` of an older version is the file's id or the version's, and a list may be stored
    /// under either.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidEvent> {
        let envelope: Envelope<'_> = serde_json::from_slice(body)?;
        let changes = ["file.", "file-version."];
        if !changes.iter().any(|prefix| envelope.kind.starts_with(prefix)) {
            return Ok(Self::Other);
        }
        let data = envelope.data.ok_or(InvalidEvent::NoFile)?;
        let data: EventData<'_> = serde_json::from_str(data.get())?;
        let info: Option<EventVersionInfo<'_>> =
            data.version_info.and_then(|info| serde_json::from_str(info.get()).ok());
        let version = info.and_then(|info| info.id);
        let mut files: Vec<FileId> = Vec::new();
        for id in [data.file_id, data.version_id, version].into_iter().filter_map(text) {
            if let Ok(id) = FileId::parse(&id)
                && !files.contains(&id)
            {
                files.push(id);
            }
        }
        if files.is_empty() {
            return Err(InvalidEvent::NoFile);
        }
        let id = text(envelope.id).filter(|id| !id.is_empty());
        Ok(Self::Changed { id: id.map(Cow::into_owned), files })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changed(id: Option<&str>, files: &[&str]) -> WebhookEvent {
        let files = files.iter().map(|id| FileId::parse(id).unwrap()).collect();
        WebhookEvent::Changed { id: id.map(str::to_owned), files }
    }

    #[test]
    fn an_event_about_a_file_names_its_lists() {
        let table = [
            (r#"{"id":"e","type":"file.deleted","data":{"fileId":"f"}}"#, Some("e"), &["f"][..]),
            (r#"{"type":"file.renamed","data":{"fileId":"f"}}"#, None, &["f"]),
            (
                r#"{"id":"e","type":"file-version.deleted","data":{"fileId":"f","versionId":"v"}}"#,
                Some("e"),
                &["f", "v"],
            ),
            (
                r#"{"data":{"versionInfo":{"id":"v","name":"Version 2"},"fileId":"f","tags":null,
                    "type":"file-version"},"type":"file-version.created","id":"e"}"#,
                Some("e"),
                &["f", "v"],
            ),
            (
                r#"{"id":"e","type":"file.updated","data":{"fileId":"f","versionInfo":{"id":"f"}}}"#,
                Some("e"),
                &["f"],
            ),
            (
                r#"{"id":"","type":"file.updated","data":{"fileId":"f","versionId":7,
                    "versionInfo":"v2"}}"#,
                None,
                &["f"],
            ),
            (r#"{"id":7,"type":"file.updated","data":{"fileId":"f"}}"#, None, &["f"]),
            (
                r#"{"type":"file.updated","data":{"fileId":null,"versionInfo":{"id":"v"}}}"#,
                None,
                &["v"],
            ),
        ];
        for (body, id, files) in table {
            assert_eq!(WebhookEvent::parse(body.as_bytes()).unwrap(), changed(id, files), "{body}");
        }
    }

    #[test]
    fn events_about_no_list_are_ignored() {
        for body in [
            r#"{"id":"e","type":"video.transformation.ready","data":{"asset":{"url":"u"}}}"#,
            r#"{"type":"upload.post-transform.success","data":{"fileId":"f"}}"#,
            r#"{"type":"files.moved"}"#,
            r#"{"type":""}"#,
        ] {
            assert_eq!(
                WebhookEvent::parse(body.as_bytes()).unwrap(),
                WebhookEvent::Other,
                "{body}"
            );
        }
    }

    #[test]
    fn an_event_that_names_no_file_is_invalid() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"file.deleted"}"#,
            r#"{"type":"file.deleted","data":null}"#,
            r#"{"type":"file.deleted","data":{}}"#,
            r#"{"type":"file.deleted","data":{"fileId":"no id"}}"#,
            r#"{"type":"file.deleted","data":{"fileId":7}}"#,
        ] {
            assert!(WebhookEvent::parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_parsed_without_panic(body in "[{}\\[\\]\":,a-f. ]{0,80}") {
            let _ = WebhookEvent::parse(body.as_bytes());
        }
    }
}
