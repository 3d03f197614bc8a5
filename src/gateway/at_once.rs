//! The shortest way through the pipeline: a plain request for a list that is stored and fresh, from
//! a caller who is known and may have it. The stages are the same, by the same functions, but that
//! the quota is spent last; at the first that would do anything else nothing has happened yet, and
//! the request goes the whole way.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Method;

use super::Gateway;
use super::versions::is_hidden;
use crate::cache::{CacheStatus, Lookup, Reuse};
use crate::caller::Recognised;
use crate::exchange::{Exchange, RouteLabel};
use crate::message::{Plain, ResponseHead};
use crate::response::{Hit, Times};
use crate::route;

impl Gateway {
    /// Whether a plain request of this peer could be answered at once: what a proxy of ours says
    /// has to be read first.
    pub fn may_answer_at_once(&self, peer: SocketAddr) -> bool {
        !self.proxies.trust(peer.ip())
    }

    /// The body of the answer, with its head in `head`; and the exchange, which has begun. Or
    /// `None`: then nothing has.
    pub fn answer_at_once(
        &self,
        asked: &Plain<'_>,
        peer: SocketAddr,
        head: &mut Vec<u8>,
    ) -> Option<(Bytes, Exchange)> {
        let file = route::list_of(&self.operations, asked.path)?;
        let now = self.clock.monotonic();
        let client = self.proxies.client(peer.ip(), &asked.fields);
        let policy = self.policy.load();
        let recognised = policy.callers.recognise(&asked.fields, client, now);
        let Ok(Recognised::Caller(caller)) = recognised else { return None };
        policy.callers.may_read(&caller, &file).ok()?;
        let found = self.cache.lookup(&file, now);
        let Lookup::Found { response, reuse: Reuse::Fresh { ttl_left } } = found else {
            return None;
        };
        if is_hidden(&response, policy.sight(&caller, &file)) {
            return None;
        }
        // The last thing that could fail, and the first that leaves a trace.
        let standing = policy.limits.admit(&caller).ok()?;

        let mut exchange = Exchange::start_at(&self.clock, now, client, &Method::GET);
        exchange.route = RouteLabel::List;
        exchange.file = Some(file);
        exchange.caller = policy.label(&caller);
        let cache = CacheStatus::Hit { ttl_left };
        exchange.cache = cache.into();
        let facts = policy.facts(exchange.request_id(), cache, Some((&caller, standing)));
        let hit = Hit::new(&response, Times { age: response.age(now), ttl_left }, &asked.fields);
        let body = hit.body();
        let length = body.as_ref().map(Bytes::len);
        exchange.sending(hit.status(), hit.coding(), length.is_some_and(|length| length > 0));
        let mut written = ResponseHead::begin(head, hit.status());
        hit.write(&mut written, &facts);
        written.end(length, asked.last, self.clock.unix_time());
        Some((body.unwrap_or_default(), exchange))
    }
}
