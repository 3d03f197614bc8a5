//! The cache's own housekeeping. What an invalidation promises is tested with sockets (`model`,
//! `race`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::freshness::tests::SETTINGS;
use super::store::Cache;
use super::*;
use crate::file_id::FileId;

const NOW: Duration = Duration::from_secs(100);

fn cache(max_bytes: u64) -> Arc<Cache<()>> {
    let fill_timeout = Duration::from_secs(12);
    Cache::new(&CacheSettings { max_bytes, fill_timeout, freshness: SETTINGS })
}

fn file(number: u64) -> FileId {
    FileId::parse(&format!("file{number}")).unwrap()
}

fn store(cache: &Arc<Cache<()>>, number: u64, kind: Kind, length: usize) -> bool {
    let body = Bytes::from(vec![b' '; length]);
    match cache.join(&file(number), NOW) {
        Seat::Leader(fill, _) => {
            fill.store(Arc::new(StoredResponse::new(kind, body, NOW)), Origin::Upstream).is_some()
        }
        Seat::Answered { .. } | Seat::Follower(_) => panic!("{number} is there"),
    }
}

fn is_stored(cache: &Cache<()>, number: u64) -> bool {
    matches!(cache.lookup(&file(number), NOW), Lookup::Found { .. })
}

fn is_used(cache: &Cache<()>, number: u64) -> bool {
    match cache.lookup(&file(number), NOW) {
        Lookup::Found { response, .. } => response.note_use(),
        Lookup::Absent => return false,
    }
    true
}

#[test]
fn the_bound_holds_after_each_insert_and_what_is_new_is_there() {
    for max_bytes in [5_000, 100_000, 3_000_000] {
        let cache = cache(max_bytes);
        for number in 0..3000 {
            assert!(store(&cache, number, Kind::List, 1000));
            assert!(is_stored(&cache, number));
            assert!(cache.usage().1 <= max_bytes);
        }
        let (entries, bytes) = cache.usage();
        assert_eq!(cache.evictions(), 3000 - entries);
        let most_of_it = max_bytes - max_bytes / 32 - 2000;
        assert!(bytes >= most_of_it, "{bytes} of {max_bytes} in {entries} entries");
    }
}

#[test]
fn what_is_asked_for_again_outlives_any_number_that_is_asked_for_once() {
    let cache = cache(2_000_000);
    for number in 0..500 {
        store(&cache, number, Kind::List, 1000);
        assert!(is_used(&cache, number));
    }
    for number in 1000..50_000 {
        store(&cache, number, Kind::List, 1000);
    }
    let kept = (0..500).filter(|number| is_stored(&cache, *number)).count();
    assert_eq!(kept, 500);
}

#[test]
fn a_large_list_makes_room_of_what_is_not_used() {
    let cache = cache(1_500_000);
    for number in 0..500 {
        store(&cache, number, Kind::List, 1000);
        assert!(is_used(&cache, number));
    }
    for number in 1000..1500 {
        store(&cache, number, Kind::List, 1000);
    }
    store(&cache, 2000, Kind::List, 300_000);
    assert!(is_stored(&cache, 2000));
    let kept = (0..500).filter(|number| is_stored(&cache, *number)).count();
    assert!(kept >= 490, "{kept} of 500 that are used");
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
    let Seat::Leader(fill, _) = cache.join(&file(1), later) else { panic!("it is stale") };
    let body = Bytes::from(vec![b' '; 500_000]);
    let list = Arc::new(StoredResponse::new(Kind::List, body, later));
    assert!(fill.store(list, Origin::Upstream).is_some());
    assert_eq!((cache.usage(), cache.evictions()), (before, 0));
}

#[test]
fn what_is_used_no_more_makes_room_in_the_end() {
    let cache = cache(1_000_000);
    for number in 0..500 {
        store(&cache, number, Kind::List, 1000);
        for _ in 0..10 {
            assert!(is_used(&cache, number));
        }
    }
    for number in 1000..10_000 {
        store(&cache, number, Kind::List, 1000);
        assert!(is_used(&cache, number));
    }
    let (entries, _) = cache.usage();
    let old = (0..500).filter(|number| is_stored(&cache, *number)).count();
    assert!(old < 50, "{old} of {entries} are of the first");
}

#[test]
fn negative_answers_evict_each_other_and_no_lists() {
    let cache = cache(2_000_000);
    for number in 0..1000 {
        store(&cache, number, Kind::List, 1000);
    }
    for number in 1000..20_000 {
        store(&cache, number, Kind::NotFound, 100);
    }
    assert!((0..1000).all(|number| is_stored(&cache, number)));
    assert!(cache.evictions() > 10_000);
}

#[test]
fn a_response_that_exceeds_the_bound_is_not_stored_and_replaces_what_was() {
    let cache = cache(100_000);
    assert!(!store(&cache, 1, Kind::List, 100_000));
    assert!(store(&cache, 1, Kind::List, 1000));
    let later = NOW + SETTINGS.ttl;
    let Seat::Leader(fill, _) = cache.join(&file(1), later) else { panic!("it is stale") };
    let body = Bytes::from(vec![b' '; 100_000]);
    let list = Arc::new(StoredResponse::new(Kind::List, body, later));
    assert!(fill.store(list, Origin::Upstream).is_none());
    assert_eq!(cache.usage(), (0, 0));
}

#[test]
fn a_sweep_removes_what_has_ended_and_nothing_else() {
    let cache = cache(1_000_000);
    store(&cache, 1, Kind::List, 1000);
    store(&cache, 2, Kind::NotFound, 100);
    let entries_at = |after: Duration| {
        cache.sweep(NOW + after);
        cache.usage().0
    };
    assert_eq!(entries_at(Duration::from_millis(9_999)), 2);
    assert_eq!(entries_at(SETTINGS.not_found_ttl), 1, "the 404 has ended");
    assert_eq!(entries_at(SETTINGS.ttl + Duration::from_millis(3_599_999)), 1, "still of use");
    assert_eq!(entries_at(SETTINGS.ttl + SETTINGS.stale_if_error), 0);
    assert_eq!(cache.usage(), (0, 0));
    assert_eq!(cache.evictions(), 0, "nobody needed the room");
}

#[test]
fn a_purge_of_everything_leaves_nothing_at_once() {
    let cache = cache(100_000_000);
    for number in 0..20_000 {
        store(&cache, number, Kind::List, 10);
    }
    cache.invalidate(&Target::All, Force::Soft, "test", NOW);
    assert_eq!(cache.usage().0, 20_000);
    cache.invalidate(&Target::All, Force::Hard, "test", NOW);
    assert_eq!(cache.usage(), (0, 0));
    assert!(store(&cache, 1, Kind::List, 10));
}

#[test]
fn a_fill_that_has_taken_longer_than_one_may_is_joined_by_nobody() {
    let cache = cache(1 << 20);
    let Seat::Leader(slept, _waiter) = cache.join(&file(1), NOW) else { panic!() };
    let latest = NOW + Duration::from_secs(12);
    assert!(matches!(cache.join(&file(1), latest), Seat::Follower(_)));
    let later = latest + Duration::from_millis(1);
    let Seat::Leader(second, _waiter) = cache.join(&file(1), later) else { panic!() };
    let list = |as_of| Arc::new(StoredResponse::new(Kind::List, Bytes::from_static(b"[]"), as_of));
    assert!(slept.store(list(NOW), Origin::Upstream).is_none(), "its place is another's");
    assert!(second.store(list(later), Origin::Upstream).is_some());
}
