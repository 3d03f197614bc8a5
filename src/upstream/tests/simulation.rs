//! Simulation of ten minutes of an account's traffic, on a clock that the test moves by hand.
//!
//! Callers request more than the upstream allows. The upstream refuses every call over its limit.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use http_body_util::Full;
use parking_lot::Mutex;
use tokio::task::LocalSet;

use crate::clock::Clock;
use crate::file_id::FileId;
use crate::limit::Quota;
use crate::secret::{PrivateKey, Secret};
use crate::upstream::body::{BodyCoding, BodyMemory};
use crate::upstream::dispatch::Dispatch;
use crate::upstream::error::UpstreamError;
use crate::upstream::rate_fields::RateFields;
use crate::upstream::response::{ResponseKind, Storable, UpstreamResponse};
use crate::upstream::transport::{CallResult, FetchRequest, Transport};
use crate::upstream::window::Window;
use crate::upstream::{BreakerSettings, Priority, RetrySettings, UpstreamSettings, UpstreamUrl};

const TICK: Duration = Duration::from_millis(10);
const RUN: Duration = Duration::from_mins(10);
/// Time in which the gateway learns the upstream's limit. Figures count only after it.
const LEARNING: Duration = Duration::from_mins(1);
const LATENCY: Duration = Duration::from_millis(50);
/// Calls that the upstream answers in any second. It refuses every call above that.
const ALLOWED: usize = 40;
const FILES: u32 = 10_000;
const TTL: Duration = Duration::from_mins(1);
const STALE: Duration = Duration::from_mins(5);

/// Upstream with an exact rate limit, which it states only when it refuses a call.
struct Strict {
    clock: Clock,
    state: Mutex<Seen>,
    bodies: BodyMemory,
}

#[derive(Default)]
struct Seen {
    last: VecDeque<Duration>,
    answered: Vec<Duration>,
    refused: Vec<Duration>,
}

impl Strict {
    /// Counts one call. Returns the wait until the next one if this one is refused.
    fn spend(&self) -> Option<Duration> {
        let now = self.clock.monotonic();
        let mut seen = self.state.lock();
        while seen.last.front().is_some_and(|at| *at + Duration::from_secs(1) <= now) {
            seen.last.pop_front();
        }
        if seen.last.len() >= ALLOWED {
            seen.refused.push(now);
            return seen.last.front().map(|at| (*at + Duration::from_secs(1)).saturating_sub(now));
        }
        seen.last.push_back(now);
        seen.answered.push(now);
        None
    }
}

impl Transport for Strict {
    async fn exchange(&self, _request: &FetchRequest, _key: &Secret, now: Duration) -> CallResult {
        if let Some(wait) = self.spend() {
            let fields = RateFields {
                limit: Some(ALLOWED as u64),
                interval_millis: Some(1000),
                reset_millis: u64::try_from(wait.as_millis()).ok(),
                retry_after: None,
            };
            let window = Window::new(ALLOWED as u64, 1000);
            let response = Err(UpstreamError::Busy { wait, fields });
            return CallResult { response, window, pause: Some(wait) };
        }
        self.clock.sleep(LATENCY).await;
        let body = Full::from("[]");
        let (bytes, permit) = self.bodies.read(body, BodyCoding::Identity).await.unwrap();
        let (kind, storable) = (ResponseKind::List(bytes), Storable::Yes);
        let response = UpstreamResponse { kind, storable, as_of: now, permit };
        CallResult { response: Ok(response), window: None, pause: None }
    }
}

/// Callers of a simulation, by kind.
#[derive(Clone, Copy)]
struct Population {
    /// Requests per second of each caller, on average.
    per_second: f64,
    /// Callers with a key. They request files by their popularity.
    authenticated: u32,
    /// Callers without a key. Each of their requests is for a new id.
    anonymous: u32,
}

struct World {
    clock: Clock,
    upstream: Dispatch<Strict>,
    stored: RefCell<HashMap<u32, Duration>>,
    filling: RefCell<HashSet<u32>>,
    /// Time that each fill of a caller with a key waited in the queue.
    waits: RefCell<Vec<Duration>>,
}

impl World {
    fn new() -> Rc<Self> {
        let clock = Clock::manual();
        let settings = UpstreamSettings {
            url: UpstreamUrl::parse("http://localhost").unwrap(),
            extra_roots: Vec::new(),
            connect_timeout: Duration::from_secs(2),
            // Real time, not the simulation's: the run may take as long as it needs.
            request_timeout: Duration::from_hours(1),
            max_concurrency: 64,
            max_response_bytes: 1 << 20,
            max_inflight_bytes: 64 << 20,
            budget: Quota::new(40, 100).unwrap(),
            retries: RetrySettings { max: 2, budget_percent: 20 },
            breaker: BreakerSettings { failures: 5, open_for: Duration::from_secs(5) },
        };
        let strict = Strict {
            clock: clock.clone(),
            state: Mutex::default(),
            bodies: BodyMemory::new(64 << 20, 1 << 20),
        };
        let key = Arc::new(PrivateKey::fixed(Secret::new("private_a=".to_owned())));
        let upstream = Dispatch::new(strict, &settings, key, None, clock.clone());
        Rc::new(Self {
            clock,
            upstream,
            stored: RefCell::default(),
            filling: RefCell::default(),
            waits: RefCell::default(),
        })
    }

