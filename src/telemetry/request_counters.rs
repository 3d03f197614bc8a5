//! Counters of answered requests: by route, caller, cache result and status, with their durations
//! and bytes.
//!
//! They are found by number: a cache hit must neither hash labels nor lock a family.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use super::series::{DurationLabels, RequestLabels, Series};
use crate::exchange::{CacheLabel, CallerLabel, Ending, RouteLabel};
use crate::message::Coding;

/// Statuses of responses. 499 stands for a client that left before its response was made.
const STATUSES: [u16; 18] =
    [200, 204, 304, 400, 401, 403, 404, 405, 408, 413, 421, 429, 431, 499, 500, 502, 503, 504];
const CLIENT_GONE: u16 = 499;
const INTERNAL: u16 = 500;

/// Number of combinations of route and cache result.
const ROUTE_CACHE_PAIRS: usize = RouteLabel::ALL.len() * CacheLabel::ALL.len();

/// Counters of answered requests, found by the numbers of their labels.
pub(super) struct RequestCounters {
    /// Series of the counters that `callers` holds.
    requests: Family<RequestLabels, Counter>,
    /// Series of the histograms that `durations` holds.
    request_durations: Family<DurationLabels, Histogram>,
    /// Request counters by caller number. The list only grows, by the names that configurations
    /// bring. So a number in an event always means the same name.
    callers: ArcSwap<Vec<Arc<CallerCells>>>,
    /// Request durations, by route and cache result.
    durations: Vec<OnceLock<Histogram>>,
    /// Bytes of response bodies, by coding.
    response_bytes: [Counter; Coding::ALL.len()],
    /// Held while callers get their numbers.
    labelling: Mutex<()>,
}

/// Request counters of one caller, by route, cache result and status.
struct CallerCells {
    name: Arc<str>,
    requests: Vec<OnceLock<Counter>>,
}

/// One answered request; labels are numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExchangeEvent {
    pub(super) route: u64,
    pub(super) caller: u64,
    pub(super) cache: u64,
    pub(super) status: u64,
    pub(super) coding: u64,
    pub(super) bytes: u64,
    pub(super) took: Duration,
    pub(super) ending: u64,
}

/// Labels of an answered request, as texts.
pub(super) struct LabelTexts {
    pub(super) route: &'static str,
    /// Name of the caller; `None`: no caller has this number.
    pub(super) caller: Option<Arc<str>>,
    pub(super) cache: &'static str,
    pub(super) coding: &'static str,
    pub(super) ending: &'static str,
}

impl ExchangeEvent {
    /// Returns whether the connection took the whole response.
    pub(super) fn is_whole(self) -> bool {
        self.ending == Ending::Answered as u64
    }

    /// Returns the status, also for an exchange that ended without a response.
    pub(super) fn status(self) -> u16 {
        match (u16::try_from(self.status), self.ending == Ending::Panicked as u64) {
            (_, true) => INTERNAL,
            (Ok(0) | Err(_), false) => CLIENT_GONE,
            (Ok(status), false) => status,
        }
    }

    pub(super) fn label_texts(self, counters: &RequestCounters) -> LabelTexts {
        let at = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        LabelTexts {
            route: RouteLabel::ALL.get(at(self.route)).map_or("none", |route| route.as_str()),
            caller: counters.caller_name(at(self.caller)),
            cache: CacheLabel::ALL.get(at(self.cache)).map_or("none", |cache| cache.as_str()),
            coding: Coding::ALL.get(at(self.coding)).map_or("identity", |coding| coding.as_str()),
            ending: Ending::ALL.get(at(self.ending)).map_or("answered", |ending| ending.as_str()),
        }
    }
}

impl RequestCounters {
    /// Returns counters of these series. Labels of callers that are not configured have the first
    /// numbers.
    pub(super) fn new(series: &Series) -> Self {
        let counters = Self {
            requests: series.requests.clone(),
            request_durations: series.request_duration.clone(),
            callers: ArcSwap::default(),
            durations: cells(ROUTE_CACHE_PAIRS),
            response_bytes: Coding::ALL.map(|coding| series.response_bytes.of(coding.as_str())),
            labelling: Mutex::new(()),
        };
        counters.label_callers(CallerLabel::FIXED);
        counters
    }

    /// Returns the labels of these callers, in their order. A known name keeps its label.
    pub(super) fn label_callers(
        &self,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Vec<CallerLabel> {
        let _one_at_a_time = self.labelling.lock();
        let mut callers = Vec::clone(&self.callers.load());
        let mut label = |name: &str| {
            let known = callers.iter().position(|caller| &*caller.name == name);
            let place = known.unwrap_or_else(|| {
                let requests = cells(ROUTE_CACHE_PAIRS * STATUSES.len());
                callers.push(Arc::new(CallerCells { name: name.into(), requests }));
                callers.len() - 1
            });
            CallerLabel(place as u64)
        };
        let labels = names.into_iter().map(|name| label(name.as_ref())).collect();
        self.callers.store(Arc::new(callers));
        labels
    }

    /// Counts one answered request.
    pub(super) fn exchanged(&self, exchanged: ExchangeEvent) {
        let ExchangeEvent { route, caller, cache, coding, bytes, took, .. } = exchanged;
        let place = |number: u64, of: usize| usize::try_from(number).ok().filter(|&n| n < of);
        let callers = self.callers.load();
        let caller = usize::try_from(caller).ok().and_then(|number| callers.get(number));
        let Some(caller) = caller else { return };
        let Some(route) = place(route, RouteLabel::ALL.len()) else { return };
        let Some(cache) = place(cache, CacheLabel::ALL.len()) else { return };
        let status = exchanged.status();
        let Some(status_place) = STATUSES.iter().position(|&known| known == status) else {
            debug_assert!(false, "status {status} is missing from the table");
            return;
        };
        let duration_place = route * CacheLabel::ALL.len() + cache;
        let cell_place = duration_place * STATUSES.len() + status_place;
        if let Some(cell) = caller.requests.get(cell_place) {
            cell.get_or_init(|| self.request_counter(route, &caller.name, status, cache)).inc();
        }
        if let Some(cell) = self.durations.get(duration_place) {
            cell.get_or_init(|| self.duration(route, cache)).observe(took.as_secs_f64());
        }
        let coding = place(coding, Coding::ALL.len());
        if let Some(counter) = coding.and_then(|coding| self.response_bytes.get(coding)) {
            counter.inc_by(bytes);
        }
    }

    fn request_counter(&self, route: usize, caller: &str, status: u16, cache: usize) -> Counter {
        let (route, cache) = names(route, cache);
        let labels = RequestLabels { route, caller: caller.to_owned(), status, cache };
        self.requests.get_or_create(&labels).clone()
    }

    fn duration(&self, route: usize, cache: usize) -> Histogram {
        let (route, cache) = names(route, cache);
        self.request_durations.get_or_create(&DurationLabels { route, cache }).clone()
    }

    pub(super) fn caller_name(&self, number: usize) -> Option<Arc<str>> {
        self.callers.load().get(number).map(|caller| Arc::clone(&caller.name))
    }
}

fn cells<T>(count: usize) -> Vec<OnceLock<T>> {
    std::iter::repeat_with(OnceLock::new).take(count).collect()
}

fn names(route: usize, cache: usize) -> (&'static str, &'static str) {
    let route = RouteLabel::ALL.get(route).copied().unwrap_or(RouteLabel::None);
    let cache = CacheLabel::ALL.get(cache).copied().unwrap_or(CacheLabel::None);
    (route.as_str(), cache.as_str())
}
