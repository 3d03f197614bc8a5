//! Deterministic simulation of a fleet with faults, in virtual time; a seed gives the same run
//! again.
//!
//! Nodes, network and server are subject to every fault that the protocol must survive. A run that
//! breaks the promise prints its seed: `IKGATE_SEED=7 cargo test --lib simulation` repeats it
//! alone. `IKGATE_SCHEDULES=100000` sets the number of runs. Further tests show that each rule is
//! needed: without it some run breaks the promise.

mod history;
mod network;
mod node;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;

use super::bus::NodeId;
use super::twin::{Twin, Without};
use crate::cache::{PurgeMode, Target};
use crate::clock::Clock;
use crate::invalidation::{InvalidationSource, Purge};
use history::{Event, check};
use network::{Server, Way};
use node::{FILL_TIMEOUT, Node, file_id};

/// Newest version of each file, as the upstream has it.
pub(super) type Truth = Arc<Mutex<Vec<u64>>>;

/// Number of runs, unless `IKGATE_SCHEDULES` sets another.
const SCHEDULES: u64 = 300;

/// Parameters of one run.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// A long run with few events, in which nodes sleep for minutes.
    slow: bool,
    nodes: usize,
    files: usize,
    ttl: Duration,
    /// Duration of the run.
    length: Duration,
    /// Average time between purges, between faults, and between requests at each node.
    purges: Duration,
    faults: Duration,
    reads: Duration,
    latency: Duration,
}

impl Plan {
    fn draw(rng: &mut Rng) -> Self {
        let seconds = Duration::from_secs;
        let slow = rng.u8(..) < 64;
        let millis = |rng: &mut Rng, range| Duration::from_millis(rng.u64(range));
        Self {
            slow,
            nodes: rng.usize(2..=4),
            files: if slow { 8 } else { rng.usize(1..=3) },
            ttl: seconds(if slow { 300 } else { [3, 20, 300][rng.usize(..3)] }),
            length: seconds(if slow { 240 } else { 40 }),
            purges: millis(rng, if slow { 20_000..60_000 } else { 300..6000 }),
            faults: millis(rng, if slow { 20_000..50_000 } else { 1000..8000 }),
            reads: millis(rng, if slow { 700..2000 } else { 100..500 }),
            latency: millis(rng, if slow { 2000..4000 } else { 2..400 }),
        }
    }

    /// Returns the time after its acknowledgement in which a purge may be unknown to a node.
    fn late(&self) -> Duration {
        self.ttl.max(FILL_TIMEOUT).max(super::standing::CUT_OFF_AFTER)
    }
}

/// One run.
struct World {
    plan: Plan,
    nodes: Vec<Arc<Node>>,
    server: Arc<Mutex<Server>>,
    truth: Truth,
    events: Arc<Mutex<Vec<Event>>>,
    clock: Clock,
}

impl World {
    fn new(plan: Plan, without: Without, rng: &mut Rng) -> Self {
        let (clock, events) = (Clock::system(), Arc::<Mutex<Vec<Event>>>::default());
        let truth: Truth = Arc::new(Mutex::new(vec![1; plan.files]));
        let server = Server {
            twin: Twin::new(without),
            floors: std::collections::HashMap::new(),
            truth: Arc::clone(&truth),
            process: 1,
            paused_until: Duration::ZERO,
            changed: Arc::default(),
        };
        let server = Arc::new(Mutex::new(server));
        let node = |node| {
            let (events, clock) = (Arc::clone(&events), clock.clone());
            let heard_by = clock.clone();
            let heard = Box::new(move |purge: &Purge, floors: &[u64]| {
                let concerns = |file| {
                    matches!(purge.target, Target::All)
                        || purge.target == Target::File(file_id(file))
                };
                for (file, floor) in
                    floors.iter().copied().enumerate().filter(|(f, _)| concerns(*f))
                {
                    let at = heard_by.monotonic();
                    events.lock().push(Event::Heard { node, file, floor, at });
                }
            });
            let way = Way::new(NodeId(node as u64), Arc::clone(&server), clock, rng.fork(), heard);
            Node::new(way, plan.ttl, plan.latency, Arc::clone(&truth), rng.fork())
        };
        let nodes = (0..plan.nodes).map(node).collect();
        Self { plan, nodes, server, truth, events, clock }
    }

