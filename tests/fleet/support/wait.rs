//! Polling helpers: they wait until a condition holds, and panic after a time limit.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Time limit for any wait, long enough for a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Pause between two probes, which leaves processor time for the programs under test.
const PAUSE: Duration = Duration::from_millis(10);

/// Calls `probe` until it returns a value, and returns that value.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            sleep(PAUSE).await;
        }
    };
    timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// Calls a synchronous `probe` until it returns a value, and returns that value.
pub(crate) async fn appears<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = probe() {
                return found;
            }
            sleep(PAUSE).await;
        }
    };
    timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("never: {what}"))
}
