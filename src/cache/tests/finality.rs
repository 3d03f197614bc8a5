//! Tests of finality: the promises of an invalidation and of the end of a fill.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn a_purge_of_everything_leaves_nothing() {
    let cache = cache(100_000_000);
    for number in 0..20_000 {
        store(&cache, number, Kind::List, 10);
    }
    cache.invalidate(&Target::All, PurgeMode::Soft, "test", NOW);
    assert_eq!(cache.usage().0, 20_000);
    cache.invalidate(&Target::All, PurgeMode::Hard, "test", NOW);
    assert_eq!(stored(&cache, 0..20_000), 0);
    // A purge of this many entries is freed by a thread of its own.
    let freed = (0..10_000_000).any(|_| cache.usage() == (0, 0));
    assert!(freed, "{:?}", cache.usage());
    assert!(store(&cache, 1, Kind::List, 10).is_kept());
}

#[test]
fn a_purge_of_everything_is_final_beside_ten_thousand_inserts() {
    let cache = cache(100_000_000);
    let done = AtomicBool::new(false);
    let epoch = std::sync::Mutex::new(());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..10_000 {
                let number = number % 100;
                if let Join::Leader(fill, _) = cache.join(&file(number), NOW) {
                    fill.finish(response(Kind::List, 10, NOW), Origin::Upstream);
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) {
            // Fills that began before the purge must leave nothing behind it; one that began later
            // has the epoch of its own.
            let _one_at_a_time = epoch.lock().unwrap();
            let before: Vec<_> = (1000..1020).map(|number| fill(&cache, number, NOW)).collect();
            cache.invalidate(&Target::All, PurgeMode::Hard, "test", NOW);
            for fill in before {
                let number = *fill.id();
                let finished = fill.finish(response(Kind::List, 10, NOW), Origin::Upstream);
                assert_eq!(finished, Finished::Superseded);
                assert!(matches!(cache.lookup(&number, NOW), Lookup::Absent));
            }
        }
    });
    cache.invalidate(&Target::All, PurgeMode::Hard, "test", NOW);
    assert_eq!(stored(&cache, 0..1020), 0);
}

#[test]
fn a_purge_between_an_answer_and_its_encoding_is_final() {
    for target in [Target::File(file(1)), Target::All] {
        let cache = cache(1_000_000);
        store(&cache, 1, Kind::List, 2000);
        let found = cache.lookup(&file(1), NOW);
        let Lookup::Found { response, .. } = found else { panic!("{found:?}") };
        let better = response.with(Codings::of(&response.body));
        cache.invalidate(&target, PurgeMode::Hard, "test", NOW);
        cache.replace_encoded(&file(1), &response, better);
        assert!(!is_stored(&cache, 1), "{target:?}");
    }
}

#[test]
fn an_encoded_response_takes_only_its_own_place() {
    let cache = cache(1_000_000);
    store(&cache, 1, Kind::List, 2000);
    let found = cache.lookup(&file(1), NOW);
    let Lookup::Found { response: first, .. } = found else { panic!("{found:?}") };
    let later = NOW + SETTINGS.ttl;
    let second = response(Kind::List, 3000, later);
    fill(&cache, 1, later).finish(Arc::clone(&second), Origin::Upstream);
    cache.replace_encoded(&file(1), &first, first.with(Codings::of(&first.body)));
    let found = cache.lookup(&file(1), later);
    let Lookup::Found { response, .. } = found else { panic!("{found:?}") };
    assert!(Arc::ptr_eq(&response, &second));
}

#[test]
fn a_fill_that_has_taken_longer_than_one_may_is_joined_by_no_request() {
    let cache = cache(1 << 20);
    let slept = fill(&cache, 1, NOW);
    let latest = NOW + Duration::from_secs(12);
    assert!(matches!(cache.join(&file(1), latest), Join::Follower(_)));
    let later = latest + Duration::from_millis(1);
    let second = fill(&cache, 1, later);
    let finished = slept.finish(response(Kind::List, 2, NOW), Origin::Upstream);
    assert_eq!(finished, Finished::Superseded);
    let finished = second.finish(response(Kind::List, 2, later), Origin::Upstream);
    assert!(finished.is_kept());
}
