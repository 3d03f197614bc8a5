//! Where the shares of a node meet the ledger of its fleet: claims wait here to be sent, many at a
//! time, and whether the ledger answers at all is known here.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::quota::Quota;
use super::share::{Credit, Debit, Grant, Share, Terms};
use crate::caller::Subject;

/// Claims that may wait. Shares that find no place ask again with their next cell.
const CLAIMS_MAX: usize = 10_000;

/// A ledger that takes longer is not waited for: each node spends its own part meanwhile.
const SLOW: Duration = Duration::from_millis(50);

/// Whose quota it is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum SharedKey {
    /// Of all calls to the upstream.
    Budget,
    Caller(Arc<str>),
    Subject(Subject),
}

/// Cells that a node asks the ledger for.
#[derive(Debug)]
pub struct Claim {
    pub key: SharedKey,
    pub quota: Quota,
    pub debit: Debit,
    share: Arc<Share>,
}

impl Claim {
    /// `sent`: when it was.
    pub fn settle(&self, grant: Grant, sent: Duration, now: Duration) {
        self.share.settle(grant, sent, now);
    }

    pub fn unsettled(&self) {
        self.share.unsettled();
    }
}

struct Waiting {
    key: SharedKey,
    terms: Terms,
    share: Arc<Share>,
}

#[derive(Default)]
pub struct Desk {
    waiting: Mutex<Vec<Waiting>>,
    wake: Notify,
    nodes: AtomicU32,
    /// The fleet is there.
    open: AtomicBool,
    /// Since when the ledger has been asked, in nanoseconds; 0: it has answered.
    asked: AtomicU64,
}

impl Desk {
    /// Whether shares may be spent, rather than a part of the quota for each node.
    pub fn is_open(&self, now: Duration) -> bool {
        let asked = Duration::from_nanos(self.asked.load(Ordering::Acquire));
        self.open.load(Ordering::Acquire) && (asked.is_zero() || now <= asked + SLOW)
    }

    pub fn nodes(&self) -> NonZeroU32 {
        NonZeroU32::new(self.nodes.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN)
    }

    pub fn terms(&self, quota: Quota, credit: Credit) -> Terms {
        Terms { quota, nodes: self.nodes().get(), credit }
    }

    /// Asks for cells of a share, unless that is done already.
    pub fn claim(&self, key: impl FnOnce() -> SharedKey, terms: Terms, share: &Arc<Share>) {
        if share.claimed.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.len() >= CLAIMS_MAX {
            share.claimed.store(false, Ordering::Release);
            return;
        }
        waiting.push(Waiting { key: key(), terms, share: Arc::clone(share) });
        drop(waiting);
        self.wake.notify_one();
    }

    /// Waits until there are claims.
    pub async fn has_claims(&self) {
        self.wake.notified().await;
    }

    /// Takes claims out, at most so many.
    pub fn collect(&self, most: usize, now: Duration) -> Vec<Claim> {
        let mut waiting = self.waiting.lock();
        let count = waiting.len().min(most);
        let taken: Vec<_> = waiting.drain(..count).collect();
        if !waiting.is_empty() {
            self.wake.notify_one();
        }
        drop(waiting);
        let claims = taken.into_iter().map(|Waiting { key, terms, share }| {
            let debit = share.debit(terms, now);
            Claim { key, quota: terms.quota, debit, share }
        });
        claims.collect()
    }

    /// The ledger is asked.
    pub fn ask(&self, now: Duration) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.asked.store(now.max(1), Ordering::Release);
    }

    /// The ledger has answered, or nobody waits for it any more.
    pub fn answered(&self) {
        self.asked.store(0, Ordering::Release);
    }

    /// Whether the fleet is there, and how many share in it.
    pub fn note_fleet(&self, open: bool, nodes: NonZeroU32) {
        self.nodes.store(nodes.get(), Ordering::Relaxed);
        self.open.store(open, Ordering::Release);
    }
}
