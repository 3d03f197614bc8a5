//! Synchronous half of the pipeline: decides what a request's head alone can decide. The fast path
//! and hyper's HTTP/1.1 and HTTP/2 all call it.
//!
//! Head rules → route → caller → permission for this file → lookup → quota. The quota is spent
//! last, and only here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::versions::{self, VersionQuery};
use super::{Gateway, RequestContext, fills};
use crate::cache::{CacheStatus, FwdReason};
use crate::error::GatewayError;
use crate::exchange::Exchange;
use crate::file_id::FileId;
use crate::message::{RequestHead, head};
use crate::response::Answer;
use crate::route::{self, Route, Selector};

/// Outcome of a head that is not refused.
pub(super) enum Decision {
    /// The whole response is known.
    Answer(Answer),
    /// The request needs asynchronous work. Boxed, so that a hit, which moves through here, stays
    /// small.
    Rest(Box<Rest>),
}

/// Asynchronous work that a request needs.
pub(super) enum Rest {
    /// Discard a body that has no use. Then read this list or version, or answer a preflight.
    Discard(Option<(FileId, Selector)>),
    Fill(Missed),
    /// Read a webhook's body.
    Webhook,
}

/// Request that needs a fill, and the reason.
pub(super) struct Missed {
    pub(super) query: VersionQuery,
    pub(super) reason: FwdReason,
}

impl Gateway {
    /// Starts the exchange of a request whose head is complete.
    pub(super) fn begin(&self, head: &RequestHead<'_>, peer: SocketAddr) -> RequestContext {
        let sender = self.proxies.sender(peer.ip(), &head.fields);
        let now = self.clock.monotonic();
        let mut exchange = Exchange::start(&self.clock, now, sender.client, head.method);
        if sender.by_proxy {
            exchange.trust_proxy(&head.fields);
        }
        RequestContext { exchange, policy: self.policy.load(), cache: None, quota: None }
    }

    /// Decides on a request that has just begun.
    pub(super) fn decide(
        self: &Arc<Self>,
        head: &RequestHead<'_>,
        has_body: bool,
        context: &mut RequestContext,
    ) -> Result<Decision, GatewayError> {
        head::check(head, self.operations.body_use(head.path))?;
        let route = route::find(&self.operations, head.method, head.path, head.query)?;
        context.exchange.route = (&route).into();
        if let Route::Read(file, _) = route {
            context.exchange.file = Some(file);
        }
        let read = match route {
            Route::Webhook => return Ok(Decision::Rest(Box::new(Rest::Webhook))),
            Route::Preflight => None,
            Route::Read(file, selector) => Some((file, selector)),
        };
        match read {
            read if has_body => Ok(Decision::Rest(Box::new(Rest::Discard(read)))),
            None => Ok(Decision::Answer(Answer::Preflight)),
            Some((file, selector)) => {
                // Nothing was awaited since the head arrived, so one reading of the clock is
                // enough.
                let now = context.exchange.started;
                Ok(match self.decide_read(&file, &selector, head, now, context)? {
                    Ok(answer) => Decision::Answer(answer),
                    Err(missed) => Decision::Rest(Box::new(Rest::Fill(missed))),
                })
            }
        }
    }

    /// Decides on a read from the authentication on, after the route and any body.
    pub(super) fn decide_read(
        self: &Arc<Self>,
        file: &FileId,
        selector: &Selector,
        head: &RequestHead<'_>,
        now: Duration,
        context: &mut RequestContext,
    ) -> Result<Result<Answer, Missed>, GatewayError> {
        let policy = &context.policy;
        let client = context.exchange.client;
        let caller = policy.identify(&head.fields, client, &self.clock)?;
        context.exchange.caller = policy.label(&caller);
        policy.callers.may_read(&caller, file)?;
        let visibility = policy.visibility(&caller, file);
        let found = versions::look_up(self, file, selector, now);
        let priority = policy.priority(&caller);
        let (quota, verdict) = policy.admit(&caller);
        context.quota = Some((caller, quota));
        verdict?;
        match found {
            Ok(reused) => {
                context.cache = Some(reused.status);
                if let CacheStatus::StaleHit { .. } = reused.status {
                    fills::refresh(self, file, now);
                }
                Ok(Ok(versions::answer_from(reused, selector, visibility, now)))
            }
            Err(reason) => {
                let (file, selector, trace) = (*file, *selector, context.exchange.trace());
                let query = VersionQuery { file, selector, visibility, priority, trace };
                Ok(Err(Missed { query, reason }))
            }
        }
    }
}
