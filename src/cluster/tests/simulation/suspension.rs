//! Suspension of a simulated process, as the operating system may suspend a real one.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Suspension of a simulated process. While the process is suspended nothing in it runs, timers
/// included.
#[derive(Clone, Default)]
pub(super) struct Suspension(Arc<Mutex<SuspensionState>>);

#[derive(Default)]
struct SuspensionState {
    is_suspended: bool,
    wakers: Vec<Waker>,
}

impl Suspension {
    pub(super) fn suspend(&self) {
        self.0.lock().is_suspended = true;
    }

    pub(super) fn resume(&self) {
        let mut state = self.0.lock();
        state.is_suspended = false;
        state.wakers.drain(..).for_each(Waker::wake);
    }

    /// Runs `inner` as a part of the process.
    pub(super) async fn run<F: Future>(&self, inner: F) -> F::Output {
        let mut inner = pin!(inner);
        std::future::poll_fn(|context| self.poll(inner.as_mut(), context)).await
    }

    fn poll<F: Future>(&self, inner: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
        {
            let mut state = self.0.lock();
            if state.is_suspended {
                state.wakers.push(context.waker().clone());
                return Poll::Pending;
            }
        }
        inner.poll(context)
    }
}
