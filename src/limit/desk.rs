//! Where the shares of a node meet the ledger of its fleet: claims wait here to be sent, many at a
//! time, and whether the ledger answers at all is known here.

use std::collections::VecDeque;
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
    pub terms: Terms,
    pub debit: Debit,
    share: Arc<Share>,
}

impl Claim {
    pub fn unsettled(&self) {
        self.share.unsettled();
    }
}

struct Queued {
    key: SharedKey,
    terms: Terms,
    share: Arc<Share>,
}

/// Of subjects there may be very many: nobody else waits behind them.
#[derive(Default)]
struct Queues {
    first: VecDeque<Queued>,
    subjects: VecDeque<Queued>,
}

#[derive(Default)]
pub struct Desk {
    queues: Mutex<Queues>,
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
        let key = key();
        let mut queues = self.queues.lock();
        let queue = match &key {
            SharedKey::Budget | SharedKey::Caller(_) => &mut queues.first,
            SharedKey::Subject(_) => &mut queues.subjects,
        };
        if queue.len() >= CLAIMS_MAX {
            share.claimed.store(false, Ordering::Release);
            return;
        }
        queue.push_back(Queued { key, terms, share: Arc::clone(share) });
        drop(queues);
        self.wake.notify_one();
    }

    /// Waits until there are claims.
    pub async fn has_claims(&self) {
        self.wake.notified().await;
    }

    /// Takes claims out, at most so many.
    pub fn collect(&self, most: usize, now: Duration) -> Vec<Claim> {
        let mut queues = self.queues.lock();
        let Queues { first, subjects } = &mut *queues;
        let urgent = first.len().min(most);
        let others = subjects.len().min(most - urgent);
        let taken: Vec<_> = first.drain(..urgent).chain(subjects.drain(..others)).collect();
        if first.len() + subjects.len() > 0 {
            self.wake.notify_one();
        }
        drop(queues);
        let claims = taken.into_iter().map(|Queued { key, terms, share }| {
            let debit = share.debit(terms, now);
            Claim { key, terms, debit, share }
        });
        claims.collect()
    }

    /// Takes the answer to a claim that was sent at `sent`.
    pub fn settle(&self, claim: Claim, grant: Grant, sent: Duration, now: Duration) {
        let Claim { key, terms, share, debit: _ } = claim;
        if share.settle(terms, grant, sent, now) {
            self.claim(|| key, terms, &share);
        }
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
