//! What is stored, as one request is sent it: the same as [`super::shape`] makes of it, without a
//! response in between.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{Choice, Facts, Times};
use crate::cache::StoredResponse;
use crate::message::{Coding, Fields};

/// A stored response for one request, by `GET`.
pub struct Hit<'a> {
    stored: &'a StoredResponse,
    times: Times,
    choice: Choice,
    request: &'a HeaderMap,
}

impl<'a> Hit<'a> {
    pub fn new(stored: &'a StoredResponse, times: Times, request: &'a HeaderMap) -> Self {
        Self { stored, times, choice: Choice::of_stored(stored, request), request }
    }

    pub fn status(&self) -> StatusCode {
        if self.choice.known { StatusCode::NOT_MODIFIED } else { self.stored.kind.status() }
    }

    pub fn coding(&self) -> Coding {
        self.choice.coding
    }

    /// `None`: the status allows none.
    pub fn body(&self) -> Option<Bytes> {
        if self.choice.known {
            return None;
        }
        Some(self.stored.body_in(self.choice.coding).cloned().unwrap_or_default())
    }

    /// All fields but those that frame the message.
    pub fn write(&self, fields: &mut impl Fields, facts: &Facts<'_>) {
        if !self.choice.known {
            self.choice.write_content(fields);
        }
        self.choice.write_times(fields, self.times, facts.browser_max_age);
        facts.write(fields, facts.page(self.request).as_ref());
    }
}
