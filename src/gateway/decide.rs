//! Synchronous half of the pipeline: decides what a request's head alone can decide. The fast path
//! and hyper's HTTP/1.1 and HTTP/2 all call it.
//!
//! Head rules → route → caller → permission for this file → lookup → quota. The quota of a read is
//! spent last, and only here; help documents and webhooks spend theirs in `continuation`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::context::RequestContext;
use super::query::{CacheMiss, VersionQuery};
use super::state::Gateway;
use super::{fills, versions};
use crate::cache::CacheStatus;
use crate::error::GatewayError;
use crate::exchange::Exchange;
use crate::file_id::FileId;
use crate::message::{RequestHead, head};
use crate::response::{Answer, PageAccess};
use crate::route::{self, HelpDocument, Route, Selector};

/// Outcome of a head that is not refused.
pub(super) enum Decision {
    /// The whole response is known.
    Answer(Answer),
    /// The request needs asynchronous work. Boxed, so that a hit, which moves through here, stays
    /// small.
    Continuation(Box<Continuation>),
}

/// Asynchronous work that a request needs.
pub(super) enum Continuation {
    /// Discard a body that has no use. Then read this list or version, or answer a preflight.
    Discard(Option<(FileId, Selector)>),
    Fill(CacheMiss),
    /// Write a document about this gateway.
    Help(HelpDocument),
    /// Read a webhook's body.
    Webhook,
}

impl Gateway {
    /// Starts the exchange of a request whose head is complete.
    pub(super) fn begin(&self, head: &RequestHead<'_>, peer: SocketAddr) -> RequestContext {
        let origin = self.proxies.origin(peer.ip(), &head.fields);
        let now = self.clock.monotonic();
        let mut exchange = Exchange::start(&self.clock, now, origin.client, head.method);
        if origin.by_proxy {
            exchange.trust_proxy(&head.fields);
        }
        let rules = self.rules.load();
        let page = rules.page_access(head);
        if page == PageAccess::Refused {
            self.refused_origins.note(&head.fields, now);
        }
        RequestContext { exchange, rules, page, cache: None, quota: None }
    }

    /// Decides on a request that has just begun.
    pub(super) fn decide(
        self: &Arc<Self>,
        head: &RequestHead<'_>,
        has_body: bool,
        context: &mut RequestContext,
    ) -> Result<Decision, GatewayError> {
        head::check(head, self.operations.body_use(head.method, head.path))?;
        let route = route::find(&self.operations, head.method, head.path, head.query)?;
        context.exchange.route = (&route).into();
        if let Route::Read(file, _) = route {
            context.exchange.file = Some(file);
        }
        let read = match route {
            Route::Help(document) => {
                return Ok(Decision::Continuation(Box::new(Continuation::Help(document))));
            }
            Route::Webhook => return Ok(Decision::Continuation(Box::new(Continuation::Webhook))),
            Route::Preflight => None,
            Route::Read(file, selector) => Some((file, selector)),
        };
        match read {
            read if has_body => Ok(Decision::Continuation(Box::new(Continuation::Discard(read)))),
            None => Ok(Decision::Answer(Answer::Preflight)),
            Some((file, selector)) => {
                // Nothing was awaited since the head arrived, so one reading of the clock is
                // enough.
                let now = context.exchange.started;
                Ok(match self.decide_read(&file, &selector, head, now, context)? {
                    Ok(answer) => Decision::Answer(answer),
                    Err(miss) => Decision::Continuation(Box::new(Continuation::Fill(miss))),
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
    ) -> Result<Result<Answer, CacheMiss>, GatewayError> {
        let rules = &context.rules;
        let client = context.exchange.client;
        let caller = rules.identify(&head.fields, client, &self.clock)?;
        context.exchange.caller = rules.label(&caller);
        rules.callers.may_read(&caller, file)?;
        let visibility = rules.visibility(&caller, file);
        let found = versions::find_servable(self, file, selector, now);
        let priority = rules.priority(&caller);
        let (quota, verdict) = rules.admit(&caller);
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
                Ok(Err(CacheMiss { query, reason }))
            }
        }
    }
}
