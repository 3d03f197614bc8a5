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
mod plan;
mod suspension;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;

use crate::cache::{PurgeMode, Target};
use crate::clock::Clock;
use crate::cluster::protocol::NodeId;
use crate::cluster::tests::in_memory_bus::{DisabledRule, InMemoryBus};
use crate::invalidation::{InvalidationSource, Purge};
use history::{HistoryEvent, check};
use network::{SimulatedConnection, SimulatedServer};
use node::{Node, UpstreamVersions, file_id};
use plan::Plan;

/// Number of runs, unless `IKGATE_SCHEDULES` sets another.
const SCHEDULES: u64 = 300;

/// One run.
struct Simulation {
    plan: Plan,
    nodes: Vec<Arc<Node>>,
    server: Arc<Mutex<SimulatedServer>>,
    versions: UpstreamVersions,
    events: Arc<Mutex<Vec<HistoryEvent>>>,
    clock: Clock,
}

impl Simulation {
    fn new(plan: Plan, disabled: DisabledRule, rng: &mut Rng) -> Self {
        let (clock, events) = (Clock::system(), Arc::<Mutex<Vec<HistoryEvent>>>::default());
        let versions: UpstreamVersions = Arc::new(Mutex::new(vec![1; plan.files]));
        let server = SimulatedServer {
            bus: InMemoryBus::new(disabled),
            floors: std::collections::HashMap::new(),
            versions: Arc::clone(&versions),
            process: 1,
            paused_until: Duration::ZERO,
            changed: Arc::default(),
        };
        let server = Arc::new(Mutex::new(server));
        let node = |node| {
            let (events, clock) = (Arc::clone(&events), clock.clone());
            let node_clock = clock.clone();
            let on_received = Box::new(move |purge: &Purge, floors: &[u64]| {
                let concerns = |file| {
                    matches!(purge.target, Target::All)
                        || purge.target == Target::File(file_id(file))
                };
                for (file, floor) in
                    floors.iter().copied().enumerate().filter(|(f, _)| concerns(*f))
                {
                    let at = node_clock.monotonic();
                    events.lock().push(HistoryEvent::Received { node, file, floor, at });
                }
            });
            let connection = SimulatedConnection::new(
                NodeId(node as u64),
                Arc::clone(&server),
                clock,
                rng.fork(),
                on_received,
            );
            Node::new(connection, plan.ttl, plan.latency, Arc::clone(&versions), rng.fork())
        };
        let nodes = (0..plan.nodes).map(node).collect();
        Self { plan, nodes, server, versions, events, clock }
    }

    fn record(&self, event: HistoryEvent) {
        self.events.lock().push(event);
    }

    /// Sends requests to one node until the run ends.
    async fn reads(self: Arc<Self>, node: usize, mut rng: Rng) {
        loop {
            tokio::time::sleep(spread(&mut rng, self.plan.reads)).await;
            let simulation = Arc::clone(&self);
            let file = rng.usize(..self.plan.files);
            tokio::spawn(async move { simulation.read(node, file).await });
        }
    }

    async fn read(&self, node: usize, file: usize) -> Option<u64> {
        let began = self.clock.monotonic();
        let at = &self.nodes[node];
        let version = at.connection.suspension.run(at.read(file)).await?;
        self.record(HistoryEvent::Answered { node, file, version, began });
        Some(version)
    }

    /// Changes files, and purges each change on one of the nodes.
    async fn purges(self: Arc<Self>, mut rng: Rng) {
        loop {
            tokio::time::sleep(spread(&mut rng, self.plan.purges)).await;
            let simulation = Arc::clone(&self);
            let (node, file) = (rng.usize(..self.plan.nodes), rng.usize(..self.plan.files));
            let all = rng.u8(..) < if self.plan.slow { 100 } else { 10 };
            tokio::spawn(async move { simulation.purge(node, file, all).await });
        }
    }

    /// Changes and purges every file, while a node may be suspended.
    fn purge_each(self: &Arc<Self>, rng: &mut Rng) {
        let node = rng.usize(..self.plan.nodes);
        for file in 0..self.plan.files {
            let simulation = Arc::clone(self);
            tokio::spawn(async move { simulation.purge(node, file, false).await });
        }
    }

    async fn purge(&self, node: usize, file: usize, all: bool) {
        self.versions.lock()[file] += 1;
        let floor = self.versions.lock()[file];
        let target = if all { Target::All } else { Target::File(file_id(file)) };
        let (mode, source) = (PurgeMode::Hard, InvalidationSource::Admin);
        let at = &self.nodes[node];
        let purge = at.invalidator.invalidate(Purge { target, mode, source });
        let published = at.connection.suspension.run(purge).await.is_ok();
        self.record(HistoryEvent::Purged {
            node,
            file,
            floor,
            at: self.clock.monotonic(),
            published,
        });
    }

