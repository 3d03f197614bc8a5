//! Notifications to the service manager (`sd_notify(3)`): ready, reloading, stopping, watchdog.
//!
//! Without a service manager they do nothing.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

pub(super) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Reports that a reload begins. A call of [`ready`] must follow.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "cannot read the clock: reload not announced"),
    }
}

pub(super) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// Sends watchdog messages for as long as the process lives. It runs as a task, so that a stuck
/// runtime sends none.
pub(super) async fn send_watchdog_messages() {
    let Some(timeout) = sd_notify::watchdog_enabled().filter(|timeout| !timeout.is_zero()) else {
        return;
    };
    let mut ticks = tokio::time::interval(interval(timeout));
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

/// Returns the interval of watchdog messages: half the timeout, as `sd_watchdog_enabled(3)`
/// advises.
fn interval(timeout: Duration) -> Duration {
    (timeout / 2).max(Duration::from_millis(1))
}

fn notify(state: &[NotifyState<'_>]) {
    let address = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
    let notified = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => notify_abstract(name, state),
        None => sd_notify::notify(state),
    };
    if let Err(error) = notified {
        tracing::debug!(%error, "a notification to the service manager failed");
    }
}

/// Sends a notification to a socket of the abstract namespace, which the `sd-notify` crate mistakes
/// for a path.
fn notify_abstract(name: &[u8], state: &[NotifyState<'_>]) -> io::Result<()> {
    let address = SocketAddr::from_abstract_name(name)?;
    let lines: Vec<_> = state.iter().map(ToString::to_string).collect();
    UnixDatagram::unbound()?.send_to_addr(lines.join("\n").as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_at_half_its_time() {
        assert_eq!(interval(Duration::from_secs(30)), Duration::from_secs(15));
        assert_eq!(interval(Duration::from_millis(1)), Duration::from_millis(1));
    }
}
