//! Access rules: which callers may request what, and how often. This is the part of the pipeline
//! that a reload replaces as a whole.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::query::Visibility;
use crate::cache::CacheStatus;
use crate::caller::{
    AnonymousPolicy, AuthFailure, Caller, CallerId, CallerSettings, Callers, Identified,
    TokenSettings,
};
use crate::clock::Clock;
use crate::error::GatewayError;
use crate::exchange::{CallerLabel, Exchange};
use crate::file_id::FileId;
use crate::limit::{Enforcement, LeaseQueue, Limit, LimitSettings, Limits, QuotaStatus, Throttled};
use crate::message::{RequestFields, RequestHead};
use crate::response::{Cors, PageAccess, RateLimitFields, ResponseFacts};
use crate::upstream::Priority;

/// Settings that [`AccessRules`] are built from.
#[derive(Clone, Debug)]
pub struct AccessSettings {
    pub anonymous: AnonymousPolicy,
    pub callers: Vec<CallerSettings>,
    /// `None`: tokens are not accepted.
    pub tokens: Option<TokenSettings>,
    pub limits: LimitSettings,
    /// Time for which browsers may reuse a list without revalidation.
    pub browser_max_age: Duration,
    /// Whether callers without a key may see the lists of private files.
    pub expose_private: bool,
    /// `None`: no page of another origin may read a response.
    pub cors: Option<Cors>,
    /// Whether callers connect by TLS. The help documents show the URL with this scheme.
    pub tls: bool,
}

/// Access rules: what decides whether a request is served, and what its response may say.
pub struct AccessRules {
    settings: AccessSettings,
    /// Number of gateways that share each quota.
    nodes: NonZeroU32,
    pub(super) callers: Callers,
    labels: Vec<CallerLabel>,
    pub limits: Limits,
    rate_limit_fields: CallerFields,
    pub browser_max_age: Duration,
    expose_private: bool,
    cors: Option<Cors>,
    pub(super) tls: bool,
}

/// Credentials that callers may have here. The help documents name only these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct AcceptedCredentials<'a> {
    /// Whether a caller needs none.
    pub(super) none: bool,
    pub(super) keys: bool,
    /// Claims that a token must have. `None`: tokens are not accepted.
    pub(super) tokens: Option<RequiredClaims<'a>>,
}

/// Configured values of the claims that every token must have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RequiredClaims<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
}

/// `RateLimit` fields of all callers.
struct CallerFields {
    anonymous: Option<RateLimitFields>,
    /// Fields for anonymous callers, if the wider IPv6 prefix is the tightest limit.
    wide: Option<RateLimitFields>,
    /// Fields of the configured callers, in the order of the configuration.
    known: Vec<RateLimitFields>,
    tokens: Option<RateLimitFields>,
}

impl AccessRules {
    /// Builds the rules. `labels` are those of the configured callers, in their order. `lease_queue` is
    /// set if a fleet shares the quotas.
    pub fn new(
        settings: AccessSettings,
        labels: Vec<CallerLabel>,
        lease_queue: Option<Arc<LeaseQueue>>,
        clock: &Clock,
    ) -> Self {
        let limits = Limits::new(&settings.limits, lease_queue, clock);
        let callers = Callers::new(&settings.callers, settings.anonymous, settings.tokens.clone());
        Self::of(settings, labels, callers, limits, NonZeroU32::MIN)
    }

    /// Returns new rules for the same callers. Spent quota stays spent. Verified tokens stay
    /// verified while the settings that judge them are the same.
    #[must_use]
    pub fn renewed(&self, settings: AccessSettings, labels: Vec<CallerLabel>) -> Self {
        self.of_fleet(settings, labels, self.nodes)
    }

    /// Returns the same rules, with quotas that `nodes` gateways share.
    #[must_use]
    pub fn shared_by(&self, nodes: NonZeroU32) -> Self {
        self.of_fleet(self.settings.clone(), self.labels.clone(), nodes)
    }

    fn of_fleet(
        &self,
        settings: AccessSettings,
        labels: Vec<CallerLabel>,
        nodes: NonZeroU32,
    ) -> Self {
        let limits = self.limits.renewed(&settings.limits, nodes);
        let tokens = settings.tokens.clone();
        let callers = self.callers.renewed(&settings.callers, settings.anonymous, tokens);
        Self::of(settings, labels, callers, limits, nodes)
    }

    fn of(
        settings: AccessSettings,
        labels: Vec<CallerLabel>,
        callers: Callers,
        limits: Limits,
        nodes: NonZeroU32,
    ) -> Self {
        let AccessSettings { limits: quotas, browser_max_age, expose_private, cors, tls, .. } =
            settings.clone();
        let known = quotas.callers.iter();
        let known = known.map(|caller| RateLimitFields::new(&caller.name, caller.quota));
        // Each gateway of a fleet counts addresses by itself, against its own part of the quota.
        let part = quotas.part_of(nodes);
        let rate_limit_fields = CallerFields {
            anonymous: part.anonymous.map(|quota| RateLimitFields::new("anonymous", quota)),
            wide: part.wide().map(|quota| RateLimitFields::new("anonymous", quota)),
            known: known.collect(),
            tokens: quotas.tokens.map(|quota| RateLimitFields::new("jwt", quota)),
        };
        Self {
            settings,
            nodes,
            callers,
            labels,
            limits,
            rate_limit_fields,
            browser_max_age,
            expose_private,
            cors,
            tls,
        }
    }

