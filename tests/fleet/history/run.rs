//! A fleet in trouble, and what everybody who uses it saw.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::check::{Violation, violations};
use super::trouble::{self, Memory};
use super::users::User;
use super::{History, Told};
use crate::support::{Fleet, eventually};

const GATEWAYS: usize = 4;

/// After so long a gateway that hears nothing answers only what is fresh.
const CUT_OFF_AFTER: Duration = Duration::from_secs(3);
/// For whoever is asked while everything else is busy.
const SLACK: Duration = Duration::from_millis(500);

/// Says which schedule it was, to have it again.
const SEED: &str = "FLEET_SEED";

/// How long what is missed may be answered by the gateway that missed it.
#[derive(Clone, Copy)]
enum Ttl {
    Long,
    /// Less than a gateway takes to notice that it is alone.
    Short,
}

impl Ttl {
    fn text(self) -> &'static str {
        match self {
            Self::Long => "10m",
            Self::Short => "1s",
        }
    }

    /// How long after an acknowledgement anybody may be answered with what was before it.
    fn bound(self) -> Duration {
        match self {
            Self::Long => Duration::MAX,
            Self::Short => CUT_OFF_AFTER + SLACK,
        }
    }
}

/// What happened in so many seconds, judged.
async fn found(ttl: Ttl, memory: Memory, seconds: u64) -> Vec<Violation> {
    let given = std::env::var(SEED).ok().map(|seed| seed.parse().expect("a seed is a number"));
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    say(&format!("{SEED}={seed}"));
    let history = history(ttl, memory, Duration::from_secs(seconds), seed).await;
    let alone = history.purges.iter().filter(|purge| purge.told == Told::Itself).count();
    let (reads, purges) = (history.reads.len(), history.purges.len());
    say(&format!("{reads} reads, {purges} purges, {alone} of them not told at once"));
    violations(&history, ttl.bound())
}

#[expect(clippy::print_stderr, reason = "of a test that fails, to whoever looks into it")]
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

/// Waits until the gateways have found each other again and answer with what is newest, and
/// writes down what they answer in the end: perhaps they never do.
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

/// Nothing ends by itself: what any gateway has missed it would answer to the end.
#[tokio::test]
async fn no_purge_is_lost_while_gateways_and_their_links_fail() {
    assert_eq!(found(Ttl::Long, Memory::Holds, 10).await, []);
}

#[tokio::test]
async fn no_purge_is_lost_where_redis_forgets_it() {
    assert_eq!(found(Ttl::Long, Memory::Fails, 10).await, []);
}

/// A gateway that hears nothing may answer what is fresh, and nothing else that was purged.
#[tokio::test]
async fn after_three_seconds_and_the_ttl_nobody_answers_with_what_was_purged() {
    assert_eq!(found(Ttl::Short, Memory::Holds, 15).await, []);
}