    /// Makes one request, with the cache's rules for fresh and stale entries.
    fn ask(self: &Rc<Self>, file: u32, priority: Priority) {
        let now = self.clock.monotonic();
        let age = self.stored.borrow().get(&file).map(|stored| now.saturating_sub(*stored));
        let priority = match age {
            Some(age) if age < TTL => return,
            Some(age) if age < TTL + STALE => Priority::Background,
            Some(_) | None => priority,
        };
        let may = priority != Priority::Background || self.upstream.can_refresh_now();
        if may && self.filling.borrow_mut().insert(file) {
            tokio::task::spawn_local(Rc::clone(self).fill(file, priority, now));
        }
    }

    async fn fill(self: Rc<Self>, file: u32, priority: Priority, asked: Duration) {
        let id = FileId::parse(&format!("{file:024x}")).unwrap();
        let response = self
            .upstream
            .versions(&FetchRequest {
                file: id,
                priority,
                trace: None,
                began: tokio::time::Instant::now(),
            })
            .await;
        let now = self.clock.monotonic();
        if response.is_ok() {
            self.stored.borrow_mut().insert(file, now);
            if priority == Priority::Authenticated {
                self.waits.borrow_mut().push(now.saturating_sub(asked + LATENCY));
            }
        }
        self.filling.borrow_mut().remove(&file);
    }
}

/// Results after the learning time.
#[derive(Debug)]
struct Figures {
    refused: usize,
    /// Answered calls divided by the calls that the upstream allows.
    used: f64,
    mean_wait: Duration,
    longest_wait: Duration,
}

async fn run(population: Population) -> Figures {
    let (world, mut rng) = (World::new(), Rng::with_seed(1));
    // Zipf: the n-th file is requested 1/n times as often as the first.
    let mut weights = Vec::new();
    let mut total = 0.0;
    for rank in 1..=FILES {
        total += 1.0 / f64::from(rank);
        weights.push(total);
    }
    let mut strange = FILES;
    let mut in_learning = 0;
    let ticks = RUN.as_millis() / TICK.as_millis();
    for _ in 0..ticks {
        world.clock.advance(TICK);
        for (callers, priority) in [
            (population.authenticated, Priority::Authenticated),
            (population.anonymous, Priority::Anonymous),
        ] {
            let expected = f64::from(callers) * population.per_second * TICK.as_secs_f64();
            let asks = expected.trunc() + if rng.f64() < expected.fract() { 1.0 } else { 0.0 };
            let mut asked = 0.0;
            while asked < asks {
                asked += 1.0;
                let draw = rng.f64() * total;
                let rank = weights.partition_point(|weight| *weight < draw);
                strange += 1;
                let file = u32::try_from(rank).unwrap_or(0);
                let file = if priority == Priority::Anonymous { strange } else { file };
                world.ask(file, priority);
            }
        }
        // All tasks wait for this clock alone, so a few yields let every task run to its next wait.
        for _ in 0..12 {
            tokio::task::yield_now().await;
        }
        if world.clock.monotonic() == LEARNING {
            in_learning = world.waits.borrow().len();
        }
    }
    let seen = world.upstream.transport.state.lock();
    let late = |times: &[Duration]| times.iter().filter(|at| **at > LEARNING).count();
    let allowed = RUN.saturating_sub(LEARNING).as_secs_f64() * 40.0;
    let waits = world.waits.borrow();
    let waits = waits.get(in_learning..).unwrap_or_default();
    let count = u32::try_from(waits.len()).unwrap();
    let answered = u32::try_from(late(&seen.answered)).unwrap();
    Figures {
        refused: late(&seen.refused),
        used: f64::from(answered) / allowed,
        mean_wait: waits.iter().sum::<Duration>() / count.max(1),
        longest_wait: waits.iter().max().copied().unwrap_or_default(),
    }
}

#[tokio::test]
async fn what_the_upstream_allows_is_used_and_never_exceeded() {
    let population = Population { per_second: 5.0, authenticated: 200, anonymous: 0 };
    let figures = LocalSet::new().run_until(run(population)).await;
    assert_eq!(figures.refused, 0, "{figures:?}");
    assert!(figures.used >= 0.95, "{figures:?}");
}

#[tokio::test]
async fn strangers_who_ask_for_random_ids_do_not_make_callers_with_a_key_wait() {
    let alone = Population { per_second: 1.0, authenticated: 100, anonymous: 0 };
    let alone = LocalSet::new().run_until(run(alone)).await;
    let beside = Population { per_second: 1.0, authenticated: 100, anonymous: 100 };
    let beside = LocalSet::new().run_until(run(beside)).await;
    assert_eq!((alone.refused, beside.refused), (0, 0));
    assert!(beside.used >= 0.95, "strangers have the rest: {beside:?}");
    // With everything in use, a call waits for the next cell. A few callers arrive at the same
    // moment as others of their kind, and wait for a few cells.
    let cell = Duration::from_millis(26);
    assert!(beside.mean_wait <= alone.mean_wait + 2 * cell, "{alone:?} {beside:?}");
    assert!(beside.longest_wait <= alone.longest_wait + 10 * cell, "{alone:?} {beside:?}");
}