    /// Returns the credentials that callers may have.
    pub(super) fn accepted_credentials(&self) -> AcceptedCredentials<'_> {
        AcceptedCredentials {
            none: self.settings.anonymous == AnonymousPolicy::Serve,
            keys: !self.settings.callers.is_empty(),
            tokens: self.settings.tokens.as_ref().map(|tokens| RequiredClaims {
                issuer: &tokens.issuer,
                audience: &tokens.audience,
            }),
        }
    }

    /// Returns the caller's label for metrics and log.
    pub(super) fn label(&self, caller: &Caller) -> CallerLabel {
        match caller {
            Caller::Anonymous(_) => CallerLabel::ANONYMOUS,
            Caller::Known(CallerId(place)) => {
                self.labels.get(*place).copied().unwrap_or(CallerLabel::NONE)
            }
            Caller::Token(_) => CallerLabel::JWT,
        }
    }

    /// Authenticates the caller. A token that was not seen before is verified only while its
    /// address has quota left for failed credentials.
    pub(super) fn identify(
        &self,
        fields: &RequestFields<'_>,
        client: IpAddr,
        clock: &Clock,
    ) -> Result<Caller, GatewayError> {
        let caller = match self.callers.identify(fields, client, || clock.unix_time()) {
            Ok(Identified::Caller(caller)) => Ok(caller),
            Ok(Identified::UnverifiedToken(token)) => {
                self.limits.may_fail_auth(client).map_err(auth_throttled)?;
                self.callers.verify(&token, clock.unix_time())
            }
            Err(failure) => Err(failure),
        };
        caller.map_err(|failure| self.auth_failed(failure, client))
    }

    /// Returns the error for a credential that failed. If its address has failed too often, the
    /// error says only that it is throttled.
    fn auth_failed(&self, failure: AuthFailure, client: IpAddr) -> GatewayError {
        tracing::info!(target: "ikgate.auth_failure", reason = failure as u64);
        // A missing credential, or one that cannot be checked yet, is not a wrong one.
        if matches!(failure, AuthFailure::Missing | AuthFailure::NoKeys) {
            return failure.into();
        }
        match self.limits.admit_auth_failure(client) {
            Ok(()) => failure.into(),
            Err(throttled) => auth_throttled(throttled),
        }
    }

    /// Charges one request to the caller's quota. Returns the quota's status, and the refusal if
    /// there is one.
    pub(super) fn admit(&self, caller: &Caller) -> (QuotaStatus, Result<(), Throttled>) {
        let throttled = match self.limits.admit(caller) {
            Ok(quota_status) => return (quota_status, Ok(())),
            Err(throttled) => throttled,
        };
        count_throttled(throttled.limit, self.label(caller));
        let quota_status = QuotaStatus { limit: throttled.limit, quota: throttled.quota, left: 0 };
        match self.limits.enforcement {
            Enforcement::DryRun => (quota_status, Ok(())),
            Enforcement::Refuse => (quota_status, Err(throttled)),
        }
    }

    /// Returns which lists of private files the caller may see.
    pub(super) fn visibility(&self, caller: &Caller, file: &FileId) -> Visibility {
        let all = match caller {
            Caller::Anonymous(_) => self.expose_private,
            Caller::Known(_) => true,
            Caller::Token(token) => self.expose_private || token.names(file),
        };
        if all { Visibility::All } else { Visibility::Public }
    }

    /// Returns the priority of a fill for the caller.
    pub(super) fn priority(&self, caller: &Caller) -> Priority {
        match caller {
            // If no caller has a credential, anonymous callers are not less urgent.
            Caller::Anonymous(_) if self.callers.has_credentials() => Priority::Anonymous,
            Caller::Anonymous(_) | Caller::Known(_) | Caller::Token(_) => Priority::Authenticated,
        }
    }

    /// Judges whether the page that sent a request may read the response.
    pub(super) fn page_access(&self, head: &RequestHead<'_>) -> PageAccess {
        PageAccess::judge(self.cors.as_ref(), head)
    }

    /// Returns the facts that every response states. `quota_status` is the caller's quota status, if
    /// the request was charged to a quota.
    pub(super) fn facts<'a>(
        &'a self,
        exchange: &'a Exchange,
        page: PageAccess,
        cache: CacheStatus,
        quota_status: Option<(&Caller, QuotaStatus)>,
    ) -> ResponseFacts<'a> {
        let quota_status = quota_status.and_then(|(caller, quota_status)| {
            Some((self.rate_limit_fields(caller, quota_status.limit)?, quota_status))
        });
        let cors = self.cors.as_ref().filter(|_| page == PageAccess::Allowed);
        let browser_max_age = self.browser_max_age;
        let (request_id, now) = (exchange.request_id(), exchange.unix_time());
        ResponseFacts { request_id, cache, quota_status, browser_max_age, cors, now }
    }

    fn rate_limit_fields(&self, caller: &Caller, limit: Limit) -> Option<&RateLimitFields> {
        let fields = &self.rate_limit_fields;
        match (caller, limit) {
            (Caller::Anonymous(_), Limit::Prefix) => fields.wide.as_ref(),
            (Caller::Anonymous(_), _) => fields.anonymous.as_ref(),
            (Caller::Known(CallerId(place)), _) => fields.known.get(*place),
            (Caller::Token(_), _) => fields.tokens.as_ref(),
        }
    }
}

/// Returns the refusal of an address with too many failed credentials, and counts it.
fn auth_throttled(throttled: Throttled) -> GatewayError {
    count_throttled(throttled.limit, CallerLabel::NONE);
    throttled.into()
}

/// Counts one refusal for lack of quota.
pub(super) fn count_throttled(limit: Limit, caller: CallerLabel) {
    tracing::info!(target: "ikgate.throttled", caller = caller.0, limit = limit as u64);
}
