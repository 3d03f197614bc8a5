//! Who may ask for what, and how often: the part of the pipeline that a reload replaces whole.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::versions::Visibility;
use crate::cache::CacheStatus;
use crate::caller::{
    AnonymousPolicy, AuthFailure, Caller, CallerId, CallerSettings, Callers, Recognised,
    TokenSettings,
};
use crate::clock::Clock;
use crate::error::GatewayError;
use crate::exchange::{CallerLabel, Exchange};
use crate::file_id::FileId;
use crate::limit::{Desk, Enforcement, Limit, LimitSettings, Limits, Standing, Throttled};
use crate::message::RequestFields;
use crate::response::{Cors, Facts, RateLimitFields};
use crate::upstream::Priority;

/// What [`Policy::new`] makes its rules of.
#[derive(Clone, Debug)]
pub struct PolicySettings {
    pub anonymous: AnonymousPolicy,
    pub callers: Vec<CallerSettings>,
    /// `None`: tokens are not accepted.
    pub tokens: Option<TokenSettings>,
    pub limits: LimitSettings,
    /// How long browsers may use a list without asking again.
    pub browser_max_age: Duration,
    /// Whether callers without a key may see the lists of private files.
    pub expose_private: bool,
    /// `None`: no page of another origin may read anything.
    pub cors: Option<Cors>,
}

/// Rules that every request is held to from its head on.
pub struct Policy {
    settings: PolicySettings,
    /// That each quota is shared by.
    nodes: NonZeroU32,
    pub(super) callers: Callers,
    labels: Vec<CallerLabel>,
    pub limits: Limits,
    rate_limit_fields: CallerFields,
    pub browser_max_age: Duration,
    expose_private: bool,
    pub cors: Option<Cors>,
}

/// `RateLimit` of everybody.
struct CallerFields {
    anonymous: Option<RateLimitFields>,
    /// Of anonymous callers, where their neighbours have left the least.
    wide: Option<RateLimitFields>,
    /// In the order of the configuration.
    known: Vec<RateLimitFields>,
    tokens: Option<RateLimitFields>,
}

impl Policy {
    /// `labels`: of the configured callers, in their order. `desk`: where a fleet shares quotas.
    pub fn new(
        settings: PolicySettings,
        labels: Vec<CallerLabel>,
        desk: Option<Arc<Desk>>,
        clock: &Clock,
    ) -> Self {
        let limits = Limits::new(&settings.limits, desk, clock);
        let callers = Callers::new(&settings.callers, settings.anonymous, settings.tokens.clone());
        Self::of(settings, labels, callers, limits, NonZeroU32::MIN)
    }

    /// Other rules for the same callers: what they have spent stays spent, and tokens that were
    /// verified stay so while they are judged in the same way.
    #[must_use]
    pub fn renewed(&self, settings: PolicySettings, labels: Vec<CallerLabel>) -> Self {
        self.of_fleet(settings, labels, self.nodes)
    }

    /// The same rules, with quotas that so many share in.
    #[must_use]
    pub fn shared_by(&self, nodes: NonZeroU32) -> Self {
        self.of_fleet(self.settings.clone(), self.labels.clone(), nodes)
    }

    fn of_fleet(
        &self,
        settings: PolicySettings,
        labels: Vec<CallerLabel>,
        nodes: NonZeroU32,
    ) -> Self {
        let limits = self.limits.renewed(&settings.limits, nodes);
        let tokens = settings.tokens.clone();
        let callers = self.callers.renewed(&settings.callers, settings.anonymous, tokens);
        Self::of(settings, labels, callers, limits, nodes)
    }

