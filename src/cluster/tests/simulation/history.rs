//! Checker of the promise: searches the events of one simulation run for a violation. It does no
//! I/O.

use std::time::Duration;

/// Event that is visible from outside, or that a node received.
#[derive(Clone, Debug)]
pub(super) enum HistoryEvent {
    /// A request that came at `began` was answered with this version.
    Answered { node: usize, file: usize, version: u64, began: Duration },
    /// A purge was sent while `floor` was the newest version, and acknowledged.
    Purged { node: usize, file: usize, floor: u64, at: Duration, published: bool },
    /// The node received a purge that the server took while `floor` was the newest version.
    Received { node: usize, file: usize, floor: u64, at: Duration },
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
pub(super) fn check(events: &[HistoryEvent], late: Duration) -> Option<Violation> {
    // Two events of one node at the same instant may have happened in any order.
    for (answer, event) in events.iter().enumerate() {
        let HistoryEvent::Answered { node, file, version, began, .. } = *event else { continue };
        for (purge, event) in events.iter().enumerate() {
            match *event {
                HistoryEvent::Purged { node: by, file: of, floor, at, .. }
                    if by == node && of == file && at < began && version < floor =>
                {
                    return Some(Violation::Acknowledged { answer, purge });
                }
                HistoryEvent::Purged { file: of, floor, at, published: true, .. }
                    if of == file && at + late < began && version < floor =>
                {
                    return Some(Violation::Late { answer, purge });
                }
                HistoryEvent::Received { node: by, file: of, floor, at }
                    if by == node && of == file && at < began && version < floor =>
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

    fn answered(node: usize, version: u64, began: u64) -> HistoryEvent {
        let began = Duration::from_secs(began);
        HistoryEvent::Answered { node, file: 0, version, began }
    }

    fn purged(published: bool) -> HistoryEvent {
        HistoryEvent::Purged { node: 0, file: 0, floor: 2, at: Duration::from_secs(100), published }
    }

    #[test]
    fn only_violations_of_the_promise_are_found() {
        let received_event =
            HistoryEvent::Received { node: 1, file: 0, floor: 2, at: Duration::from_secs(105) };
        let other = HistoryEvent::Answered {
            node: 0,
            file: 1,
            version: 1,
            began: Duration::from_secs(200),
        };
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
            (vec![received_event.clone(), answered(1, 1, 105)], None),
            (vec![received_event.clone(), answered(1, 1, 106)], received(at(1, 0))),
            (vec![received_event.clone(), answered(2, 1, 106)], None),
            (vec![purged(true), received_event, other], None),
        ];
        for (events, expected) in table {
            assert_eq!(check(&events, LATE), expected, "{events:?}");
        }
    }
}
