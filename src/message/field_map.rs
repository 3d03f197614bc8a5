//! Response fields as a `HeaderMap` for hyper, built without hashing names for the usual layouts.

use std::cell::RefCell;

use http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

use super::fields::Fields;
use super::response_field::{ConstantField, ResponseField};

/// Fields that are kept without an allocation. No response has more.
const FIELDS_INLINE: usize = 20;

/// Layouts that a thread remembers. Hits have a few; the others are of errors.
const LAYOUTS_MAX: usize = 16;

/// Placeholder value of a field in a layout.
const EMPTY: HeaderValue = HeaderValue::from_static("");

thread_local! {
    /// Layouts of the responses that this thread has sent, the most recent first.
    static LAYOUTS: RefCell<Vec<Layout>> = const { RefCell::new(Vec::new()) };
}

type FieldList = SmallVec<[ResponseField; FIELDS_INLINE]>;

/// Map of a response's names in their order, with empty values.
struct Layout {
    fields: FieldList,
    map: HeaderMap,
}

/// Response fields, in the order in which they are written.
///
/// Most responses have the same names in the same order. Their map is cloned from a layout, which
/// hashes nothing, and not built anew.
#[derive(Default)]
pub struct FieldMap {
    fields: FieldList,
    values: SmallVec<[HeaderValue; FIELDS_INLINE]>,
}

impl FieldMap {
    /// Returns the map, and removes all fields from this list.
    pub fn take_map(&mut self) -> HeaderMap {
        let mut map = LAYOUTS.with_borrow_mut(|layouts| layout(layouts, &self.fields));
        self.fields.clear();
        for (slot, value) in map.values_mut().zip(self.values.drain(..)) {
            *slot = value;
        }
        map
    }

    fn push(&mut self, field: ResponseField, value: HeaderValue) {
        debug_assert!(!self.fields.contains(&field), "{field:?} is written twice");
        self.fields.push(field);
        self.values.push(value);
    }
}

/// Returns a map of these fields, in their order.
fn layout(layouts: &mut Vec<Layout>, fields: &FieldList) -> HeaderMap {
    if let Some(place) = layouts.iter().position(|layout| layout.fields == *fields) {
        if let Some(before) = layouts.get_mut(..=place) {
            before.rotate_right(1);
        }
    } else {
        layouts.truncate(LAYOUTS_MAX - 1);
        let map = fields.iter().map(|field| (field.name(), EMPTY)).collect();
        layouts.insert(0, Layout { fields: fields.clone(), map });
    }
    layouts.first().map(|layout| layout.map.clone()).unwrap_or_default()
}

impl Fields for FieldMap {
    fn put_constant(&mut self, field: &'static ConstantField) {
        debug_assert!(field.is_consistent(), "{}", field.line);
        self.push(field.field, field.value.clone());
    }

    fn put(&mut self, field: ResponseField, value: &HeaderValue) {
        self.push(field, value.clone());
    }

    fn put_bytes(&mut self, field: ResponseField, value: &[u8]) {
        // The value of a request's field, and text that the gateway writes, are always valid
        // values.
        self.push(field, HeaderValue::from_bytes(value).unwrap_or(EMPTY));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_map_holds_what_was_written_after_any_earlier_writes(
            responses in prop::collection::vec(
                prop::sample::subsequence(ResponseField::ALL, 0..10), 1..60),
        ) {
            let mut fields = FieldMap::default();
            for (number, response) in responses.into_iter().enumerate() {
                for field in &response {
                    fields.put_bytes(*field, format!("{field:?} {number}").as_bytes());
                }
                let map = fields.take_map();
                prop_assert_eq!(map.len(), response.len());
                for field in response {
                    let written = format!("{field:?} {number}");
                    prop_assert_eq!(&map[field.name()], &written);
                }
            }
            prop_assert!(LAYOUTS.with_borrow(Vec::len) <= LAYOUTS_MAX);
        }
    }
}
