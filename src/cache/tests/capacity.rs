//! Tests of capacity: which responses stay stored within the limits, and when memory is freed.

use ahash::RandomState;
use arc_swap::ArcSwap;

use super::*;
use crate::cache::capacity::{Capacity, Entry};
use crate::cache::purge_epochs::PurgeEpochs;

#[test]
fn the_limit_holds_after_each_fill_and_kept_means_stored() {
    for max_bytes in [5_000, 100_000, 3_000_000] {
        let cache = cache(max_bytes);
        let mut kept = 0;
        for number in 0..3000 {
            let finished = store(&cache, number, Kind::List, 1000);
            assert_eq!(finished.is_kept(), is_stored(&cache, number), "{finished:?}");
            kept += u64::from(finished.is_kept());
            assert!(cache.usage().1 <= max_bytes);
        }
        let (entries, bytes) = cache.usage();
        assert!(kept >= entries);
        assert_eq!(cache.evictions(), 3000 - entries);
        // An admission may evict two entries of 1.6 KB where one was a byte too light.
        let most_of_it = max_bytes - max_bytes / 32 - 4000;
        assert!(bytes >= most_of_it, "{bytes} of {max_bytes} in {entries} entries");
    }
}

#[test]
fn a_newcomer_that_is_not_admitted_is_answered_and_fetched_again_until_it_is() {
    let cache = cache(100_000);
    let mut number = 0;
    while store(&cache, number, Kind::List, 1000).is_kept() {
        // These are requested more often than a newcomer.
        (0..5).for_each(|_| assert!(is_stored(&cache, number)));
        number += 1;
    }
    let fetches = (1..100).find(|_| {
        assert!(!is_stored(&cache, number));
        let Join::Leader(fill, waiter) = cache.join(&file(number), NOW) else { panic!() };
        let finished = fill.finish(response(Kind::List, 1000, NOW), Origin::Upstream);
        let ttl = finished.freshness().map(Freshness::ttl);
        assert_eq!(ttl, Some(SETTINGS.ttl), "others may keep it");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let end = runtime.block_on(waiter.wait());
        let Some(FillEnd::Answered { finished: seen, .. }) = end else { panic!("{end:?}") };
        assert_eq!(seen, finished, "waiters see what became of it");
        finished.is_kept()
    });
    assert!(fetches.is_some_and(|fetches| fetches > 1), "{fetches:?}");
    assert!(is_stored(&cache, number));
}

#[test]
fn an_entry_that_is_removed_after_its_weight_changed_leaves_nothing_behind() {
    for (first, second) in [(1000, 50_000), (50_000, 1000)] {
        let cache = cache(1_000_000);
        store(&cache, 1, Kind::List, first);
        let later = NOW + SETTINGS.ttl;
        fill(&cache, 1, later).finish(response(Kind::List, second, later), Origin::Upstream);
        cache.invalidate(&Target::File(file(1)), PurgeMode::Hard, "test", later);
        assert_eq!(cache.usage(), (0, 0), "{first} and then {second}");
    }
}

#[test]
fn a_response_that_would_be_too_large_when_encoded_stays_as_it_is() {
    let cache = cache(4_000);
    assert!(store(&cache, 1, Kind::List, 1000).is_kept());
    let found = cache.lookup(&file(1), NOW);
    let Lookup::Found { response, .. } = found else { panic!("{found:?}") };
    let brotli = Some(Bytes::from(vec![0; 4_000]));
    cache.replace_encoded(&file(1), &response, response.with(Codings { brotli, gzip: None }));
    assert!(is_stored(&cache, 1));
}

#[test]
fn lists_in_use_outlive_a_scan_of_a_hundred_times_as_many() {
    let cache = cache(2_000_000);
    for number in 0..500 {
        assert!(store(&cache, number, Kind::List, 1000).is_kept());
    }
    for number in 1000..51_000 {
        store(&cache, number, Kind::List, 1000);
        is_stored(&cache, number % 500);
    }
    let kept = stored(&cache, 0..500);
    assert!(kept >= 490, "{kept} of 500");
}

#[test]
fn a_list_that_is_refreshed_takes_no_room_from_others() {
    let cache = cache(1_000_000);
    store(&cache, 1, Kind::List, 500_000);
    let mut number = 2;
    while cache.evictions() == 0 && cache.usage().1 < 960_000 {
        store(&cache, number, Kind::List, 1000);
        number += 1;
    }
    let before = cache.usage();
    let later = NOW + SETTINGS.ttl;
    let list = response(Kind::List, 500_000, later);
    assert!(fill(&cache, 1, later).finish(list, Origin::Upstream).is_kept());
    assert_eq!((cache.usage(), cache.evictions()), (before, 0));
}

