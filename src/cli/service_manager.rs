//! What the service manager is told, as `sd_notify(3)` says. Without one, nobody listens.

use std::time::Duration;

use sd_notify::NotifyState;

pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Followed by [`ready`].
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "no monotonic clock"),
    }
}

pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// Says that the process is alive for as long as it is: from a task, so that a runtime that is
/// stuck says nothing.
pub(super) async fn keep_watchdog_quiet() {
    let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero())
    else {
        return;
    };
    let mut ticks = tokio::time::interval(interval(patience));
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

/// Half of what it waits for, as `sd_watchdog_enabled(3)` advises.
fn interval(patience: Duration) -> Duration {
    (patience / 2).max(Duration::from_millis(1))
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
