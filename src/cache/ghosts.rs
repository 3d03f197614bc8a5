//! Who was evicted lately without having been used: ids only, as far as a small table tells.

/// Hashes of the evicted, each in the one place that is its own: a later one takes it over. So
/// the table forgets in about the order in which it learned, and needs no list of it.
#[derive(Default)]
pub(super) struct Ghosts(Box<[u32]>);

impl Ghosts {
    /// Remembers one of about `among`.
    pub(super) fn remember(&mut self, hash: u64, among: usize) {
        if self.0.len() < among {
            self.0 = vec![0; among.next_power_of_two()].into_boxed_slice();
        }
        if let Some(ghost) = place(self.0.len(), hash).and_then(|place| self.0.get_mut(place)) {
            *ghost = print(hash);
        }
    }

    /// Whether it was remembered, or one that looks the same.
    pub(super) fn recall(&self, hash: u64) -> bool {
        let ghost = place(self.0.len(), hash).and_then(|place| self.0.get(place));
        ghost.is_some_and(|ghost| *ghost == print(hash))
    }
}

fn place(places: usize, hash: u64) -> Option<usize> {
    let remainder = hash.checked_rem(places as u64)?;
    usize::try_from(remainder).ok()
}

/// Never 0, which is nobody's. From other bits than the place.
fn print(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or_default() | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31)
    }

    #[test]
    fn the_latest_are_remembered_and_the_table_grows_only_with_the_shelf() {
        let mut ghosts = Ghosts::default();
        assert!(!ghosts.recall(hash(1)));
        ghosts.remember(hash(1), 0);
        assert!(!ghosts.recall(hash(1)), "an empty shelf has no ghosts");
        for number in 0..10_000 {
            ghosts.remember(hash(number), 1000);
            assert!(ghosts.recall(hash(number)));
        }
        assert_eq!(ghosts.0.len(), 1024);
        let remembered = (0..10_000).filter(|number| ghosts.recall(hash(*number))).count();
        assert!((900..=1024).contains(&remembered), "{remembered}");
        assert!(!ghosts.recall(hash(20_000)));
    }
}
