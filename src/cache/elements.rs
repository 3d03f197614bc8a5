//! Elements of a stored version list, so that one version can be sent as its bytes are in the list.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::file_id::VersionId;
use crate::message::EntityTag;

/// Position of each version in a list, in the list's order. Made once, when the list is stored.
#[derive(Clone, Debug, Default)]
pub(super) struct Elements(Box<[Element]>);

/// Whether a version list belongs to a private file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Privacy {
    /// An element says so, or cannot be parsed far enough to know.
    Private,
    Public,
}

/// One version of a file, as an element of its list's JSON array.
#[derive(Clone, Debug)]
pub struct Element {
    id: Box<str>,
    /// Slice of the list's own bytes.
    pub bytes: Bytes,
    /// Entity tag, made on first use: most elements never need one.
    tag: OnceLock<EntityTag>,
}

impl Element {
    pub fn tag(&self) -> EntityTag {
        *self.tag.get_or_init(|| EntityTag::of(&self.bytes))
    }
}

/// Fields of a version that the cache reads. ImageKit's schema requires none of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version<'a> {
    #[serde(borrow)]
    version_info: Option<&'a RawValue>,
    #[serde(borrow)]
    is_private_file: Option<&'a RawValue>,
}

/// Field of a version that operators know a file by.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Located<'a> {
    #[serde(borrow)]
    file_path: Cow<'a, str>,
}

#[derive(Deserialize)]
struct VersionInfo<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

impl Version<'_> {
    /// Returns the version's id, if it is valid in a request.
    fn id(&self) -> Option<Box<str>> {
        let info: VersionInfo<'_> = serde_json::from_str(self.version_info?.get()).ok()?;
        VersionId::parse(&info.id).ok().map(|id| id.as_str().into())
    }
}

impl Elements {
    /// Parses the elements of a JSON array, and returns whether one of them makes the list private.
    /// Elements without an id that is valid in a request are left out.
    pub(super) fn of(list: &Bytes) -> (Self, Privacy) {
        let elements = serde_json::from_slice::<Vec<&RawValue>>(list).unwrap_or_default();
        let mut private = false;
        let mut known = Vec::new();
        for raw in elements {
            let Ok(version) = serde_json::from_str::<Version<'_>>(raw.get()) else {
                private |= raw.get().starts_with('{');
                continue;
            };
            private |= version.is_private_file.is_some_and(|said| said.get() == "true");
            if let Some(id) = version.id() {
                let bytes = list.slice_ref(raw.get().as_bytes());
                known.push(Element { id, bytes, tag: OnceLock::new() });
            }
        }
        let privacy = if private { Privacy::Private } else { Privacy::Public };
        (Self(known.into_boxed_slice()), privacy)
    }

    /// Returns the first element with this id.
    pub(super) fn find(&self, id: &VersionId) -> Option<&Element> {
        self.0.iter().find(|element| *element.id == *id.as_str())
    }

    /// Returns the `filePath` of the first version, as `/images/a.jpg`, if it states one. Parses the
    /// version at each call.
    pub(super) fn file_path(&self) -> Option<String> {
        let version: Located<'_> = serde_json::from_slice(&self.0.first()?.bytes).ok()?;
        Some(version.file_path.into_owned())
    }

    /// Returns the memory used in addition to the list's own bytes.
    pub(super) fn weight(&self) -> usize {
        let of = |element: &Element| size_of::<Element>() + element.id.len();
        self.0.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(list: &str, id: &str) -> Option<String> {
        let (elements, _) = Elements::of(&Bytes::copy_from_slice(list.as_bytes()));
        let element = elements.find(&VersionId::parse(id).unwrap())?;
        assert_eq!(element.tag(), EntityTag::of(&element.bytes));
        Some(String::from_utf8(element.bytes.to_vec()).unwrap())
    }

    #[test]
    fn an_element_is_the_first_of_its_id_byte_for_byte() {
        let list = "[ {\"versionInfo\" : {\"name\":\"Version 2\",\"id\":\"b\"}, \"x\":1e0 } ,\n\
                    {\"versionInfo\":{\"id\":\"a\"}},{\"versionInfo\":{\"id\":\"a\"},\"second\":1}]";
        let first = "{\"versionInfo\" : {\"name\":\"Version 2\",\"id\":\"b\"}, \"x\":1e0 }";
        assert_eq!(find(list, "b").as_deref(), Some(first));
        assert_eq!(find(list, "a").as_deref(), Some("{\"versionInfo\":{\"id\":\"a\"}}"));
        assert_eq!(find(list, "c"), None);
    }

    #[test]
    fn elements_without_a_usable_id_hide_no_others() {
        let list = r#"[1,null,[],{},{"versionInfo":null},{"versionInfo":{"id":7}},
            {"versionInfo":{"id":"no id"}},{"id":"a"},{"versionInfo":{"id":"\u0061"}}]"#;
        assert_eq!(find(list, "a").as_deref(), Some(r#"{"versionInfo":{"id":"\u0061"}}"#));
        assert_eq!(find("{\"versionInfo\":{\"id\":\"a\"}}", "a"), None);
        assert_eq!(find("[", "a"), None);
    }

    #[test]
    fn the_path_of_a_file_is_that_of_its_first_version() {
        let path =
            |list: &'static str| Elements::of(&Bytes::from_static(list.as_bytes())).0.file_path();
        let list = r#"[{"filePath":"/a\u0062.jpg","versionInfo":{"id":"b"}},
            {"filePath":"/old.jpg","versionInfo":{"id":"a"}}]"#;
        assert_eq!(path(list).as_deref(), Some("/ab.jpg"));
        assert_eq!(path(r#"[{"versionInfo":{"id":"b"}}]"#), None);
        assert_eq!(path(r#"[{"filePath":7,"versionInfo":{"id":"b"}}]"#), None);
        assert_eq!(path("[]"), None);
    }

    #[test]
    fn one_private_element_makes_the_list_private() {
        let private = |list: &'static str| {
            Elements::of(&Bytes::from_static(list.as_bytes())).1 == Privacy::Private
        };
        for list in [
            r#"[{"isPrivateFile":true}]"#,
            r#"[{"isPrivateFile":false},{"isPrivateFile" : true }]"#,
            r#"[{"isPrivateFile":true,"versionInfo":7}]"#,
            // A repeated member: if one of the two is true, the list is private.
            r#"[{"isPrivateFile":false,"isPrivateFile":true}]"#,
        ] {
            assert!(private(list), "{list}");
        }
        for list in [
            "[]",
            "[1]",
            "[{}]",
            r#"[{"isPrivateFile":false}]"#,
            r#"[{"isPrivateFile":null}]"#,
            r#"[{"customMetadata":{"isPrivateFile":true}}]"#,
        ] {
            assert!(!private(list), "{list}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(list in "[\\[\\]{}\",:a-c ]{0,60}") {
            let _ = find(&list, "a");
        }
    }
}
