//! Reference model of freshness and invalidation: the interface's rules for one node, without
//! locks, tasks or sockets.

use std::time::Duration;

pub(super) const TTL: Duration = Duration::from_mins(1);
pub(super) const WHILE_REVALIDATE: Duration = Duration::from_secs(30);
pub(super) const IF_ERROR: Duration = Duration::from_mins(1);
pub(super) const NOT_FOUND_TTL: Duration = Duration::from_secs(10);
pub(super) const SETTLE: Duration = Duration::from_secs(2);

/// Result of one upstream request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// 200 with a body that is not a list.
    Garbage,
    List,
    NoStore,
    NotFound,
    ServerError,
}

/// Expected response, as far as the model decides it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Expected {
    pub(super) status: u16,
    /// Number of the upstream request that it comes from, as the body states it.
    pub(super) from: Option<usize>,
    pub(super) cache_status: String,
    pub(super) age: Option<u64>,
}

/// Effect of a read.
pub(super) enum Read {
    /// A response at once, and perhaps an upstream request in the background.
    Now { expected: Expected, asks: bool },
    /// The read waits for the current upstream request, which it may have started itself.
    Waits { asks: bool },
}

#[derive(Clone, Copy)]
struct Stored {
    from: usize,
    found: bool,
    as_of: Duration,
    ttl: Duration,
}

/// Upstream request without a response yet.
pub(super) struct InFlight {
    /// Number of the request among those of its file.
    pub(super) number: usize,
    sent: Duration,
    softened: Option<Duration>,
    /// Reads that wait for it: whether a list was stored, and whether the read was collapsed.
    pub(super) waiting: Vec<Waiter>,
}

#[derive(Clone, Copy)]
pub(super) struct Waiter {
    was_stored: bool,
    collapsed: bool,
}

/// State of one file.
#[derive(Default)]
pub(super) struct File {
    stored: Option<Stored>,
    pub(super) current: Option<InFlight>,
    /// Requests sent before an invalidation: no read joins them, and their results are not stored.
    pub(super) outdated: Vec<InFlight>,
    pub(super) asked: usize,
    invalidated: Option<Duration>,
    /// Requests sent before the last hard invalidation: none of them may answer a later read.
    pub(super) floor: usize,
}

enum Reuse {
    Fresh(Duration),
    StaleWhileRevalidate(Duration),
    IfError,
    Expired,
}

impl Stored {
    fn reuse(&self, now: Duration) -> Reuse {
        let end = self.as_of + self.ttl;
        let window = |length: Duration| self.found && now < end + length;
        if now < end {
            Reuse::Fresh(end.saturating_sub(now))
        } else if window(WHILE_REVALIDATE) {
            Reuse::StaleWhileRevalidate(now.saturating_sub(end))
        } else if window(IF_ERROR) {
            Reuse::IfError
        } else {
            Reuse::Expired
        }
    }

    fn expected(&self, now: Duration, cache_status: &str) -> Expected {
        Expected {
            status: if self.found { 200 } else { 404 },
            from: Some(self.from),
            cache_status: format!("ikgate; {cache_status}"),
            age: self.found.then(|| now.saturating_sub(self.as_of).as_secs()),
        }
    }
}

impl File {
    pub(super) fn read(&mut self, now: Duration) -> Read {
        let reuse = self.stored.map(|stored| (stored, stored.reuse(now)));
        match reuse {
            Some((stored, Reuse::Fresh(left))) => {
                let expected = stored.expected(now, &format!("hit; ttl={}", left.as_secs()));
                Read::Now { expected, asks: false }
            }
            Some((stored, Reuse::StaleWhileRevalidate(since))) => {
                let seconds = since.as_millis().div_ceil(1000);
                let sign = if seconds > 0 { "-" } else { "" };
                let expected = stored.expected(now, &format!("hit; ttl={sign}{seconds}"));
                Read::Now { expected, asks: self.ask(now) }
            }
            stale_or_none => {
                let asks = self.ask(now);
                let waiting = Waiter { was_stored: stale_or_none.is_some(), collapsed: !asks };
                self.current.as_mut().unwrap().waiting.push(waiting);
                Read::Waits { asks }
            }
        }
    }

