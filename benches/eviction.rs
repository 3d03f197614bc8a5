//! Benchmark of cache eviction: hit ratios of moka's two policies under typical loads of a gateway.
//! This table decides which policy the cache uses.
//!
//!   cargo bench --bench eviction
//!
//! Each miss inserts and enforces the limit, as the cache does. The numbers are counts, the same on
//! every machine.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(clippy::cast_precision_loss, reason = "counts of millions at most")]

use std::fmt::Write as _;

use ahash::RandomState;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// Number of entries of 0.9 KB that fit into the cache.
const FIT: u64 = 10_000;
const ENTRY: u64 = 1_300;
const REQUESTS: u64 = 1_000_000;

/// Function that returns the size in bytes of an id's list.
type Size = fn(u64) -> u32;

struct Run {
    cache: Cache<u64, u32, RandomState>,
    size: Size,
    /// Requests and hits of hot ids since the last reading.
    hot: (u64, u64),
    /// Requests and hits of all ids since the last reading.
    all: (u64, u64),
}

impl Run {
    fn new(policy: EvictionPolicy, size: Size) -> Self {
        let cache = Cache::builder()
            .max_capacity(FIT * ENTRY)
            .weigher(|_, bytes: &u32| *bytes)
            .eviction_policy(policy)
            .build_with_hasher(RandomState::with_seeds(1, 2, 3, 4));
        Self { cache, size, hot: (0, 0), all: (0, 0) }
    }

    fn request(&mut self, id: u64, hot: bool) {
        let hit = self.cache.get(&id).is_some() || {
            self.cache.insert(id, (self.size)(id));
            self.cache.run_pending_tasks();
            false
        };
        self.all = (self.all.0 + 1, self.all.1 + u64::from(hit));
        if hot {
            self.hot = (self.hot.0 + 1, self.hot.1 + u64::from(hit));
        }
    }

    fn take(&mut self) -> (f64, f64) {
        let percent = |(of, hits): (u64, u64)| 100.0 * hits as f64 / of.max(1) as f64;
        let ratios = (percent(self.hot), percent(self.all));
        (self.hot, self.all) = ((0, 0), (0, 0));
        ratios
    }
}

/// Zipf distribution: draws an id with a frequency of 1 / rank.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(ids: u64) -> Self {
        let mut sum = 0.0;
        Self(
            (1..=ids)
                .map(|rank| {
                    sum += 1.0 / rank as f64;
                    sum
                })
                .collect(),
        )
    }

    fn draw(&self, random: &mut fastrand::Rng) -> u64 {
        let at = random.f64() * self.0.last().copied().unwrap_or_default();
        self.0.partition_point(|sum| *sum < at) as u64
    }
}

fn same(_: u64) -> u32 {
    1_300
}

/// Returns a size from a mix: nine of ten lists have 0.9 KB, most others 9 KB, one of a hundred 92
/// KB.
fn mixed(id: u64) -> u32 {
    match id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57 {
        0 => 93_000,
        1..12 => 9_500,
        _ => 1_300,
    }
}

/// First id of a range that no other part of a load uses.
const ELSEWHERE: u64 = 1 << 40;

fn zipf(run: &mut Run, random: &mut fastrand::Rng) -> Vec<(&'static str, f64)> {
    let zipf = Zipf::new(10 * FIT);
    for _ in 0..REQUESTS {
        run.request(zipf.draw(random), false);
    }
    run.take();
    for _ in 0..REQUESTS {
        run.request(zipf.draw(random), false);
    }
    vec![("all", run.take().1)]
}

/// Load of a thousand hot ids and a million other ids that are requested once each: first one of
/// them for each hot request, then ten.
fn scan(run: &mut Run, random: &mut fastrand::Rng) -> Vec<(&'static str, f64)> {
    for _ in 0..50_000 {
        run.request(random.u64(..1_000), true);
    }
    run.take();
    let mut rows = Vec::new();
    for (name, beside) in [("hot, scan 1:1", 1), ("hot, scan 10:1", 10)] {
        let mut scanned = 0;
        while scanned < REQUESTS {
            run.request(random.u64(..1_000), true);
            for _ in 0..beside {
                run.request(ELSEWHERE * beside + scanned, false);
                scanned += 1;
            }
        }
        rows.push((name, run.take().0));
    }
    rows
}

