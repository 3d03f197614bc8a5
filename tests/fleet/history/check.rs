//! Checker of recorded histories: finds reads that violate the promises about purges.

use std::time::Duration;

use super::{History, KnownBy, Purge, Read};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Violation {
    /// The gateway that acknowledged a purge later answered with an older version.
    Broken { purge: Purge, read: Read },
    /// Another gateway answered with an older version after the time bound.
    Late { purge: Purge, read: Read },
    /// After all faults were repaired, a gateway still answered with a purged version.
    Lost { read: Read, newest: u64 },
}

/// Returns the violations in a history. `bound` is the time after an acknowledgement during which
/// another gateway may still answer with an older version.
pub(super) fn violations(history: &History, bound: Duration) -> Vec<Violation> {
    let of_reads = history.reads.iter().filter_map(|&read| {
        let missed = history.purges.iter().filter(|purge| {
            purge.file == read.file && read.version < purge.version && purge.acknowledged < read.at
        });
        missed.map(|&purge| judge(purge, read, bound)).find(Option::is_some).flatten()
    });
    let of_last = history.last.iter().filter_map(|&read| {
        let newest = history.newest[read.file];
        (read.version != newest).then_some(Violation::Lost { read, newest })
    });
    of_reads.chain(of_last).collect()
}

/// Returns the violation of a read that began after the acknowledgement and got an older version.
fn judge(purge: Purge, read: Read, bound: Duration) -> Option<Violation> {
    if read.gateway == purge.gateway {
        Some(Violation::Broken { purge, read })
    } else if purge.known_by == KnownBy::Fleet && read.at > purge.acknowledged.saturating_add(bound)
    {
        Some(Violation::Late { purge, read })
    } else {
        None
    }
}

mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(3);

    fn read(gateway: usize, at: u64, version: u64) -> Read {
        Read { gateway, file: 0, at: Duration::from_millis(at), version }
    }

    /// Returns a purge of file 0 at gateway 0, acknowledged after one second, when the upstream had
    /// version 2.
    fn purge(known_by: KnownBy) -> Purge {
        let acknowledged = Duration::from_secs(1);
        Purge { gateway: 0, file: 0, version: 2, acknowledged, known_by }
    }

    fn found(known_by: KnownBy, read: Read) -> Vec<Violation> {
        let (reads, purges) = (vec![read], vec![purge(known_by)]);
        violations(&History { reads, purges, ..History::default() }, BOUND)
    }

    #[test]
    fn what_the_acknowledging_gateway_answers_later_is_never_older() {
        for known_by in [KnownBy::Fleet, KnownBy::Itself] {
            let broken = Violation::Broken { purge: purge(known_by), read: read(0, 1001, 1) };
            assert_eq!(found(known_by, read(0, 1001, 1)), [broken]);
            for allowed in [read(0, 1000, 1), read(0, 1001, 2), read(0, 9000, 3)] {
                assert_eq!(found(known_by, allowed), [], "{known_by:?} {allowed:?}");
            }
            let other = Read { file: 1, ..read(0, 9000, 1) };
            assert_eq!(found(known_by, other), [], "{known_by:?}");
        }
    }

    #[test]
    fn what_another_gateway_answers_later_than_the_bound_is_never_older() {
        let late = Violation::Late { purge: purge(KnownBy::Fleet), read: read(1, 4001, 1) };
        assert_eq!(found(KnownBy::Fleet, read(1, 4001, 1)), [late]);
        assert_eq!(found(KnownBy::Fleet, read(1, 4000, 1)), []);
        assert_eq!(found(KnownBy::Fleet, read(1, 4001, 2)), []);
        assert_eq!(found(KnownBy::Itself, read(1, 9000, 1)), [], "nobody has promised that");
    }

    #[test]
    fn a_read_that_breaks_any_of_several_purges_is_found_once() {
        let earlier = Purge { version: 1, ..purge(KnownBy::Fleet) };
        let purges = vec![earlier, purge(KnownBy::Fleet), purge(KnownBy::Itself)];
        let history = History { reads: vec![read(1, 5000, 1)], purges, ..History::default() };
        let late = Violation::Late { purge: purge(KnownBy::Fleet), read: read(1, 5000, 1) };
        assert_eq!(violations(&history, BOUND), [late]);
    }

    #[test]
    fn what_is_old_after_everything_was_fixed_is_lost() {
        let last = vec![read(0, 9000, 3), read(1, 9000, 2)];
        let history = History { last, newest: vec![3], ..History::default() };
        let expected = Violation::Lost { read: read(1, 9000, 2), newest: 3 };
        assert_eq!(violations(&history, BOUND), [expected]);
    }
}
