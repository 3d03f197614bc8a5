//! Most requested and most fetched files, counted in a bounded sketch.
//!
//! There may be millions of files, and none of them may become a series.
//!
//! The sketch is Space-Saving (Metwally, Agrawal, El Abbadi 2005). A file that is not in it
//! replaces the one with the lowest count, and takes over that count as its error. Each file with
//! more than one in [`TRACKED_MAX`] of all counts is in the sketch. A file is reported only if more
//! than half of its count is certain.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ahash::RandomState;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Number of files in the sketch. More finds rarer files; a file that is not in it costs a scan of
/// all.
const TRACKED_MAX: usize = 128;

/// Number of files that are reported.
const LISTED_MAX: usize = 20;

/// Half of the time that the dashboard shows. The result is the sum of this half and the last.
const HALF: Duration = Duration::from_secs(450);

/// Number of events per half that are counted one by one. Beyond it, one of [`STRIDE`] events
/// stands for all of them: a frequent file is still found, and counting costs a thirtieth.
const EXACT: u64 = 10_000;
const STRIDE: u32 = 32;

/// Counter of the most frequent files of the last minutes.
pub(super) struct TopFiles {
    halves: Mutex<Halves>,
    /// Number of events that each counted one stands for.
    stride: AtomicU32,
}

#[derive(Default)]
struct Halves {
    current: Sketch,
    last: Sketch,
    began: Duration,
}

#[derive(Default)]
struct Sketch {
    tallies: HashMap<Box<str>, Tally, RandomState>,
    sum: u64,
}

/// Estimated count of one file.
#[derive(Clone, Copy, Default)]
struct Tally {
    count: u64,
    /// Count that was taken over from another file.
    inherited: u64,
    /// Variance of the count that sampling causes: `weight * (weight - 1)` for each sample.
    variance: u64,
}

/// A file and its approximate count.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FileCount {
    /// Id of the file.
    pub file: String,
    /// Approximate number of events in this half and the last.
    pub count: u64,
    /// Bound of the difference from the true number: certain for what a file took over from
    /// another, two standard deviations for what sampling adds. Less than half of `count`.
    pub error: u64,
}

impl Default for TopFiles {
    fn default() -> Self {
        Self { halves: Mutex::default(), stride: AtomicU32::new(1) }
    }
}

impl TopFiles {
    /// Returns the weight of the next event if it is to be counted. It is cheap, so it is called
    /// first.
    pub(super) fn weight(&self) -> Option<u32> {
        let stride = self.stride.load(Ordering::Relaxed);
        (stride == 1 || fastrand::u32(..stride) == 0).then_some(stride)
    }

    /// Counts an event, unless another thread is counting: the result is approximate.
    pub(super) fn count(&self, file: &str, weight: u32) {
        if let Some(mut halves) = self.halves.try_lock() {
            halves.current.count(file, weight.into());
            if halves.current.sum >= EXACT {
                self.stride.store(STRIDE, Ordering::Relaxed);
            }
        }
    }

    /// Begins a new half when this one is over. It must be called at least once per half.
    pub(super) fn age(&self, now: Duration) {
        let mut halves = self.halves.lock();
        if now >= halves.began + HALF {
            halves.last = std::mem::take(&mut halves.current);
            halves.began = now;
            self.stride.store(1, Ordering::Relaxed);
        }
    }

    /// Returns the most frequent files, most frequent first.
    pub(super) fn most(&self) -> Vec<FileCount> {
        let halves = self.halves.lock();
        let mut sums: HashMap<&str, Tally> = HashMap::new();
        for (file, tally) in halves.current.tallies.iter().chain(&halves.last.tallies) {
            sums.entry(file).or_default().add(*tally);
        }
        let counted = |(file, tally): (&str, Tally)| {
            let (count, error) = (tally.count, tally.error());
            (2 * error < count).then(|| FileCount { file: file.to_owned(), count, error })
        };
        let mut files: Vec<_> = sums.into_iter().filter_map(counted).collect();
        files.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.file.cmp(&b.file)));
        files.truncate(LISTED_MAX);
        files
    }
}

