//! Invalidations: their targets and modes, and the last one of each file.
//!
//! The last ones are kept in a fixed amount of memory. Two things need them. A list that is fetched
//! soon after its file's invalidation may still be old (`freshness`). Operators look up when a file
//! was last purged and by which source.

use std::collections::HashMap;
use std::time::Duration;

use ahash::RandomState;

use crate::file_id::FileId;

/// Target of an invalidation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    All,
    File(FileId),
}

/// Mode of an invalidation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum PurgeMode {
    /// Removes what is stored, and keeps fills in progress from being stored.
    Hard,
    /// Ends the freshness of what is stored, as if its ttl ended now.
    Soft,
}

impl PurgeMode {
    pub const ALL: [Self; 2] = [Self::Hard, Self::Soft];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        }
    }
}

/// One invalidation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Invalidation {
    pub at: Duration,
    pub mode: PurgeMode,
    /// Name of its source, for display.
    pub source: &'static str,
}

/// Last invalidation of each file, for at most `capacity` files.
pub(super) struct RecentInvalidations {
    last: HashMap<FileId, Invalidation, RandomState>,
    capacity: usize,
    /// Time of the latest invalidation that was dropped for lack of room.
    forgotten: Option<Duration>,
}

impl RecentInvalidations {
    pub(super) fn new(capacity: usize) -> Self {
        Self { last: HashMap::default(), capacity, forgotten: None }
    }

    pub(super) fn record(&mut self, file: &FileId, invalidation: Invalidation) {
        if self.last.len() >= self.capacity && !self.last.contains_key(file) {
            // A scan of all entries: they are few, and invalidations are rare.
            let oldest = self.last.iter().min_by_key(|(_, last)| last.at);
            if let Some((oldest, at)) = oldest.map(|(file, last)| (*file, last.at)) {
                self.last.remove(&oldest);
                self.forgotten = self.forgotten.max(Some(at));
            }
        }
        self.last.insert(*file, invalidation);
    }

    pub(super) fn last(&self, file: &FileId) -> Option<Invalidation> {
        self.last.get(file).copied()
    }

    /// Returns the latest time at which `file` may have been invalidated. For a file that is not
    /// remembered, that is the time of the latest invalidation that was dropped.
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

    fn at(seconds: u64) -> Invalidation {
        Invalidation { at: Duration::from_secs(seconds), mode: PurgeMode::Hard, source: "test" }
    }

    #[test]
    fn the_oldest_are_forgotten_and_never_taken_for_older_than_they_were() {
        let mut recent = RecentInvalidations::new(3);
        assert_eq!(recent.latest(&file(1)), None);
        for number in 1..=3 {
            recent.record(&file(number), at(number));
        }
        recent.record(&file(1), at(4));
        recent.record(&file(5), at(5));
        assert_eq!(recent.last.len(), 3);
        assert_eq!(recent.last(&file(1)), Some(at(4)));
        assert_eq!(recent.last(&file(2)), None);
        assert_eq!(recent.latest(&file(2)), Some(Duration::from_secs(2)));
        assert_eq!(recent.latest(&file(3)), Some(Duration::from_secs(3)));
        assert_eq!(recent.latest(&file(99)), Some(Duration::from_secs(2)));
    }
}