/// Load in which a second set of hot ids, as large as the first, replaces it at once. Each set has
/// 80% of the entries that fit.
fn shift(run: &mut Run, random: &mut fastrand::Rng) -> Vec<(&'static str, f64)> {
    let hot = FIT * 8 / 10;
    for _ in 0..REQUESTS {
        run.request(random.u64(..hot), false);
    }
    run.take();
    let mut rows = Vec::new();
    for name in ["1st 50,000 after", "2nd", "3rd", "4th"] {
        for _ in 0..50_000 {
            run.request(ELSEWHERE + random.u64(..hot), false);
        }
        rows.push((name, run.take().1));
    }
    rows
}

/// Load of a popular list in a full cache that is purged ten times. Counts the fetches after each
/// purge: at least one, and more if the policy does not let the list back in.
fn purged(run: &mut Run, random: &mut fastrand::Rng) -> Vec<(&'static str, f64)> {
    const PURGES: u32 = 10;
    let zipf = Zipf::new(10 * FIT);
    let mut rows = Vec::new();
    for (name, size) in [("0.9 KB", 1_300), ("9 KB", 9_500), ("92 KB", 93_000)] {
        let id = (ELSEWHERE..ELSEWHERE + 100_000).find(|id| mixed(*id) == size).unwrap_or_default();
        let mut fetches = 0.0;
        for purge in 0..=PURGES {
            run.cache.invalidate(&id);
            run.take();
            for _ in 0..1_000 {
                // Other misses fill the space that the purge has freed.
                for _ in 0..1_000 {
                    run.request(zipf.draw(random), false);
                }
                run.request(id, true);
            }
            // Before the first purge, the cache is not full yet.
            if purge > 0 {
                fetches += 1_000.0 * (1.0 - run.take().0 / 100.0);
            }
        }
        rows.push((name, fetches / f64::from(PURGES)));
    }
    rows
}

/// Load of a new list that is requested 200 times as often as each list that fills the cache.
/// Counts the fetches during its first 100 requests.
fn newcomer(run: &mut Run, random: &mut fastrand::Rng) -> Vec<(&'static str, f64)> {
    const OFTEN: u64 = 200;
    for _ in 0..REQUESTS {
        run.request(random.u64(..FIT), false);
    }
    let mut rows = Vec::new();
    for (name, size) in [("0.9 KB", 1_300), ("9 KB", 9_500), ("92 KB", 93_000)] {
        let id = (ELSEWHERE..ELSEWHERE + 100_000).find(|id| mixed(*id) == size).unwrap_or_default();
        run.take();
        for _ in 0..100 {
            run.request(id, true);
            for _ in 0..FIT / OFTEN {
                run.request(random.u64(..FIT), false);
            }
        }
        rows.push((name, 100.0 - run.take().0));
    }
    rows
}

/// Load of a new large list that is requested 200 times as often as each list that fills the cache,
/// all of them in use. Counts the fetches during its first 100 requests.
fn large_newcomer(run: &mut Run, random: &mut fastrand::Rng) -> Vec<(&'static str, f64)> {
    let others = FIT;
    for _ in 0..REQUESTS {
        run.request(random.u64(..others), false);
    }
    run.take();
    run.size = |_| 93_000;
    for _ in 0..100 {
        run.request(ELSEWHERE, true);
        run.size = same;
        for _ in 0..others / 200 {
            run.request(random.u64(..others), false);
        }
        run.size = |_| 93_000;
    }
    vec![("92 KB", 100.0 - run.take().0)]
}

type Load = fn(&mut Run, &mut fastrand::Rng) -> Vec<(&'static str, f64)>;

fn main() {
    let loads: [(&str, Load, Size); 8] = [
        ("Zipf over ten times what fits, hits %", zipf, same),
        ("the same, mixed sizes, hits %", zipf, mixed),
        ("a scan beside a thousand hot ids, hits %", scan, same),
        ("the same, mixed sizes, hits %", scan, mixed),
        ("another hot set, hits %", shift, same),
        ("a hot list that is purged, fetches for 1,000 requests", purged, mixed),
        ("a new hot list, fetches of its first 100 requests", newcomer, mixed),
        ("the same where all others are small and in use", large_newcomer, same),
    ];
    let mut table = String::from("| load | of | TinyLFU | LRU |\n| --- | --- | --- | --- |\n");
    for (load, play, size) in loads {
        let play = |policy| {
            let mut random = fastrand::Rng::with_seed(7);
            play(&mut Run::new(policy, size), &mut random)
        };
        let (tiny_lfu, lru) = (play(EvictionPolicy::tiny_lfu()), play(EvictionPolicy::lru()));
        for ((of, tiny_lfu), (_, lru)) in tiny_lfu.into_iter().zip(lru) {
            _ = writeln!(table, "| {load} | {of} | {tiny_lfu:.1} | {lru:.1} |");
        }
    }
    print!("{table}");
}
