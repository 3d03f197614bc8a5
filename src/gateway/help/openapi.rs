//! Description of the public listener (OpenAPI 3.1), for its callers.
//!
//! It is cut out of the description of both listeners, so the two cannot contradict each other. The
//! documents of this module are added.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Description of both listeners, as the admin listener serves it.
pub const BOTH_LISTENERS: &str = include_str!("openapi.json");
/// Description of the documents of this module. The admin listener has other paths of these names.
const OWN_OPERATIONS: &str = include_str!("operations.json");
/// URL of the gateway, relative to this description. So one text serves every caller, in memory that
/// all responses share.
const URL: &str = "./";
const TAG: &str = "public";
const REFERENCE: &str = "#/components/";

static DESCRIPTION: LazyLock<Bytes> = LazyLock::new(|| {
    let mut text = serde_json::to_string_pretty(&composed()).expect("JSON always serialises");
    text.push('\n');
    text.into()
});

/// Returns the description.
pub(super) fn of_public_listener() -> Bytes {
    DESCRIPTION.clone()
}

/// Parts of the description that only the public listener has.
#[derive(Deserialize)]
struct OwnOperations {
    description: String,
    paths: Map<String, Value>,
}

fn composed() -> Value {
    let own: OwnOperations =
        serde_json::from_str(OWN_OPERATIONS).expect("an embedded document is valid");
    let mut document: Value =
        serde_json::from_str(BOTH_LISTENERS).expect("an embedded document is valid");
    set(&mut document, "/servers", json!([{ "url": URL }]));
    set(&mut document, "/info/description", json!(own.description));
    retain(&mut document, "/tags", |_, tag| tag["name"] == TAG);
    retain(&mut document, "/paths", |_, path| is_public(path));
    if let Some(Value::Object(paths)) = document.pointer_mut("/paths") {
        paths.extend(own.paths);
    }
    remove_unused(&mut document);
    document
}

/// Returns whether an operation of this path has the tag of the public listener.
fn is_public(path: &Value) -> bool {
    let operations = path.as_object().into_iter().flat_map(Map::values);
    operations
        .filter_map(|operation| operation.get("tags")?.as_array())
        .any(|tags| tags.iter().any(|tag| tag == TAG))
}

/// Removes the components that are not used, until all that are left are used.
fn remove_unused(document: &mut Value) {
    loop {
        let mut used = BTreeSet::new();
        collect_used(document, &mut used);
        let mut removed = false;
        let kinds = document.pointer("/components").and_then(Value::as_object);
        let kinds: Vec<_> = kinds.into_iter().flat_map(Map::keys).cloned().collect();
        for kind in kinds {
            retain(document, &format!("/components/{kind}"), |name, _| {
                let is_used = used.contains(&format!("{kind}/{name}"));
                removed |= !is_used;
                is_used
            });
        }
        if !removed {
            return;
        }
    }
}

/// Collects the components that are referred to, as `KIND/NAME`. A security requirement refers to
/// its scheme by the bare name.
fn collect_used(node: &Value, used: &mut BTreeSet<String>) {
    match node {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("$ref", Value::String(target)) => {
                        used.extend(target.strip_prefix(REFERENCE).map(str::to_owned));
                    }
                    ("security", Value::Array(requirements)) => {
                        let names = requirements.iter().filter_map(Value::as_object);
                        let names = names.flat_map(Map::keys);
                        used.extend(names.map(|name| format!("securitySchemes/{name}")));
                    }
                    (_, member) => collect_used(member, used),
                }
            }
        }
        Value::Array(members) => members.iter().for_each(|member| collect_used(member, used)),
        _ => {}
    }
}

fn set(document: &mut Value, at: &str, value: Value) {
    if let Some(place) = document.pointer_mut(at) {
        *place = value;
    }
}

/// Keeps the members of an object or an array that `keep` accepts. It gets their names, which are
/// empty in an array.
fn retain(document: &mut Value, at: &str, mut keep: impl FnMut(&str, &Value) -> bool) {
    match document.pointer_mut(at) {
        Some(Value::Object(members)) => members.retain(|name, member| keep(name, member)),
        Some(Value::Array(members)) => members.retain(|member| keep("", member)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_about_the_public_listener_alone_and_whole() {
        let bytes = of_public_listener();
        let text = std::str::from_utf8(&bytes).unwrap();
        let document: Value = serde_json::from_str(text).unwrap();
        assert_eq!(document["servers"], json!([{ "url": "./" }]));
        let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(
            paths,
            [
                "/",
                "/openapi.json",
                "/v1/files/{fileId}/versions",
                "/v1/files/{fileId}/versions/{versionId}",
                "/webhooks/imagekit",
            ]
        );
        assert!(!text.to_lowercase().contains("admin"), "operators' operations are left");
        let mut used = BTreeSet::new();
        collect_used(&document, &mut used);
        let described = document["components"].as_object().unwrap().iter();
        let described = described.flat_map(|(kind, components)| {
            components.as_object().unwrap().keys().map(move |name| format!("{kind}/{name}"))
        });
        assert_eq!(described.collect::<BTreeSet<_>>(), used, "each is used, and is there");
    }

    #[test]
    fn all_responses_share_one_allocation() {
        assert_eq!(of_public_listener().as_ptr(), of_public_listener().as_ptr());
    }
}
