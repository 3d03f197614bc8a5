//! Whether requests should be sent here.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::Mutex;

use super::text;
use crate::secret::PrivateKey;
use crate::server::Drain;
use crate::server::Reply;

/// How long a look at the key's file may take before it counts as unreadable.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks at the key's file, one probe at a time: a disk that hangs would keep a thread of each.
#[derive(Default)]
pub struct Readiness {
    looking: Arc<Mutex<()>>,
}

impl Readiness {
    /// What keeps the key from being read is logged by whoever watches its file.
    pub(super) async fn answer(&self, key: &Arc<PrivateKey>, drain: &Drain) -> Reply {
        if drain.is_announced() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
        }
        match tokio::time::timeout(PATIENCE, self.can_be_read(Arc::clone(key))).await {
            Ok(true) => text(StatusCode::OK, "ready\n"),
            Ok(false) => text(StatusCode::SERVICE_UNAVAILABLE, "the private key cannot be read\n"),
            Err(_elapsed) => {
                text(StatusCode::SERVICE_UNAVAILABLE, "reading the private key takes too long\n")
            }
        }
    }

    async fn can_be_read(&self, key: Arc<PrivateKey>) -> bool {
        let place = Arc::clone(&self.looking).lock_owned().await;
        let look = tokio::task::spawn_blocking(move || {
            // Held for as long as the disk takes, whether or not somebody still waits.
            let _place = place;
            key.refresh().is_ok()
        });
        look.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_never_answers_keeps_one_thread_and_is_not_ready() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "private_a=").unwrap();
        let key = Arc::new(PrivateKey::from_file(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        // Opening it waits for somebody who writes.
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (readiness, drain) = (Readiness::default(), Drain::default());
        for _ in 0..3 {
            let reply = readiness.answer(&key, &drain).await;
            assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        assert!(readiness.looking.try_lock().is_err());
        assert_eq!(Arc::strong_count(&key), 2, "one look holds it");
        std::fs::write(&path, "private_b=").unwrap();
        drop(readiness.looking.lock().await);
        assert_eq!(key.current().expose(), "private_b=");
    }
}
