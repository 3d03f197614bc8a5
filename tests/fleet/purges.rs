//! Fleet tests of purges: after one gateway acknowledges a purge, all gateways answer with the new
//! version.

use std::time::SystemTime;

use ikgate::invalidation::SigningSecret;
use ikgate::secret::Secret;

use crate::support::{Fleet, send};

/// Checks that the acknowledging gateway answers with the new version at once, and the others soon.
async fn is_final(fleet: &Fleet, file: &str, version: u64) {
    assert_eq!(fleet.gateways[0].version(file).await, version);
    fleet.answers_with(file, version).await;
}

#[tokio::test]
async fn a_purge_is_final_at_once_where_it_is_acknowledged_and_reaches_all_five() {
    let fleet = Fleet::start(5).await;
    fleet.warm("a").await;
    for path in ["/api/cache/a", "/api/cache"] {
        let version = fleet.origin.raise("a");
        fleet.gateways[0].purges(path).await;
        is_final(&fleet, "a", version).await;
    }
}

#[tokio::test]
async fn a_purge_of_one_file_is_none_of_another_and_a_purge_of_all_is_one_of_each() {
    let fleet = Fleet::start(3).await;
    for file in ["a", "b"] {
        fleet.warm(file).await;
        fleet.origin.raise(file);
    }
    fleet.gateways[0].purges("/api/cache/a").await;
    fleet.answers_with("a", 2).await;
    for gateway in &fleet.gateways {
        assert_eq!(gateway.version("b").await, 1);
    }
    fleet.gateways[0].purges("/api/cache").await;
    fleet.answers_with("b", 2).await;
}

#[tokio::test]
async fn a_soft_purge_ends_the_ttl_on_every_gateway() {
    let fleet = Fleet::start(3).await;
    fleet.warm("a").await;
    let version = fleet.origin.raise("a");
    fleet.gateways[0].purges("/api/cache/a?soft=true").await;
    let stale = fleet.gateways[0].get("a").await;
    assert_eq!(stale.version(), 1);
    assert!(stale.field("cache-status").starts_with("ikgate; hit; ttl=-"), "{stale:#?}");
    fleet.answers_with("a", version).await;
}

#[tokio::test]
async fn a_signed_event_reaches_every_gateway() {
    const SECRET: &str = "whsec_xeO2UNkfKMQnfJf7Q/Qx+fYptL1wabXd";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("webhook.secret");
    std::fs::write(&file, SECRET).unwrap();
    let fleet = Fleet::configured(3, &format!("webhooks.secret_file = '{}'", file.display())).await;
    fleet.warm("a").await;
    let version = fleet.origin.raise("a");
    let event = r#"{"id":"e","type":"file.deleted","data":{"fileId":"a"}}"#;
    let signature =
        SigningSecret::new(Secret::new(SECRET.to_owned())).sign_legacy(now(), event.as_bytes());
    let fields = format!("x-ik-signature: {signature}\r\n");
    let taken = send(fleet.gateways[0].public, "POST", "/webhooks/imagekit", &fields, event).await;
    assert_eq!(taken.unwrap().status, 204);
    is_final(&fleet, "a", version).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "the program that checks the signature reads it, too"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