impl Sketch {
    fn count(&mut self, file: &str, weight: u64) {
        self.sum += weight;
        if let Some(tally) = self.tallies.get_mut(file) {
            tally.add(Tally::sample(weight));
            return;
        }
        let mut tally = Tally::default();
        if self.tallies.len() >= TRACKED_MAX {
            let lowest = self.tallies.iter().min_by_key(|&(_, tally)| tally.count);
            let Some((replaced, count)) = lowest.map(|(file, tally)| (file.clone(), tally.count))
            else {
                return;
            };
            self.tallies.remove(&replaced);
            tally = Tally { count, inherited: count, variance: 0 };
        }
        tally.add(Tally::sample(weight));
        self.tallies.insert(file.into(), tally);
    }
}

impl Tally {
    /// Returns the tally of one event that stands for `weight` events.
    fn sample(weight: u64) -> Self {
        Self { count: weight, inherited: 0, variance: weight * (weight - 1) }
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.inherited += other.inherited;
        self.variance += other.variance;
    }

    /// Returns the bound that [`FileCount::error`] states.
    fn error(self) -> u64 {
        self.inherited.saturating_add(2 * self.variance.isqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(top: &TopFiles, file: &str) {
        if let Some(weight) = top.weight() {
            top.count(file, weight);
        }
    }

    #[test]
    fn what_is_frequent_is_found_among_any_number_of_others() {
        let top = TopFiles::default();
        for round in 0..4_000 {
            count(&top, "often");
            if round % 4 == 0 {
                count(&top, "sometimes");
            }
            count(&top, &format!("once-{round}"));
        }
        let files = top.most();
        assert_eq!((files[0].file.as_str(), files[1].file.as_str()), ("often", "sometimes"));
        assert!((4_000..4_200).contains(&files[0].count), "{files:?}");
        assert!((1_000..1_200).contains(&files[1].count), "{files:?}");
        let bounds = |file: &FileCount, truth: u64| file.count.abs_diff(truth) <= file.error;
        assert!(bounds(&files[0], 4_000) && bounds(&files[1], 1_000), "{files:?}");
        assert!(top.halves.lock().current.tallies.len() <= TRACKED_MAX);
    }

    #[test]
    fn a_file_that_was_requested_once_among_very_many_is_not_reported() {
        let top = TopFiles::default();
        for round in 0..100_000 {
            count(&top, &format!("once-{round}"));
        }
        assert_eq!(top.most(), [], "each count is within its error");
        count(&top, "often");
        for _ in 0..10_000 {
            count(&top, "often");
        }
        let files = top.most();
        assert_eq!(files.len(), 1, "{files:?}");
        assert!(2 * files[0].error < files[0].count, "{files:?}");
    }

    #[test]
    fn of_very_many_a_part_stands_for_all() {
        let top = TopFiles::default();
        for _ in 0..1_000_000 {
            count(&top, "often");
        }
        let FileCount { count, error, .. } = top.most()[0].clone();
        assert!((900_000..1_100_000).contains(&count), "{count}");
        assert!((9_000..13_000).contains(&error), "two standard deviations: {error}");
        top.age(HALF);
        assert_eq!(top.weight(), Some(1), "a new half begins with each one counted");
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let top = TopFiles::default();
        count(&top, "a");
        top.age(HALF);
        count(&top, "b");
        let shown = |top: &TopFiles| top.most().into_iter().map(|one| one.file).collect::<Vec<_>>();
        assert_eq!(shown(&top), ["a", "b"]);
        top.age(HALF);
        assert_eq!(shown(&top), ["a", "b"], "not twice in one half");
        top.age(2 * HALF);
        assert_eq!(shown(&top), ["b"]);
    }
}