    fn of(
        settings: PolicySettings,
        labels: Vec<CallerLabel>,
        callers: Callers,
        limits: Limits,
        nodes: NonZeroU32,
    ) -> Self {
        let PolicySettings { limits: quotas, browser_max_age, expose_private, cors, .. } =
            settings.clone();
        let known = quotas.callers.iter();
        let known = known.map(|caller| RateLimitFields::new(&caller.name, caller.quota));
        // Addresses are counted by each node of a fleet, for its own part.
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
        }
    }

    /// What metrics call a caller.
    pub(super) fn label(&self, caller: &Caller) -> CallerLabel {
        match caller {
            Caller::Anonymous(_) => CallerLabel::ANONYMOUS,
            Caller::Known(CallerId(place)) => {
                self.labels.get(*place).copied().unwrap_or(CallerLabel::NONE)
            }
            Caller::Token(_) => CallerLabel::JWT,
        }
    }

    /// Finds out who asks. A token that was not seen before is looked at only while credentials
    /// from its address may still fail.
    pub(super) fn identify(
        &self,
        fields: &RequestFields<'_>,
        client: IpAddr,
        clock: &Clock,
    ) -> Result<Caller, GatewayError> {
        let caller = match self.callers.recognise(fields, client, || clock.unix_time()) {
            Ok(Recognised::Caller(caller)) => Ok(caller),
            Ok(Recognised::Stranger(stranger)) => {
                self.limits.may_fail_auth(client).map_err(auth_throttled)?;
                self.callers.verify(&stranger, clock.unix_time())
            }
            Err(failure) => Err(failure),
        };
        caller.map_err(|failure| self.auth_failed(failure, client))
    }

    /// What somebody is told whose credential is not right: no more, after very many.
    fn auth_failed(&self, failure: AuthFailure, client: IpAddr) -> GatewayError {
        tracing::info!(target: "ikgate.auth_failure", reason = failure as u64);
        if failure == AuthFailure::Missing {
            return failure.into();
        }
        match self.limits.admit_auth_failure(client) {
            Ok(()) => failure.into(),
            Err(throttled) => auth_throttled(throttled),
        }
    }

    /// How the caller stands with one request more, and whether that is too many.
    pub(super) fn admit(&self, caller: &Caller) -> (Standing, Result<(), Throttled>) {
        let throttled = match self.limits.admit(caller) {
            Ok(standing) => return (standing, Ok(())),
            Err(throttled) => throttled,
        };
        count_refusal(throttled.limit, self.label(caller));
        let standing = Standing { limit: throttled.limit, quota: throttled.quota, left: 0 };
        match self.limits.enforcement {
            Enforcement::DryRun => (standing, Ok(())),
            Enforcement::Refuse => (standing, Err(throttled)),
        }
    }

    /// Which lists the caller may see where a file is private.
    pub(super) fn visibility(&self, caller: &Caller, file: &FileId) -> Visibility {
        let all = match caller {
            Caller::Anonymous(_) => self.expose_private,
            Caller::Known(_) => true,
            Caller::Token(token) => self.expose_private || token.names(file),
        };
        if all { Visibility::All } else { Visibility::Public }
    }

    /// How urgent a fill for the caller is.
    pub(super) fn priority(&self, caller: &Caller) -> Priority {
        match caller {
            // Where nobody has a credential, nobody is less than others.
            Caller::Anonymous(_) if self.callers.has_credentials() => Priority::Anonymous,
            Caller::Anonymous(_) | Caller::Known(_) | Caller::Token(_) => Priority::Authenticated,
        }
    }

    /// What every answer says. `standing`: of whoever asks, once that is known.
    pub(super) fn facts<'a>(
        &'a self,
        exchange: &'a Exchange,
        cache: CacheStatus,
        standing: Option<(&Caller, Standing)>,
    ) -> Facts<'a> {
        let standing = standing.and_then(|(caller, standing)| {
            Some((self.rate_limit_fields(caller, standing.limit)?, standing))
        });
        let (browser_max_age, cors) = (self.browser_max_age, self.cors.as_ref());
        let (request_id, now) = (exchange.request_id(), exchange.unix_time());
        Facts { request_id, cache, standing, browser_max_age, cors, now }
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

/// Failed credentials of an address, one too many.
fn auth_throttled(throttled: Throttled) -> GatewayError {
    count_refusal(throttled.limit, CallerLabel::NONE);
    throttled.into()
}

/// Counts one refusal for want of quota.
pub(super) fn count_refusal(limit: Limit, caller: CallerLabel) {
    tracing::info!(target: "ikgate.throttled", caller = caller.0, limit = limit as u64);
}
