//! A fleet in trouble, and everybody who uses it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::check::{Violation, violations};
use super::trouble::{self, think};
use super::{History, Purge, Read, Told};
use crate::support::{Fleet, eventually, send};

const FILES: usize = 4;
const READERS_OF_EACH: usize = 2;
const PURGERS: usize = 3;

/// After so long a gateway that hears nothing answers only what is fresh.
const CUT_OFF_AFTER: Duration = Duration::from_secs(3);
/// For whoever is asked while everything else is busy.
const SLACK: Duration = Duration::from_millis(500);

/// Says which schedule it was, to have it again.
const SEED: &str = "FLEET_SEED";

struct Run {
    fleet: Arc<Fleet>,
    history: Mutex<History>,
    began: Instant,
    until: Instant,
}

fn name(file: usize) -> String {
    format!("file-{file}")
}

impl Run {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    async fn read(&self, gateway: usize, file: usize) -> Read {
        let at = self.now();
        let version = self.fleet.gateways[gateway].version(&name(file)).await;
        Read { gateway, file, at, version }
    }

    async fn keep_reading(self: Arc<Self>, gateway: usize, mut rng: Rng) {
        while !self.is_over() {
            let read = self.read(gateway, rng.usize(0..FILES)).await;
            self.history.lock().unwrap().reads.push(read);
            think(&mut rng, 1..40).await;
        }
    }

    async fn keep_purging(self: Arc<Self>, mut rng: Rng) {
        while !self.is_over() {
            let file = rng.usize(0..FILES);
            self.fleet.origin.raise(&name(file));
            let gateway = rng.usize(0..self.fleet.gateways.len());
            if rng.u8(0..8) == 0 {
                self.purge(gateway, 0..FILES, "/api/cache").await;
            } else {
                self.purge(gateway, file..file + 1, &format!("/api/cache/{}", name(file))).await;
            }
            think(&mut rng, 1..300).await;
        }
    }

    async fn purge(&self, gateway: usize, files: std::ops::Range<usize>, path: &str) {
        let origin = &self.fleet.origin;
        let versions: Vec<_> = files.map(|file| (file, origin.version(&name(file)))).collect();
        let admin = self.fleet.gateways[gateway].admin;
        let purged = send(admin, "DELETE", path, "", "").await.unwrap();
        let told = match purged.status {
            200 => Told::Fleet,
            503 => Told::Itself,
            _ => panic!("{purged:#?}"),
        };
        let acknowledged = self.now();
        let of = |(file, version)| Purge { gateway, file, version, acknowledged, told };
        self.history.lock().unwrap().purges.extend(versions.into_iter().map(of));
    }

    /// Waits until the gateways find each other again and answer with what is newest, and writes
    /// down what they answer in the end: perhaps they never do.
    async fn converge(&self) {
        for gateway in &self.fleet.gateways {
            gateway.is_connected().await;
            gateway.shows("ikgate_cluster_pending_purges", 0.0).await;
        }
        let newest: Vec<_> =
            (0..FILES).map(|file| self.fleet.origin.version(&name(file))).collect();
        let deadline = Instant::now() + Duration::from_secs(10);
        let last = eventually("the end of a history", async || {
            let mut last = Vec::new();
            for gateway in 0..self.fleet.gateways.len() {
                for file in 0..FILES {
                    last.push(self.read(gateway, file).await);
                }
            }
            let is_newest = last.iter().all(|read| read.version == newest[read.file]);
            (is_newest || Instant::now() > deadline).then_some(last)
        })
        .await;
        let mut history = self.history.lock().unwrap();
        (history.last, history.newest) = (last, newest);
    }
}

/// What `gateways` did for so long, with this ttl.
async fn history(gateways: usize, ttl: &str, seed: u64, lasting: Duration) -> History {
    let fleet = Fleet::configured(gateways, &format!("cache.ttl = \"{ttl}\"")).await;
    fleet.origin.takes(0..200);
    let (fleet, began) = (Arc::new(fleet), Instant::now());
    let (history, until) = (Mutex::default(), began + lasting);
    let run = Arc::new(Run { fleet: Arc::clone(&fleet), history, began, until });
    let (mut users, mut seeds) = (JoinSet::new(), Rng::with_seed(seed));
    let mut troubles = trouble::begin(&fleet, seeds.u64(..), until);
    for gateway in 0..gateways {
        for _ in 0..READERS_OF_EACH {
            users.spawn(Arc::clone(&run).keep_reading(gateway, seeds.fork()));
        }
    }
    for _ in 0..PURGERS {
        users.spawn(Arc::clone(&run).keep_purging(seeds.fork()));
    }
    for all in [&mut troubles, &mut users] {
        while let Some(ended) = all.join_next().await {
            ended.unwrap();
        }
    }
    run.converge().await;
    let history = run.history.lock().unwrap();
    history.clone()
}

/// Of a history with a seed of its own, or the one that is to be had again.
async fn found(gateways: usize, ttl: &str, lasting: Duration, bound: Duration) -> Vec<Violation> {
    let seed = std::env::var(SEED)
        .ok()
        .map_or_else(|| fastrand::u64(..), |seed| seed.parse().expect("a seed is a number"));
    say(&format!("{SEED}={seed}"));
    let history = history(gateways, ttl, seed, lasting).await;
    let partial = history.purges.iter().filter(|purge| purge.told == Told::Itself).count();
    let (reads, purges) = (history.reads.len(), history.purges.len());
    say(&format!("{reads} reads, {purges} purges, {partial} of them not told at once"));
    violations(&history, bound)
}

#[expect(clippy::print_stderr, reason = "of a test that fails, to whoever looks into it")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Nothing ends by itself: what any gateway has missed stays missed.
#[tokio::test]
async fn no_purge_is_lost_whatever_breaks() {
    let lasting = Duration::from_secs(12);
    assert_eq!(found(4, "10m", lasting, Duration::MAX).await, []);
}

/// A gateway that hears nothing answers what is fresh, and nothing that was purged for long.
#[tokio::test]
async fn what_is_purged_is_answered_by_nobody_after_three_seconds_and_the_ttl() {
    let (lasting, bound) = (Duration::from_secs(15), CUT_OFF_AFTER + SLACK);
    assert_eq!(found(4, "1s", lasting, bound).await, []);
}
