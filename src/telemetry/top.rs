//! Which files are asked for most, and fetched most, in a bounded sketch: there may be millions, and
//! none of them may become a series.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi 2005): a file that is not known takes the place of the
//! one with the lowest count, and its count with it. Whatever makes up more than one in
//! [`KNOWN_MAX`] is among the known, and no count is less than the true one.

use std::collections::HashMap;
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

/// Files by how often something was counted of them lately.
#[derive(Default)]
pub(super) struct TopFiles(Mutex<Halves>);

#[derive(Default)]
struct Halves {
    current: Sketch,
    last: Sketch,
    began: Duration,
}

#[derive(Default)]
struct Sketch(HashMap<Box<str>, u64, RandomState>);

/// A file, and about how often.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Counted {
    pub file: String,
    pub count: u64,
}

impl TopFiles {
    /// Counts one, unless somebody else is counting: it is a sketch.
    pub(super) fn count(&self, file: &str) {
        if let Some(mut halves) = self.0.try_lock() {
            halves.current.count(file);
        }
    }

    /// To be called now and then.
    pub(super) fn age(&self, now: Duration) {
        let mut halves = self.0.lock();
        if now >= halves.began + HALF {
            halves.last = std::mem::take(&mut halves.current);
            halves.began = now;
        }
    }

    /// The most frequent ones, in order.
    pub(super) fn most(&self) -> Vec<Counted> {
        let halves = self.0.lock();
        let mut sums: HashMap<&str, u64> = HashMap::new();
        for (file, count) in halves.current.0.iter().chain(&halves.last.0) {
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
    fn count(&mut self, file: &str) {
        if let Some(count) = self.0.get_mut(file) {
            *count += 1;
            return;
        }
        let mut count = 0;
        if self.0.len() >= KNOWN_MAX {
            let least = self.0.iter().min_by_key(|&(_, count)| *count);
            let Some((least, &lowest)) = least.map(|(file, count)| (file.clone(), count)) else {
                return;
            };
            self.0.remove(&least);
            count = lowest;
        }
        self.0.insert(file.into(), count + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_frequent_is_found_among_any_number_of_others() {
        let top = TopFiles::default();
        for round in 0..10_000 {
            top.count("often");
            if round % 4 == 0 {
                top.count("sometimes");
            }
            top.count(&format!("once-{round}"));
        }
        let most = top.most();
        assert_eq!((most[0].file.as_str(), most[1].file.as_str()), ("often", "sometimes"));
        assert!((10_000..10_200).contains(&most[0].count), "{most:?}");
        assert!((2_500..2_700).contains(&most[1].count), "{most:?}");
        assert!(top.0.lock().current.0.len() <= KNOWN_MAX);
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let top = TopFiles::default();
        top.count("a");
        top.age(HALF);
        top.count("b");
        let shown = |top: &TopFiles| top.most().into_iter().map(|one| one.file).collect::<Vec<_>>();
        assert_eq!(shown(&top), ["a", "b"]);
        top.age(HALF);
        assert_eq!(shown(&top), ["a", "b"], "not twice in one half");
        top.age(2 * HALF);
        assert_eq!(shown(&top), ["b"]);
    }
}
