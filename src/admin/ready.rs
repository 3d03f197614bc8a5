//! Readiness probe (`/readyz`): not ready while the gateway drains or cannot read the private key.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::Mutex;

use super::replies::text;
use crate::secret::PrivateKey;
use crate::server::Drain;
use crate::server::Reply;

/// Time limit for reading the key file. After it the probe answers "not ready".
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// Readiness check that reads the key file for one probe at a time. A disk that hangs would
/// otherwise block one thread for each probe.
#[derive(Default)]
pub struct Readiness {
    reading: Arc<Mutex<()>>,
}

impl Readiness {
    /// Returns the response of `/readyz`. It does not log why the key cannot be read: the task that
    /// watches the key file does.
    pub(super) async fn answer(&self, key: &Arc<PrivateKey>, drain: &Drain) -> Reply {
        if drain.is_announced() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
        }
        match tokio::time::timeout(READ_TIMEOUT, self.can_be_read(Arc::clone(key))).await {
            Ok(true) => text(StatusCode::OK, "ready\n"),
            Ok(false) => text(StatusCode::SERVICE_UNAVAILABLE, "the private key cannot be read\n"),
            Err(_elapsed) => {
                text(StatusCode::SERVICE_UNAVAILABLE, "reading the private key takes too long\n")
            }
        }
    }

    async fn can_be_read(&self, key: Arc<PrivateKey>) -> bool {
        let guard = Arc::clone(&self.reading).lock_owned().await;
        let read = tokio::task::spawn_blocking(move || {
            // The lock is held until the disk answers, even after the probe has timed out.
            let _guard = guard;
            key.refresh().is_ok()
        });
        read.await.unwrap_or(false)
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
        // Opening a FIFO for reading blocks until a writer opens it.
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (readiness, drain) = (Readiness::default(), Drain::default());
        for _ in 0..3 {
            let reply = readiness.answer(&key, &drain).await;
            assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        assert!(readiness.reading.try_lock().is_err());
        assert_eq!(Arc::strong_count(&key), 2, "one read holds it");
        std::fs::write(&path, "private_b=").unwrap();
        drop(readiness.reading.lock().await);
        assert_eq!(key.current().expose(), "private_b=");
    }
}
