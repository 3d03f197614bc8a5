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

use super::quota_lease::QuotaLease;
use super::terms::{CellCounts, Credit, LeaseGrant, LeaseTerms};
use crate::caller::Subject;
use crate::limit::quota::Quota;

/// Most lease requests that may wait in each queue. A lease that finds the queue full requests
/// again with its next cell.
const QUEUED_MAX: usize = 10_000;

/// Longest wait for an answer of the ledger. While it takes longer, each node spends its own part.
const SLOW_AFTER: Duration = Duration::from_millis(50);

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
pub struct LeaseRequest {
    pub key: SharedKey,
    pub terms: LeaseTerms,
    pub cells: CellCounts,
    lease: Arc<QuotaLease>,
}

impl LeaseRequest {
    /// Records that the request got no answer: what it reported is still owed.
    pub fn failed(&self) {
        self.lease.request_failed();
    }
}

struct QueuedRequest {
    key: SharedKey,
    terms: LeaseTerms,
    lease: Arc<QuotaLease>,
}

/// Waiting requests. Subjects may be very many, so they have a queue of their own, behind the
/// others.
#[derive(Default)]
struct Queues {
    urgent: VecDeque<QueuedRequest>,
    subjects: VecDeque<QueuedRequest>,
}

/// Queue of lease requests, and the state of the ledger.
#[derive(Default)]
pub struct LeaseQueue {
    queues: Mutex<Queues>,
    wake: Notify,
    nodes: AtomicU32,
    /// Whether the fleet's ledger is available.
    is_connected: AtomicBool,
    /// Time of the call that the ledger has not answered, in nanoseconds; 0 if there is none.
    call_sent: AtomicU64,
}

impl LeaseQueue {
    /// Returns whether leases may be spent. If not, each node spends its own part of the quota.
    pub fn is_available(&self, now: Duration) -> bool {
        let sent = Duration::from_nanos(self.call_sent.load(Ordering::Acquire));
        let is_in_time = sent.is_zero() || now <= sent + SLOW_AFTER;
        self.is_connected.load(Ordering::Acquire) && is_in_time
    }

    /// Returns the number of nodes in the fleet; at least one.
    pub fn nodes(&self) -> NonZeroU32 {
        NonZeroU32::new(self.nodes.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN)
    }

    /// Returns the terms of a lease for `quota` now.
    pub fn terms(&self, quota: Quota, credit: Credit) -> LeaseTerms {
        LeaseTerms { quota, nodes: self.nodes().get(), credit }
    }

    /// Queues a lease request, unless one is queued or in flight.
    pub fn request(
        &self,
        key: impl FnOnce() -> SharedKey,
        terms: LeaseTerms,
        lease: &Arc<QuotaLease>,
    ) {
        if lease.is_requested.swap(true, Ordering::AcqRel) {
            return;
        }
        let key = key();
        let mut queues = self.queues.lock();
        let queue = match &key {
            SharedKey::Budget | SharedKey::Caller(_) => &mut queues.urgent,
            SharedKey::Subject(_) => &mut queues.subjects,
        };
        if queue.len() >= QUEUED_MAX {
            lease.is_requested.store(false, Ordering::Release);
            return;
        }
        queue.push_back(QueuedRequest { key, terms, lease: Arc::clone(lease) });
        drop(queues);
        self.wake.notify_one();
    }

    /// Waits until requests are queued.
    pub async fn wait_for_requests(&self) {
        self.wake.notified().await;
    }

    /// Takes up to `most` requests out of the queues.
    pub fn take_batch(&self, most: usize, now: Duration) -> Vec<LeaseRequest> {
        let mut queues = self.queues.lock();
        let Queues { urgent, subjects } = &mut *queues;
        let of_urgent = urgent.len().min(most);
        let of_subjects = subjects.len().min(most - of_urgent);
        let batch: Vec<_> =
            urgent.drain(..of_urgent).chain(subjects.drain(..of_subjects)).collect();
        if urgent.len() + subjects.len() > 0 {
            self.wake.notify_one();
        }
        drop(queues);
        let requests = batch.into_iter().map(|QueuedRequest { key, terms, lease }| {
            let cells = lease.begin_request(terms, now);
            LeaseRequest { key, terms, cells, lease }
        });
        requests.collect()
    }

    /// Applies the answer to a request that was sent at `sent`. Queues another one if more is owed.
    pub fn apply_grant(
        &self,
        request: LeaseRequest,
        grant: LeaseGrant,
        sent: Duration,
        now: Duration,
    ) {
        let LeaseRequest { key, terms, lease, cells: _ } = request;
        if lease.apply_grant(terms, grant, sent, now) {
            self.request(|| key, terms, &lease);
        }
    }

    /// Records that a call was sent to the ledger.
    pub fn call_started(&self, now: Duration) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.call_sent.store(now.max(1), Ordering::Release);
    }

    /// Records that the ledger has answered, or that the node no longer waits for it.
    pub fn call_ended(&self) {
        self.call_sent.store(0, Ordering::Release);
    }

    /// Records whether the fleet's ledger is available, and the number of nodes.
    pub fn set_fleet(&self, is_connected: bool, nodes: NonZeroU32) {
        self.nodes.store(nodes.get(), Ordering::Relaxed);
        self.is_connected.store(is_connected, Ordering::Release);
    }
}