    fn note(&self, event: Event) {
        self.events.lock().push(event);
    }

    /// Sends requests to one node until the run ends.
    async fn reads(self: Arc<Self>, node: usize, mut rng: Rng) {
        loop {
            tokio::time::sleep(spread(&mut rng, self.plan.reads)).await;
            let world = Arc::clone(&self);
            let file = rng.usize(..self.plan.files);
            tokio::spawn(async move { world.read(node, file).await });
        }
    }

    async fn read(&self, node: usize, file: usize) -> Option<u64> {
        let asked = self.clock.monotonic();
        let at = &self.nodes[node];
        let version = at.way.sleeper.run(at.read(file)).await?;
        self.note(Event::Answered { node, file, version, asked });
        Some(version)
    }

    /// Changes files, and purges each change on one of the nodes.
    async fn purges(self: Arc<Self>, mut rng: Rng) {
        loop {
            tokio::time::sleep(spread(&mut rng, self.plan.purges)).await;
            let world = Arc::clone(&self);
            let (node, file) = (rng.usize(..self.plan.nodes), rng.usize(..self.plan.files));
            let all = rng.u8(..) < if self.plan.slow { 100 } else { 10 };
            tokio::spawn(async move { world.purge(node, file, all).await });
        }
    }

    /// Changes and purges every file, while a node may sleep.
    fn purge_each(self: &Arc<Self>, rng: &mut Rng) {
        let node = rng.usize(..self.plan.nodes);
        for file in 0..self.plan.files {
            let world = Arc::clone(self);
            tokio::spawn(async move { world.purge(node, file, false).await });
        }
    }

    async fn purge(&self, node: usize, file: usize, all: bool) {
        self.truth.lock()[file] += 1;
        let floor = self.truth.lock()[file];
        let target = if all { Target::All } else { Target::File(file_id(file)) };
        let (mode, source) = (PurgeMode::Hard, InvalidationSource::Admin);
        let at = &self.nodes[node];
        let done = at.invalidator.invalidate(Purge { target, mode, source });
        let told = at.way.sleeper.run(done).await.is_ok();
        self.note(Event::Purged { node, file, floor, at: self.clock.monotonic(), told });
    }

    /// Causes faults, one after another.
    async fn faults(self: Arc<Self>, mut rng: Rng) {
        let mut older = self.server.lock().twin.clone();
        loop {
            tokio::time::sleep(spread(&mut rng, self.plan.faults)).await;
            let now = self.clock.monotonic();
            let lasts = spread(&mut rng, Duration::from_millis(2500));
            let node = &self.nodes[rng.usize(..self.plan.nodes)];
            let sleeps = self.plan.slow && rng.bool();
            match if sleeps { 3 } else { rng.u8(..10) } {
                0..=2 => node.way.cut(now + lasts),
                3..=5 => {
                    // Some nodes sleep for longer than a fence is remembered.
                    let minutes = Duration::from_secs(rng.u64(62..90));
                    let lasts = if self.plan.slow { minutes } else { lasts };
                    node.way.sleeper.stop();
                    let sleeper = node.way.sleeper.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(lasts).await;
                        sleeper.go_on();
                    });
                    if self.plan.slow {
                        self.purge_each(&mut rng);
                    }
                }
                6 => self.server.lock().paused_until = now + lasts,
                7 => {
                    let mut server = self.server.lock();
                    server.process += 1;
                    let process = server.process;
                    let left = match rng.u8(..3) {
                        0 => server.twin.emptied(),
                        1 => server.twin.clone(),
                        // The last writes are lost, or were not on the replica yet.
                        _ => older.clone(),
                    };
                    server.twin = left.restarted(process);
                }
                8 => {
                    let mut server = self.server.lock();
                    server.twin = server.twin.emptied();
                }
                _ => self.server.lock().twin.trim(3),
            }
            if rng.bool() {
                older = self.server.lock().twin.clone();
            }
        }
    }

    /// Ends all faults, and waits until every node has recovered.
    async fn heal(&self) {
        for node in &self.nodes {
            node.way.cut(Duration::ZERO);
            node.way.sleeper.go_on();
        }
        self.server.lock().paused_until = Duration::ZERO;
        tokio::time::sleep(Duration::from_secs(8)).await;
    }

    /// Returns each node and file whose version at the end is not the newest.
    async fn lost(&self) -> Vec<(usize, usize, u64)> {
        let mut lost = Vec::new();
        for (place, node) in self.nodes.iter().enumerate() {
            assert!(!node.is_cut_off(), "node {place} is not back");
            for file in 0..self.plan.files {
                let version = self.read(place, file).await.unwrap();
                if version != self.truth.lock()[file] {
                    lost.push((place, file, version));
                }
            }
        }
        lost
    }
}

