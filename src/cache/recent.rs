//! Which files were invalidated lately, each by itself, in a fixed amount of memory.
//!
//! What is fetched soon after such an invalidation may still be old ([`super::freshness`]), and
//! operators ask when a file was last purged, and by whom.

use std::collections::HashMap;
use std::time::Duration;

use ahash::RandomState;

use super::invalidate::Force;
use crate::file_id::FileId;

/// One invalidation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Invalidated {
    pub at: Duration,
    pub force: Force,
    /// Who asked for it, as a name for people.
    pub source: &'static str,
}

/// The last invalidation of each of the files that were invalidated last.
pub(super) struct Recent {
    last: HashMap<FileId, Invalidated, RandomState>,
    capacity: usize,
    /// The latest one that had to be forgotten.
    forgotten: Option<Duration>,
}

impl Recent {
    pub(super) fn new(capacity: usize) -> Self {
        Self { last: HashMap::default(), capacity, forgotten: None }
    }

    pub(super) fn note(&mut self, file: &FileId, invalidated: Invalidated) {
        if self.last.len() >= self.capacity && !self.last.contains_key(file) {
            // A walk over all of them: they are few, and invalidations are rare.
            let oldest = self.last.iter().min_by_key(|(_, last)| last.at);
            if let Some((oldest, at)) = oldest.map(|(file, last)| (*file, last.at)) {
                self.last.remove(&oldest);
                self.forgotten = self.forgotten.max(Some(at));
            }
        }
        self.last.insert(*file, invalidated);
    }

    pub(super) fn last(&self, file: &FileId) -> Option<Invalidated> {
        self.last.get(file).copied()
    }

    /// When `file` may last have been invalidated. Never earlier than it was: one that is not
    /// remembered may be the latest that was forgotten.
    pub(super) fn latest(&self, file: &FileId) -> Option<Duration> {
        self.last.get(file).map(|last| last.at).or(self.forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: u64) -> FileId {
        FileId::parse(&number.to_string()).unwrap()
    }

    fn at(seconds: u64) -> Invalidated {
        Invalidated { at: Duration::from_secs(seconds), force: Force::Hard, source: "test" }
    }

    #[test]
    fn the_oldest_are_forgotten_and_never_taken_for_older_than_they_were() {
        let mut recent = Recent::new(3);
        assert_eq!(recent.latest(&file(1)), None);
        for number in 1..=3 {
            recent.note(&file(number), at(number));
        }
        recent.note(&file(1), at(4));
        recent.note(&file(5), at(5));
        assert_eq!(recent.last.len(), 3);
        assert_eq!(recent.last(&file(1)), Some(at(4)));
        assert_eq!(recent.last(&file(2)), None);
        assert_eq!(recent.latest(&file(2)), Some(Duration::from_secs(2)));
        assert_eq!(recent.latest(&file(3)), Some(Duration::from_secs(3)));
        assert_eq!(recent.latest(&file(99)), Some(Duration::from_secs(2)));
    }
}
