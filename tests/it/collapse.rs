//! Tests of request collapsing: many callers share one fetch, and no caller depends on the
//! connection of another.

use crate::support::{Answer, Connection, FILE, Origin, Reply, TestGateway, versions_of};

async fn read(mut connection: Connection) -> Answer {
    connection.read("GET").await.unwrap()
}

#[tokio::test]
async fn ten_callers_of_one_cold_file_cost_one_upstream_call() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1]"));
    origin.hold(&path);
    let gateway = TestGateway::start(&origin);
    let mut callers = Vec::new();
    for _ in 0..10 {
        callers.push(gateway.ask(FILE).await);
    }
    gateway.has_waiting(FILE, 10).await;
    assert_eq!(gateway.metric("ikgate_fills_in_progress").await, Some(1.0));
    origin.release(&path);
    let mut collapsed = 0;
    for caller in callers {
        let answer = read(caller).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "[1]"));
        let status = answer.field("cache-status");
        collapsed +=
            usize::from(status == "ikgate; fwd=uri-miss; fwd-status=200; stored; collapsed");
    }
    assert_eq!(collapsed, 9);
    assert_eq!(origin.requests_for(&path), 1);
    gateway.finish().await;
}

#[tokio::test]
async fn callers_that_hang_up_do_not_disturb_the_others() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1]"));
    origin.hold(&path);
    let gateway = TestGateway::start(&origin);
    let leader = gateway.ask(FILE).await;
    origin.has_seen(&path, 1).await;
    let follower = gateway.ask(FILE).await;
    let patient = gateway.ask(FILE).await;
    gateway.has_waiting(FILE, 3).await;
    leader.reset();
    follower.reset();
    gateway.has_waiting(FILE, 1).await;
    origin.release(&path);
    assert_eq!(read(patient).await.body, "[1]");
    assert_eq!(origin.requests_for(&path), 1);
    gateway.finish().await;
}

#[tokio::test]
async fn a_fill_that_everybody_left_is_still_stored() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1]"));
    origin.hold(&path);
    let gateway = TestGateway::start(&origin);
    let only = gateway.ask(FILE).await;
    origin.has_seen(&path, 1).await;
    only.reset();
    gateway.has_waiting(FILE, 0).await;
    let next = gateway.ask(FILE).await;
    gateway.has_waiting(FILE, 1).await;
    origin.release(&path);
    assert!(read(next).await.field("cache-status").contains("collapsed"));
    assert_eq!(gateway.get(&path).await.field("cache-status"), "ikgate; hit; ttl=60");
    assert_eq!(origin.requests_for(&path), 1);
    gateway.finish().await;
}

#[tokio::test]
async fn a_failed_fill_fails_all_who_waited_and_the_next_caller_starts_anew() {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(500, "oops"));
    origin.hold(&path);
    let gateway = TestGateway::start(&origin);
    let callers = [gateway.ask(FILE).await, gateway.ask(FILE).await];
    gateway.has_waiting(FILE, 2).await;
    origin.release(&path);
    for caller in callers {
        assert_eq!(read(caller).await.code(), "upstream_bad");
    }
    origin.replies(&path, Reply::json(200, "[]"));
    assert_eq!(gateway.get(&path).await.status, 200);
    assert_eq!(origin.requests_for(&path), 2);
    gateway.finish().await;
}

#[tokio::test]
async fn different_files_do_not_wait_for_each_other() {
    let origin = Origin::start().await;
    let (slow, quick) = (versions_of(FILE), versions_of("quick"));
    origin.replies(&quick, Reply::json(200, "[]"));
    origin.hold(&slow);
    let gateway = TestGateway::start(&origin);
    let waiting = gateway.ask(FILE).await;
    origin.has_seen(&slow, 1).await;
    assert_eq!(gateway.get(&quick).await.status, 200);
    origin.release(&slow);
    assert_eq!(read(waiting).await.status, 404);
    gateway.finish().await;
}
