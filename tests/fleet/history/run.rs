//! History tests: run a fleet under random faults and check everything that its clients saw.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::check::{Violation, violations};
use super::trouble::{self, Memory};
use super::users::User;
use super::{History, KnownBy};
use crate::support::{Fleet, eventually};

const GATEWAYS: usize = 4;

/// Time after which a gateway that hears nothing answers only fresh responses.
const CUT_OFF_AFTER: Duration = Duration::from_secs(3);
/// Additional time for a request on a busy machine.
const SLACK: Duration = Duration::from_millis(500);

/// Environment variable with the seed of a schedule, to repeat it.
const SEED: &str = "FLEET_SEED";

/// TTL of the cache: the time for which a gateway may answer with a version whose purge it missed.
#[derive(Clone, Copy)]
enum Ttl {
    Long,
    /// Shorter than the time that a gateway takes to notice that it is cut off.
    Short,
}

impl Ttl {
    fn text(self) -> &'static str {
        match self {
            Self::Long => "10m",
            Self::Short => "1s",
        }
    }

    /// Returns the time after an acknowledgement during which any gateway may answer with an older
    /// version.
    fn bound(self) -> Duration {
        match self {
            Self::Long => Duration::MAX,
            Self::Short => CUT_OFF_AFTER + SLACK,
        }
    }
}

/// Runs a fleet for `seconds` and returns the violations.
async fn found(ttl: Ttl, memory: Memory, seconds: u64) -> Vec<Violation> {
    let given = std::env::var(SEED).ok().map(|seed| seed.parse().expect("a seed is a number"));
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    say(&format!("{SEED}={seed}"));
    let history = history(ttl, memory, Duration::from_secs(seconds), seed).await;
    let alone = history.purges.iter().filter(|purge| purge.known_by == KnownBy::Itself).count();
    let (reads, purges) = (history.reads.len(), history.purges.len());
    say(&format!("{reads} reads, {purges} purges, {alone} of them not told at once"));
    violations(&history, ttl.bound())
}

#[expect(clippy::print_stderr, reason = "helps to debug a test that fails")]
fn say(text: &str) {
    eprintln!("{text}");
}

async fn history(ttl: Ttl, memory: Memory, lasting: Duration, seed: u64) -> History {
    let fleet = Fleet::configured(GATEWAYS, &format!("cache.ttl = \"{}\"", ttl.text())).await;
    fleet.origin.takes(0..200);
    let (fleet, history) = (Arc::new(fleet), Arc::<Mutex<History>>::default());
    let (began, mut seeds) = (Instant::now(), Rng::with_seed(seed));
    let until = began + lasting;
    let mut all = trouble::begin(&fleet, memory, seeds.u64(..), until);
    let user = User { fleet, history, began, until, bound: ttl.bound() };
    user.begin(&mut all, &mut seeds);
    while let Some(ended) = all.join_next().await {
        ended.unwrap();
    }
    converge(&user).await;
    let history = user.history.lock().unwrap();
    history.clone()
}

/// Waits, for a limited time, until the gateways are connected again and answer with the newest
/// versions. Then records their last responses.
async fn converge(user: &User) {
    for gateway in &user.fleet.gateways {
        gateway.is_connected().await;
        gateway.shows("ikgate_cluster_pending_purges", 0.0).await;
    }
    user.fleet.origin.takes(0..0);
    let files = user.history.lock().unwrap().files;
    let newest: Vec<_> = (0..files).map(|file| user.upstream(file)).collect();
    let deadline = Instant::now() + Duration::from_secs(10);
    let last = eventually("the end of a history", async || {
        let mut reads = JoinSet::new();
        for file in 0..files {
            let user = user.clone();
            reads.spawn(async move { user.read_at_each(file).await });
        }
        let last: Vec<_> = reads.join_all().await.into_iter().flatten().collect();
        let is_whole = last.len() == files * GATEWAYS;
        let is_newest = last.iter().all(|read| read.version == newest[read.file]);
        (is_whole && (is_newest || Instant::now() > deadline)).then_some(last)
    })
    .await;
    let mut history = user.history.lock().unwrap();
    (history.last, history.newest) = (last, newest);
}

/// No response expires here, so a gateway that missed a purge would answer with the old version to
/// the end.
#[tokio::test]
async fn no_purge_is_lost_while_gateways_and_their_links_fail() {
    assert_eq!(found(Ttl::Long, Memory::Holds, 10).await, []);
}

#[tokio::test]
async fn no_purge_is_lost_where_redis_forgets_it() {
    assert_eq!(found(Ttl::Long, Memory::Fails, 10).await, []);
}

/// A gateway that hears nothing may answer fresh responses, but no stale ones that were purged.
#[tokio::test]
async fn after_three_seconds_and_the_ttl_no_gateway_answers_with_what_was_purged() {
    assert_eq!(found(Ttl::Short, Memory::Holds, 15).await, []);
}
