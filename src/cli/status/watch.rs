//! State of a gateway that is polled: its last answer, and since when it does not answer.

use super::palette::Palette;
use super::snapshot::{Snapshot, Unavailable};
use super::view::{Silence, View};
use crate::cli::admin_client::NoAnswer;
use crate::cli::printable::printable;
use crate::cli::report::Failure;

/// Last state of a gateway.
#[derive(Default)]
pub(super) struct Watch {
    /// Last state, with the time of this machine at which it came, in Unix seconds.
    last: Option<(Snapshot, u64)>,
    silence: Option<Silence>,
}

impl Watch {
    /// Takes the result of one poll. `now`: Unix seconds.
    ///
    /// # Errors
    ///
    /// Returns a failure if the gateway answers and refuses: the next poll would fail as well.
    pub(super) fn note(
        &mut self,
        polled: Result<Snapshot, Unavailable>,
        now: u64,
    ) -> Result<(), Failure> {
        match polled {
            Ok(snapshot) => {
                self.last = Some((snapshot, now));
                self.silence = None;
            }
            Err(Unavailable::NoAnswer(NoAnswer(reason))) => {
                let since = self.silence.as_ref().map_or(now, |silence| silence.since);
                let last_seen = self.last.as_ref().map(|(_, at)| *at);
                let reason = printable(&reason);
                self.silence = Some(Silence { since, last_seen, reason });
            }
            Err(refused @ Unavailable::Refused(_)) => return Err(refused.into()),
        }
        Ok(())
    }

    pub(super) fn view<'a>(&'a self, url: &'a str, palette: Palette) -> View<'a> {
        let snapshot = self.last.as_ref().map(|(snapshot, _)| snapshot);
        View { url, snapshot, silence: self.silence.as_ref(), palette, is_live: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::samples::well;

    const PLAIN: Palette = Palette { has_colours: false };

    fn no_answer(reason: &str) -> Result<Snapshot, Unavailable> {
        Err(Unavailable::NoAnswer(NoAnswer(reason.to_owned())))
    }

    #[test]
    fn silence_counts_from_the_first_poll_that_failed_to_the_next_answer() {
        let mut watch = Watch::default();
        watch.note(no_answer("refused"), 90).unwrap();
        let silence = Silence { since: 90, last_seen: None, reason: "refused".to_owned() };
        assert_eq!(watch.view("", PLAIN).silence, Some(&silence));
        watch.note(Ok(well()), 100).unwrap();
        assert_eq!(watch.view("", PLAIN).silence, None);
        watch.note(no_answer("refused"), 102).unwrap();
        watch.note(no_answer("reset\x1b"), 104).unwrap();
        let silence =
            Silence { since: 102, last_seen: Some(100), reason: "reset\\u{1b}".to_owned() };
        let view = watch.view("", PLAIN);
        assert_eq!((view.silence, view.snapshot.is_some()), (Some(&silence), true));
        watch.note(Ok(well()), 106).unwrap();
        assert_eq!(watch.view("", PLAIN).silence, None);
    }

    #[test]
    fn a_refusal_ends_it() {
        let mut watch = Watch::default();
        assert!(watch.note(Err(Unavailable::Refused("no".to_owned())), 1).is_err());
    }
}