#[test]
fn lists_that_are_used_no_more_make_room_in_the_end() {
    let cache = cache(1_000_000);
    for number in 0..500 {
        store(&cache, number, Kind::List, 1000);
        for _ in 0..10 {
            assert!(is_stored(&cache, number));
        }
    }
    for _ in 0..40 {
        for number in 1000..1500 {
            if !is_stored(&cache, number) {
                store(&cache, number, Kind::List, 1000);
            }
        }
    }
    let kept = stored(&cache, 1000..1500);
    assert!(kept > 450, "{kept} of the 500 that are used now");
}

#[test]
fn any_number_of_ids_that_do_not_exist_leaves_a_thousand_idle_lists() {
    let cache = cache(4_000_000);
    for number in 0..1000 {
        assert!(store(&cache, number, Kind::List, 1000).is_kept());
    }
    for number in 1000..101_000 {
        store(&cache, number, Kind::NotFound, 100);
    }
    assert_eq!(stored(&cache, 0..1000), 1000);
    assert!(cache.usage().1 <= 4_000_000);
}

#[test]
fn a_response_that_exceeds_the_limit_is_not_stored_and_replaces_what_was() {
    let cache = cache(100_000);
    store(&cache, 7, Kind::List, 1000);
    let too_large = store(&cache, 1, Kind::List, 100_000);
    assert!(matches!(too_large, Finished::NotAdmitted { .. }), "{too_large:?}");
    assert!(store(&cache, 2, Kind::List, 1000).is_kept());
    let later = NOW + SETTINGS.ttl;
    let list = response(Kind::List, 100_000, later);
    let finished = fill(&cache, 2, later).finish(list, Origin::Upstream);
    assert!(matches!(finished, Finished::NotAdmitted { .. }), "{finished:?}");
    assert!(is_stored(&cache, 7), "nothing else was evicted for it");
    assert_eq!(cache.usage().0, 1);
}

#[test]
fn a_negative_answer_takes_the_place_of_a_list_and_a_list_of_a_negative_answer() {
    let cache = cache(1_000_000);
    store(&cache, 1, Kind::List, 1000);
    for (seconds, kind) in [(60, Kind::NotFound), (120, Kind::List)] {
        let later = NOW + Duration::from_secs(seconds);
        assert!(
            fill(&cache, 1, later).finish(response(kind, 10, later), Origin::Upstream).is_kept()
        );
        let found = cache.lookup(&file(1), later);
        let Lookup::Found { response, .. } = found else { panic!("{found:?}") };
        assert_eq!(response.kind, kind);
        assert_eq!(cache.usage().0, 1);
    }
}

/// moka's expiry goes by the process's own clock, so this test waits for it.
#[test]
fn expiry_frees_memory_without_a_lookup() {
    let millisecond = Duration::from_millis(1);
    let settings = FreshnessSettings {
        stale_while_revalidate: millisecond,
        stale_if_error: millisecond,
        ..SETTINGS
    };
    let freshness = Arc::new(ArcSwap::from_pointee(settings));
    let capacity = Capacity::new(1_000_000, &RandomState::new(), &freshness, Duration::ZERO);
    let generation = PurgeEpochs::default().generation();
    for (number, kind) in [(1, Kind::List), (2, Kind::NotFound)] {
        let entry = Freshness::of(NOW, millisecond);
        let entry = Entry::new(&response(kind, 1000, NOW), entry, generation);
        capacity.insert(&file(number), entry);
    }
    let freed = (0..10_000_000).any(|_| capacity.usage() == (0, 0));
    assert!(freed, "{:?}", capacity.usage());
    assert_eq!(capacity.evictions(), 0, "nothing needed the room");
}

#[test]
fn what_is_stored_may_be_reused_within_the_windows_in_force() {
    let short = FreshnessSettings {
        ttl: Duration::from_secs(1),
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::ZERO,
        ..SETTINGS
    };
    let cache = with_freshness(1_000_000, short);
    store(&cache, 1, Kind::List, 1000);
    cache.set_freshness(SETTINGS);
    let reuse = |after| match cache.lookup(&file(1), NOW + Duration::from_secs(after)) {
        Lookup::Found { reuse, .. } => reuse,
        Lookup::Absent => panic!("it is gone"),
    };
    assert_eq!(reuse(1), Reuse::StaleWhileRevalidate { stale_for: Duration::ZERO });
    assert_eq!(reuse(3600), Reuse::IfError);
    assert_eq!(cache.usage().0, 1);
}
