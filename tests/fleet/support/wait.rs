//! Waiting for something to be so.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Longer than anything should take, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks: what is waited for needs the processors, too.
const PAUSE: Duration = Duration::from_millis(10);

/// What `probe` finds in the end.
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

/// The same of what can be looked at without asking anybody.
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