    fn ask(&mut self, now: Duration) -> bool {
        if self.current.is_some() {
            return false;
        }
        let number = self.asked;
        self.asked += 1;
        self.current = Some(InFlight { number, sent: now, softened: None, waiting: Vec::new() });
        true
    }

    pub(super) fn invalidate_hard(&mut self, now: Duration, own: bool) {
        self.stored = None;
        self.outdated.extend(self.current.take());
        self.floor = self.asked;
        if own {
            self.invalidated = Some(now);
        }
    }

    pub(super) fn invalidate_soft(&mut self, now: Duration, own: bool) {
        if let Some(stored) = &mut self.stored {
            stored.ttl = stored.ttl.min(now.saturating_sub(stored.as_of));
        }
        if let Some(in_flight) = &mut self.current {
            in_flight.softened.get_or_insert(now);
        }
        if own {
            self.invalidated = Some(now);
        }
    }

    /// Lets the upstream answer a request. Returns the responses for the reads that waited.
    pub(super) fn land(
        &mut self,
        in_flight: &InFlight,
        current: bool,
        outcome: Outcome,
        now: Duration,
    ) -> Vec<Expected> {
        let stores = matches!(outcome, Outcome::List | Outcome::NotFound);
        if current && stores {
            let found = outcome == Outcome::List;
            let soon = |at: Duration| in_flight.sent < at + SETTLE;
            let ttl = match (found, self.invalidated.is_some_and(soon)) {
                (false, _) => NOT_FOUND_TTL,
                (true, true) => SETTLE,
                (true, false) => TTL,
            };
            let as_of = in_flight.sent;
            let ttl = in_flight.softened.map_or(ttl, |at| ttl.min(at.saturating_sub(as_of)));
            self.stored = Some(Stored { from: in_flight.number, found, as_of, ttl });
        } else if current && outcome == Outcome::NoStore {
            self.stored = None;
        }
        let waiting = in_flight.waiting.iter();
        waiting.map(|waiting| self.answer(*waiting, in_flight, outcome, current, now)).collect()
    }

    fn answer(
        &self,
        waiting: Waiter,
        in_flight: &InFlight,
        outcome: Outcome,
        current: bool,
        now: Duration,
    ) -> Expected {
        let reason = if waiting.was_stored { "stale" } else { "uri-miss" };
        let collapsed = if waiting.collapsed { "; collapsed" } else { "" };
        let stored = |stores: bool| if stores && current { "; stored" } else { "" };
        let answer = |status: u16, from, came_back: &str, age| Expected {
            status,
            from,
            cache_status: format!("ikgate; fwd={reason}{came_back}{collapsed}"),
            age,
        };
        let number = Some(in_flight.number);
        let age = Some(now.saturating_sub(in_flight.sent).as_secs());
        match outcome {
            Outcome::List => answer(200, number, &format!("; fwd-status=200{}", stored(true)), age),
            Outcome::NoStore => answer(200, number, "; fwd-status=200", age),
            Outcome::NotFound => {
                answer(404, number, &format!("; fwd-status=404{}", stored(true)), None)
            }
            Outcome::ServerError | Outcome::Garbage => {
                let upstream_had_no_say = outcome == Outcome::ServerError;
                match self.stored.map(|stored| (stored, stored.reuse(now))) {
                    Some((stored, Reuse::Fresh(left))) => {
                        stored.expected(now, &format!("hit; ttl={}", left.as_secs()))
                    }
                    Some((stored, Reuse::StaleWhileRevalidate(_) | Reuse::IfError))
                        if upstream_had_no_say =>
                    {
                        stored.expected(now, "fwd=stale; detail=stale-if-error")
                    }
                    _ if upstream_had_no_say => answer(502, None, "; fwd-status=500", None),
                    _ => answer(502, None, "", None),
                }
            }
        }
    }
}