/// Draws a time with this average.
fn spread(rng: &mut Rng, average: Duration) -> Duration {
    average.mul_f64(-(1.0 - rng.f64()).ln()).min(average * 5)
}

/// Runs one seed. Returns a text on what went wrong, if anything did.
fn run(seed: u64, without: Without) -> Option<String> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    // Seed for the random numbers that the parts draw by themselves.
    fastrand::seed(seed);
    let mut rng = Rng::with_seed(seed);
    runtime.block_on(async {
        let plan = Plan::draw(&mut rng);
        let world = Arc::new(World::new(plan, without, &mut rng));
        let mut tasks = tokio::task::JoinSet::new();
        for (place, node) in world.nodes.iter().enumerate() {
            let node = Arc::clone(node);
            tasks.spawn(async move { node.way.sleeper.run(node.link.keep()).await });
            tasks.spawn(Arc::clone(&world).reads(place, rng.fork()));
        }
        let mut troubles = tokio::task::JoinSet::new();
        troubles.spawn(Arc::clone(&world).purges(rng.fork()));
        troubles.spawn(Arc::clone(&world).faults(rng.fork()));
        tokio::time::sleep(plan.length).await;
        troubles.shutdown().await;
        world.heal().await;
        let lost = world.lost().await;
        let violation = check(&world.events.lock(), plan.late());
        let told = violation.map(|violation| format!("{violation:?}"));
        let told = told.or_else(|| (!lost.is_empty()).then(|| format!("lost: {lost:?}")));
        told.map(|told| format!("{told}, in {plan:?}"))
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn whatever_goes_wrong_the_promise_is_kept() {
    let seeds = match number("IKGATE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("IKGATE_SCHEDULES").unwrap_or(SCHEDULES),
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for first in 0..threads {
            let seeds = seeds.clone().skip(first).step_by(threads);
            scope.spawn(|| {
                for seed in seeds {
                    assert_eq!(run(seed, Without::Nothing), None, "IKGATE_SEED={seed}");
                }
            });
        }
    });
}

/// Number of runs, of which at least one must break the promise without the rule.
const ENOUGH: u64 = 2000;

fn is_broken_without(rule: Without) {
    let broken = (0..ENOUGH).find(|seed| run(*seed, rule).is_some());
    assert!(broken.is_some(), "nothing in {ENOUGH} runs needs it");
}

#[test]
fn a_purge_that_moves_no_fence_breaks_the_promise() {
    is_broken_without(Without::Fence);
}

#[test]
fn a_ticket_that_is_good_for_ever_breaks_the_promise() {
    is_broken_without(Without::LeaseTime);
}

#[test]
fn a_server_that_is_always_taken_for_the_same_breaks_the_promise() {
    is_broken_without(Without::Epoch);
}

#[test]
fn a_node_that_does_not_replay_breaks_the_promise() {
    is_broken_without(Without::Replay);
}
