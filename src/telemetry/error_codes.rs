//! Counts of the error codes that callers received, since they were last read.
//!
//! `ikgate_requests_total` has the status of an error, and several codes share one status.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Counter of error codes. The codes are a closed set of texts in the program.
#[derive(Default)]
pub(super) struct ErrorCodes(Mutex<BTreeMap<String, u64>>);

impl ErrorCodes {
    pub(super) fn count(&self, code: &str) {
        let mut counts = self.0.lock();
        // An error in the table costs no allocation: a flood of errors is counted at full rate.
        match counts.get_mut(code) {
            Some(count) => *count += 1,
            None => _ = counts.insert(code.to_owned(), 1),
        }
    }

    /// Returns the counts since the last call.
    pub(super) fn take(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.0.lock())
    }
}
