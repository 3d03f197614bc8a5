//! Which files are asked for most, and fetched most, in a bounded sketch: there may be millions, and
//! none of them may become a series.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi 2005): a file that is not known takes the place of the
//! one with the lowest count, and its count with it. Whatever makes up more than one in
//! [`KNOWN_MAX`] is among the known, and no count is less than the true one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ahash::RandomState;
use parking_lot::Mutex;
use serde::Serialize;

/// Files that are known at a time. More finds rarer ones; a file that is not known costs a look at
/// each.
const KNOWN_MAX: usize = 128;

/// Files that are told of.
const TOLD: usize = 20;

/// Half of what the dashboard shows: it adds up this half and the last.
const HALF: Duration = Duration::from_secs(450);

/// So many are counted one by one in each half. Beyond it one of [`STRIDE`] stands for all of them:
/// whatever is often is still found, and counting costs a thirtieth.
const EXACT: u64 = 10_000;
const STRIDE: u32 = 32;

/// Files by how often something was counted of them lately.
pub(super) struct TopFiles {
    halves: Mutex<Halves>,
    /// How many one that is counted stands for.
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
    counts: HashMap<Box<str>, u64, RandomState>,
    sum: u64,
}

/// A file, and about how often.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Counted {
    pub file: String,
    pub count: u64,
}

impl Default for TopFiles {
    fn default() -> Self {
        Self { halves: Mutex::default(), stride: AtomicU32::new(1) }
    }
}

impl TopFiles {
    /// Whether the next one is to be counted, and for how many. Asked first, since it is cheap.
    pub(super) fn weight(&self) -> Option<u32> {
        let stride = self.stride.load(Ordering::Relaxed);
        (stride == 1 || fastrand::u32(..stride) == 0).then_some(stride)
    }

    /// Counts one, unless somebody else is counting: it is a sketch.
    pub(super) fn count(&self, file: &str, weight: u32) {
        if let Some(mut halves) = self.halves.try_lock() {
            halves.current.count(file, weight.into());
            if halves.current.sum >= EXACT {
                self.stride.store(STRIDE, Ordering::Relaxed);
            }
        }
    }

    /// To be called now and then.
    pub(super) fn age(&self, now: Duration) {
        let mut halves = self.halves.lock();
        if now >= halves.began + HALF {
            halves.last = std::mem::take(&mut halves.current);
            halves.began = now;
            self.stride.store(1, Ordering::Relaxed);
        }
    }

    /// The most frequent ones, in order.
    pub(super) fn most(&self) -> Vec<Counted> {
        let halves = self.halves.lock();
        let mut sums: HashMap<&str, u64> = HashMap::new();
        for (file, count) in halves.current.counts.iter().chain(&halves.last.counts) {
            *sums.entry(file).or_default() += count;
        }
        let mut most: Vec<_> = sums
            .into_iter()
            .map(|(file, count)| Counted { file: file.to_owned(), count })
            .collect();
        most.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.file.cmp(&b.file)));
        most.truncate(TOLD);
        most
    }
}

impl Sketch {
    fn count(&mut self, file: &str, weight: u64) {
        self.sum += weight;
        if let Some(count) = self.counts.get_mut(file) {
            *count += weight;
            return;
        }
        let mut count = 0;
        if self.counts.len() >= KNOWN_MAX {
            let least = self.counts.iter().min_by_key(|&(_, count)| *count);
            let Some((least, &lowest)) = least.map(|(file, count)| (file.clone(), count)) else {
                return;
            };
            self.counts.remove(&least);
            count = lowest;
        }
        self.counts.insert(file.into(), count + weight);
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
        let most = top.most();
        assert_eq!((most[0].file.as_str(), most[1].file.as_str()), ("often", "sometimes"));
        assert!((4_000..4_200).contains(&most[0].count), "{most:?}");
        assert!((1_000..1_200).contains(&most[1].count), "{most:?}");
        assert!(top.halves.lock().current.counts.len() <= KNOWN_MAX);
    }

    #[test]
    fn of_very_many_a_part_stands_for_all() {
        let top = TopFiles::default();
        for _ in 0..1_000_000 {
            count(&top, "often");
        }
        let count = top.most()[0].count;
        assert!((900_000..1_100_000).contains(&count), "{count}");
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
