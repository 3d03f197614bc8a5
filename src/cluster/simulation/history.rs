//! Checker of the promise: searches the events of one simulation run for a violation. It does no
//! I/O.

use std::time::Duration;

/// Event that is visible from outside, or that a node received.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A request that came at `asked` was answered with this version.
    Answered { node: usize, file: usize, version: u64, asked: Duration },
    /// A purge was sent while `floor` was the newest version, and acknowledged.
    Purged { node: usize, file: usize, floor: u64, at: Duration, told: bool },
    /// The node received a purge that the server took while `floor` was the newest version.
    Heard { node: usize, file: usize, floor: u64, at: Duration },
}

/// Violation of the promise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Violation {
    /// On the node that acknowledged the purge.
    Acknowledged { answer: usize, purge: usize },
    /// On a node that had received the purge.
    Received { answer: usize, purge: usize },
    /// On any node, later after the purge than a node may be cut off and serve fresh responses.
    Late { answer: usize, purge: usize },
}

/// Returns the first response that breaks the promise. `late`: time after an acknowledgement in
/// which any node may serve older bytes.
pub(super) fn check(events: &[Event], late: Duration) -> Option<Violation> {
    // Two events of one node at the same instant may have happened in any order.
    for (answer, event) in events.iter().enumerate() {
        let Event::Answered { node, file, version, asked, .. } = *event else { continue };
        for (purge, event) in events.iter().enumerate() {
            match *event {
                Event::Purged { node: by, file: of, floor, at, .. }
                    if by == node && of == file && at < asked && version < floor =>
                {
                    return Some(Violation::Acknowledged { answer, purge });
                }
                Event::Purged { file: of, floor, at, told: true, .. }
                    if of == file && at + late < asked && version < floor =>
                {
                    return Some(Violation::Late { answer, purge });
                }
                Event::Heard { node: by, file: of, floor, at }
                    if by == node && of == file && at < asked && version < floor =>
                {
                    return Some(Violation::Received { answer, purge });
                }
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Duration = Duration::from_secs(10);

    fn answered(node: usize, version: u64, asked: u64) -> Event {
        let asked = Duration::from_secs(asked);
        Event::Answered { node, file: 0, version, asked }
    }

    fn purged(told: bool) -> Event {
        Event::Purged { node: 0, file: 0, floor: 2, at: Duration::from_secs(100), told }
    }

    #[test]
    fn what_breaks_the_promise_is_found_and_nothing_else() {
        let heard = Event::Heard { node: 1, file: 0, floor: 2, at: Duration::from_secs(105) };
        let other =
            Event::Answered { node: 0, file: 1, version: 1, asked: Duration::from_secs(200) };
        let at = |answer, purge| (answer, purge);
        let acknowledged = |(answer, purge)| Some(Violation::Acknowledged { answer, purge });
        let received = |(answer, purge)| Some(Violation::Received { answer, purge });
        let is_late = |(answer, purge)| Some(Violation::Late { answer, purge });
        let table = [
            (vec![purged(true), answered(0, 2, 101)], None),
            (vec![purged(true), answered(0, 1, 100)], None),
            (vec![purged(true), answered(0, 1, 101)], acknowledged(at(1, 0))),
            (vec![purged(false), answered(0, 1, 101)], acknowledged(at(1, 0))),
            (vec![purged(true), answered(1, 1, 110)], None),
            (vec![purged(true), answered(1, 1, 111)], is_late(at(1, 0))),
            (vec![purged(false), answered(1, 1, 111)], None),
            (vec![heard.clone(), answered(1, 1, 105)], None),
            (vec![heard.clone(), answered(1, 1, 106)], received(at(1, 0))),
            (vec![heard.clone(), answered(2, 1, 106)], None),
            (vec![purged(true), heard, other], None),
        ];
        for (events, expected) in table {
            assert_eq!(check(&events, LATE), expected, "{events:?}");
        }
    }
}