    /// Causes faults, one after another.
    async fn faults(self: Arc<Self>, mut rng: Rng) {
        let mut older = self.server.lock().bus.clone();
        loop {
            tokio::time::sleep(spread(&mut rng, self.plan.faults)).await;
            let now = self.clock.monotonic();
            let lasts = spread(&mut rng, Duration::from_millis(2500));
            let node = &self.nodes[rng.usize(..self.plan.nodes)];
            let suspends = self.plan.slow && rng.bool();
            match if suspends { 3 } else { rng.u8(..10) } {
                0..=2 => node.connection.cut(now + lasts),
                3..=5 => {
                    // Some nodes are suspended for longer than a fence is remembered.
                    let minutes = Duration::from_secs(rng.u64(62..90));
                    let lasts = if self.plan.slow { minutes } else { lasts };
                    node.connection.suspension.suspend();
                    let suspension = node.connection.suspension.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(lasts).await;
                        suspension.resume();
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
                        0 => server.bus.emptied(),
                        1 => server.bus.clone(),
                        // The last writes are lost, or were not on the replica yet.
                        _ => older.clone(),
                    };
                    server.bus = left.restarted(process);
                }
                8 => {
                    let mut server = self.server.lock();
                    server.bus = server.bus.emptied();
                }
                _ => self.server.lock().bus.trim(3),
            }
            if rng.bool() {
                older = self.server.lock().bus.clone();
            }
        }
    }

    /// Ends all faults, and waits until every node has recovered.
    async fn heal(&self) {
        for node in &self.nodes {
            node.connection.cut(Duration::ZERO);
            node.connection.suspension.resume();
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
                if version != self.versions.lock()[file] {
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

/// Runs one seed. Returns a description of the failure, if there was one.
fn run(seed: u64, disabled: DisabledRule) -> Option<String> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    // Seed for the random numbers that the parts draw by themselves.
    fastrand::seed(seed);
    let mut rng = Rng::with_seed(seed);
    runtime.block_on(async {
        let plan = Plan::draw(&mut rng);
        let simulation = Arc::new(Simulation::new(plan, disabled, &mut rng));
        let mut tasks = tokio::task::JoinSet::new();
        for (place, node) in simulation.nodes.iter().enumerate() {
            let node = Arc::clone(node);
            tasks.spawn(async move { node.connection.suspension.run(node.link.run()).await });
            tasks.spawn(Arc::clone(&simulation).reads(place, rng.fork()));
        }
        let mut disturbances = tokio::task::JoinSet::new();
        disturbances.spawn(Arc::clone(&simulation).purges(rng.fork()));
        disturbances.spawn(Arc::clone(&simulation).faults(rng.fork()));
        tokio::time::sleep(plan.length).await;
        disturbances.shutdown().await;
        simulation.heal().await;
        let lost = simulation.lost().await;
        let violation = check(&simulation.events.lock(), plan.late());
        let failure = violation.map(|violation| format!("{violation:?}"));
        let failure = failure.or_else(|| (!lost.is_empty()).then(|| format!("lost: {lost:?}")));
        failure.map(|failure| format!("{failure}, in {plan:?}"))
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn the_promise_is_kept_under_all_faults() {
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
                    assert_eq!(run(seed, DisabledRule::None), None, "IKGATE_SEED={seed}");
                }
            });
        }
    });
}

/// Number of runs, of which at least one must break the promise without the rule.
const ENOUGH: u64 = 2000;

fn is_broken_without(rule: DisabledRule) {
    let broken = (0..ENOUGH).find(|seed| run(*seed, rule).is_some());
    assert!(broken.is_some(), "nothing in {ENOUGH} runs needs it");
}

#[test]
fn a_purge_that_moves_no_fence_breaks_the_promise() {
    is_broken_without(DisabledRule::Fence);
}

#[test]
fn a_store_at_any_time_after_its_lookup_breaks_the_promise() {
    is_broken_without(DisabledRule::LeaseTime);
}

#[test]
fn a_server_that_keeps_its_epoch_breaks_the_promise() {
    is_broken_without(DisabledRule::Epoch);
}

#[test]
fn a_node_that_does_not_replay_breaks_the_promise() {
    is_broken_without(DisabledRule::Replay);
}
