//! Clients of the history tests: they read and purge during faults, and record the results.
//!
//! Some files are read all the time. Other files are stored at every gateway, purged once, and then
//! not purged again until no gateway may answer with the old version. So a missed purge is not
//! hidden by another one.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{History, KnownBy, Purge, Read};
use crate::support::{Fleet, send};

/// Number of files that are read all the time.
const BUSY: usize = 4;
const READERS_OF_EACH: usize = 2;
const PURGERS: usize = 2;

/// Pause between two actions of one client, in milliseconds.
const OF_READERS: Range<u64> = 1..60;
const OF_PURGERS: Range<u64> = 50..500;
const OF_QUIET_FILES: Range<u64> = 20..200;

#[derive(Clone)]
pub(super) struct User {
    pub(super) fleet: Arc<Fleet>,
    pub(super) history: Arc<Mutex<History>>,
    pub(super) began: Instant,
    pub(super) until: Instant,
    /// Time after a purge during which its file is not purged again.
    pub(super) bound: Duration,
}

fn name(file: usize) -> String {
    format!("file-{file}")
}

async fn think(rng: &mut Rng, range: Range<u64>) {
    sleep(Duration::from_millis(rng.u64(range))).await;
}

impl User {
    /// Starts all clients. They end with the run.
    pub(super) fn begin(&self, users: &mut JoinSet<()>, seeds: &mut Rng) {
        self.history.lock().unwrap().files = BUSY;
        for gateway in 0..self.fleet.gateways.len() {
            for _ in 0..READERS_OF_EACH {
                users.spawn(self.clone().keep_reading(gateway, seeds.fork()));
            }
        }
        for _ in 0..PURGERS {
            users.spawn(self.clone().keep_purging(seeds.fork()));
        }
        users.spawn(self.clone().keep_making_quiet_files(seeds.fork()));
    }

    /// Returns the version of a file at the upstream.
    pub(super) fn upstream(&self, file: usize) -> u64 {
        self.fleet.origin.version(&name(file))
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Reads a file. `None` if the gateway answered that the client must retry later. A gateway
    /// that was paused while it waited for its share of the budget does that, which breaks no
    /// promise.
    async fn read(&self, gateway: usize, file: usize) -> Option<Read> {
        let at = self.began.elapsed();
        let answer = self.fleet.gateways[gateway].get(&name(file)).await;
        (answer.status != 503).then(|| Read { gateway, file, at, version: answer.version() })
    }

    pub(super) async fn read_at_each(&self, file: usize) -> Vec<Read> {
        let mut reads = JoinSet::new();
        for gateway in 0..self.fleet.gateways.len() {
            let user = self.clone();
            reads.spawn(async move { user.read(gateway, file).await });
        }
        reads.join_all().await.into_iter().flatten().collect()
    }

    fn note(&self, reads: impl IntoIterator<Item = Read>) {
        self.history.lock().unwrap().reads.extend(reads);
    }

    async fn purge(&self, gateway: usize, files: Range<usize>, path: &str) {
        let versions: Vec<_> = files.map(|file| (file, self.upstream(file))).collect();
        let admin = self.fleet.gateways[gateway].admin;
        let purged = send(admin, "DELETE", path, "", "").await.unwrap();
        let known_by = match purged.status {
            200 => KnownBy::Fleet,
            503 => KnownBy::Itself,
            _ => panic!("{purged:#?}"),
        };
        let acknowledged = self.began.elapsed();
        let of = |(file, version)| Purge { gateway, file, version, acknowledged, known_by };
        self.history.lock().unwrap().purges.extend(versions.into_iter().map(of));
    }

    async fn purge_one(&self, file: usize, rng: &mut Rng) {
        self.fleet.origin.raise(&name(file));
        let gateway = rng.usize(0..self.fleet.gateways.len());
        self.purge(gateway, file..file + 1, &format!("/api/cache/{}", name(file))).await;
    }

    async fn keep_reading(self, gateway: usize, mut rng: Rng) {
        while !self.is_over() {
            self.note(self.read(gateway, rng.usize(0..BUSY)).await);
            think(&mut rng, OF_READERS).await;
        }
    }

    async fn keep_purging(self, mut rng: Rng) {
        while !self.is_over() {
            self.purge_one(rng.usize(0..BUSY), &mut rng).await;
            // Rarely, because it hides purges that were missed before.
            if rng.u8(0..32) == 0 {
                let gateway = rng.usize(0..self.fleet.gateways.len());
                self.purge(gateway, 0..BUSY, "/api/cache").await;
            }
            think(&mut rng, OF_PURGERS).await;
        }
    }

    async fn keep_making_quiet_files(self, mut rng: Rng) {
        let mut lives = JoinSet::new();
        while !self.is_over() {
            let file = {
                let mut history = self.history.lock().unwrap();
                history.files += 1;
                history.files - 1
            };
            lives.spawn(self.clone().live(file, rng.fork()));
            think(&mut rng, OF_QUIET_FILES).await;
        }
        lives.join_all().await;
    }

    /// Reads one quiet file at every gateway, purges it once, and reads it again after the time
    /// bound.
    async fn live(self, file: usize, mut rng: Rng) {
        self.note(self.read_at_each(file).await);
        think(&mut rng, OF_QUIET_FILES).await;
        self.purge_one(file, &mut rng).await;
        // Otherwise the reads at the end of the history count.
        if self.began.elapsed().checked_add(self.bound).is_some() {
            sleep(self.bound).await;
            think(&mut rng, OF_QUIET_FILES).await;
            self.note(self.read_at_each(file).await);
        }
    }
}
