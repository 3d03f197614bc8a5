//! Queue of this node's lease requests to the fleet's ledger, sent in batches.
//!
//! It also knows whether the ledger is available and answers in time.

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

/// Most lease requests that may wait in each queue. A lease that finds no place requests again with
/// its next cell.
const CLAIMS_MAX: usize = 10_000;

/// Longest wait for an answer of the ledger. While it takes longer, each node spends its own part.
const SLOW: Duration = Duration::from_millis(50);

/// Key of a shared quota.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum SharedKey {
    /// Budget of all calls to the upstream.
    Budget,
    /// Configured caller, by name.
    Caller(Arc<str>),
    /// Subject of a token.
    Subject(Subject),
}

/// Lease request of a node, taken out of the queue.
#[derive(Debug)]
pub struct Claim {
    pub key: SharedKey,
    pub terms: Terms,
    pub debit: Debit,
    share: Arc<Share>,
}

impl Claim {
    /// Records that the request got no answer: what it reported is still owed.
    pub fn unsettled(&self) {
        self.share.unsettled();
    }
}

struct Queued {
    key: SharedKey,
    terms: Terms,
    share: Arc<Share>,
}

/// Waiting requests. Subjects may be very many, so they have a queue of their own, behind the
/// others.
#[derive(Default)]
struct Queues {
    first: VecDeque<Queued>,
    subjects: VecDeque<Queued>,
}

/// Queue of lease requests, and the state of the ledger.
#[derive(Default)]
pub struct Desk {
    queues: Mutex<Queues>,
    wake: Notify,
    nodes: AtomicU32,
    /// Whether the fleet's ledger is available.
    open: AtomicBool,
    /// Time of the request that the ledger has not answered, in nanoseconds; 0 if there is none.
    asked: AtomicU64,
}

impl Desk {
    /// Returns whether leases may be spent. If not, each node spends its own part of the quota.
    pub fn is_open(&self, now: Duration) -> bool {
        let asked = Duration::from_nanos(self.asked.load(Ordering::Acquire));
        self.open.load(Ordering::Acquire) && (asked.is_zero() || now <= asked + SLOW)
    }

    /// Returns the number of nodes in the fleet; at least one.
    pub fn nodes(&self) -> NonZeroU32 {
        NonZeroU32::new(self.nodes.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN)
    }

    /// Returns the terms of a lease for `quota` now.
    pub fn terms(&self, quota: Quota, credit: Credit) -> Terms {
        Terms { quota, nodes: self.nodes().get(), credit }
    }

    /// Queues a lease request, unless one is queued or in flight.
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

    /// Waits until requests are queued.
    pub async fn has_claims(&self) {
        self.wake.notified().await;
    }

    /// Takes up to `most` requests out of the queues.
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

    /// Applies the answer to a request that was sent at `sent`. Queues another one if more is owed.
    pub fn settle(&self, claim: Claim, grant: Grant, sent: Duration, now: Duration) {
        let Claim { key, terms, share, debit: _ } = claim;
        if share.settle(terms, grant, sent, now) {
            self.claim(|| key, terms, &share);
        }
    }

    /// Records that a request was sent to the ledger.
    pub fn ask(&self, now: Duration) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.asked.store(now.max(1), Ordering::Release);
    }

    /// Records that the ledger has answered, or that the node no longer waits for it.
    pub fn answered(&self) {
        self.asked.store(0, Ordering::Release);
    }

    /// Records whether the fleet's ledger is available, and the number of nodes.
    pub fn note_fleet(&self, open: bool, nodes: NonZeroU32) {
        self.nodes.store(nodes.get(), Ordering::Relaxed);
        self.open.store(open, Ordering::Release);
    }
}
