//! Context of one request: what the stages have found out about it, until its response is built.

use std::sync::Arc;

use arc_swap::Guard;
use http::Response;

use super::access_rules::AccessRules;
use crate::cache::CacheStatus;
use crate::caller::Caller;
use crate::error::GatewayError;
use crate::exchange::{Delivery, Exchange, ExchangeBody};
use crate::limit::QuotaStatus;
use crate::message::RequestHead;
use crate::response::{self, Answer, PageAccess, ResponseFacts};

/// Facts that the stages have found out about one request.
pub(super) struct RequestContext {
    pub(super) exchange: Box<Exchange>,
    pub(super) rules: Guard<Arc<AccessRules>>,
    /// Access of the page that sent the request, by these rules.
    pub(super) page: PageAccess,
    pub(super) cache: Option<CacheStatus>,
    /// The caller and its quota's status, once the request has been charged to the quota.
    pub(super) quota: Option<(Caller, QuotaStatus)>,
}

impl RequestContext {
    pub(super) fn refuse(
        mut self,
        error: &GatewayError,
        head: &RequestHead<'_>,
    ) -> Response<ExchangeBody> {
        if let GatewayError::Auth(failure) = error {
            self.exchange.auth_reason = Some(failure.as_str());
        }
        self.respond(&Answer::Problem(error.problem()), head)
    }

    pub(super) fn respond(
        mut self,
        answer: &Answer,
        head: &RequestHead<'_>,
    ) -> Response<ExchangeBody> {
        self.exchange.code = match answer {
            Answer::Problem(problem) => Some(problem.code),
            Answer::Accepted | Answer::Document(_) | Answer::Preflight | Answer::Reusable(_) => {
                None
            }
        };
        let facts = self.facts();
        let response = response::shape(answer, head, &facts);
        Delivery::respond(self.exchange, response)
    }

    /// Returns the facts that every response states. Notes the cache's outcome in the exchange.
    pub(super) fn facts(&mut self) -> ResponseFacts<'_> {
        let code = self.exchange.code;
        let cache = self.cache.unwrap_or(CacheStatus::NotConsulted { code });
        self.exchange.cache = cache.into();
        let quota = self.quota.as_ref().map(|(caller, quota_status)| (caller, *quota_status));
        self.rules.facts(&self.exchange, self.page, cache, quota)
    }
}
