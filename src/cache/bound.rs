//! How much all the shelves of one sort may hold, and do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The part of what may be held that belongs to the small queues, as a divisor.
const SMALL_SHARE: u64 = 10;

/// Where an entry waits for its eviction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Line {
    /// New, and not known from before.
    Small,
    /// Asked for again while it was small, or soon after it was evicted.
    Main,
}

/// One bound for many shelves: each may hold too few entries to be bounded by itself.
pub(super) struct Bound {
    max_bytes: u64,
    small_bytes: AtomicU64,
    main_bytes: AtomicU64,
    entries: AtomicU64,
    evictions: AtomicU64,
}

impl Bound {
    pub(super) fn new(max_bytes: u64) -> Arc<Self> {
        let (small_bytes, main_bytes, entries, evictions) = Default::default();
        Arc::new(Self { max_bytes, small_bytes, main_bytes, entries, evictions })
    }

    /// Whether an entry of so many bytes can be held at all.
    pub(super) fn admits(&self, bytes: u64) -> bool {
        bytes <= self.max_bytes
    }

    /// Whether there is no room for so many bytes more.
    pub(super) fn exceeds_with(&self, bytes: u64) -> bool {
        let held = self.bytes();
        held > 0 && held + bytes > self.max_bytes
    }

    pub(super) fn bytes(&self) -> u64 {
        [Line::Small, Line::Main].map(|line| self.of(line).load(Ordering::Relaxed)).iter().sum()
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// Whose turn it is to make room.
    pub(super) fn next_line(&self) -> Line {
        let small = self.small_bytes.load(Ordering::Relaxed);
        if small * SMALL_SHARE >= self.bytes() { Line::Small } else { Line::Main }
    }

    pub(super) fn count_entry(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn uncount_entries(&self, entries: usize) {
        self.entries.fetch_sub(entries as u64, Ordering::Relaxed);
    }

    pub(super) fn count_eviction(&self) {
        self.evictions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn grow(&self, line: Line, bytes: u64) {
        self.of(line).fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn shrink(&self, line: Line, bytes: u64) {
        self.of(line).fetch_sub(bytes, Ordering::Relaxed);
    }

    fn of(&self, line: Line) -> &AtomicU64 {
        match line {
            Line::Small => &self.small_bytes,
            Line::Main => &self.main_bytes,
        }
    }
}
