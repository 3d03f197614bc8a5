//! Benchmark of admission: the cost to identify a caller and to check its quota.
//!
//! Callers send a key or a token that was seen before. Both are measured again during a spray of
//! new addresses, and the memory that such a spray takes is measured as well.
//!
//! `cargo bench --bench admit`
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement takes the real time, prints what it finds, and may fail loudly"
)]

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};
use ikgate::caller::{
    AnonymousPolicy, Audience, Caller, CallerSettings, Callers, Claims, Identified, KeyDigest,
    NumericDate, TokenKey, TokenKeys, TokenSettings, TokenSigner,
};
use ikgate::clock::Clock;
use ikgate::file_id::FileId;
use ikgate::limit::{CallerQuota, Enforcement, Ipv6Limits, LimitSettings, Limits, Quota};
use ikgate::message::RequestFields;
use ikgate::secret::Secret;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("x-forwarded-for");
const KEY: &str = "ikg_qTq5vV1m0S0Yb0m4wq0o3Z1c4X2sXj3vHk1QwZ8yR0E";
const CLIENT: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const TRACKED: usize = 100_000;
/// Requests that are timed together, so that reading the clock does not count.
const BATCH: u32 = 1_000;
const BATCHES: usize = 1_000;
const SPRAYED: u64 = 1_000_000;

struct Gate {
    callers: Callers,
    limits: Limits,
    clock: Clock,
    file: FileId,
}

impl Gate {
    fn new(tokens: TokenSettings) -> Self {
        let clock = Clock::system();
        let quota = Quota::new(1_000_000, 1_000_000).unwrap();
        let settings = LimitSettings {
            anonymous: Quota::new(10, 20),
            ipv6: Ipv6Limits {
                prefix: 64,
                wide_prefix: 48,
                wide_factor: NonZeroU32::new(4).unwrap(),
            },
            max_tracked_callers: TRACKED,
            auth_failures: Quota::new(10, 100).unwrap(),
            callers: vec![CallerQuota { name: "team".to_owned(), quota }],
            tokens: Some(quota),
            enforcement: Enforcement::DryRun,
        };
        let team =
            CallerSettings { name: "team".to_owned(), keys: vec![KeyDigest::of(KEY)], files: None };
        Self {
            callers: Callers::new(&[team], AnonymousPolicy::Serve, Some(tokens)),
            limits: Limits::new(&settings, None, &clock),
            clock,
            file: FileId::parse("64a1b2c3d4e5f60718293a4b").unwrap(),
        }
    }

    /// Admits a request with these fields, as the gateway does.
    fn admit(&self, fields: &HeaderMap, client: IpAddr) {
        let fields = RequestFields::of(fields, &CLIENT_ADDRESS);
        let caller =
            match self.callers.identify(&fields, client, || self.clock.unix_time()).unwrap() {
                Identified::Caller(caller) => caller,
                Identified::UnverifiedToken(stranger) => {
                    self.limits.may_fail_auth(client).unwrap();
                    self.callers.verify(&stranger, self.clock.unix_time()).unwrap()
                }
            };
        self.callers.may_read(&caller, &self.file).unwrap();
        // The work is the same over the quota and within it.
        let _ = self.limits.admit(&caller);
    }

    /// Admits requests of a million new addresses, each in its own network.
    fn spray(&self, from: u64) {
        for number in from..from + SPRAYED {
            let address = Ipv6Addr::from((u128::from(number) << 80) | 1);
            let _ = self.limits.admit(&Caller::Anonymous(address.into()));
        }
    }
}

/// Returns the time of one request in nanoseconds: in the median batch, and in the batch at the
/// 99th percentile.
fn measure(gate: &Gate, fields: &HeaderMap) -> (f64, f64) {
    let mut took: Vec<_> = (0..BATCHES)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..BATCH {
                gate.admit(fields, CLIENT);
            }
            started.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH)
        })
        .collect();
    took.sort_by(f64::total_cmp);
    let at = |place: usize| took.get(place).copied().unwrap();
    (at(BATCHES / 2), at(BATCHES - BATCHES / 100))
}

fn bearer(credential: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {credential}")).unwrap();
    HeaderMap::from_iter([(AUTHORIZATION, value)])
}

fn tokens() -> (TokenSettings, Secret) {
    let secret = Secret::new("a-secret-of-thirty-two-bytes-or-so".to_owned());
    let settings = TokenSettings {
        keys: TokenKeys::One(TokenKey::shared(&secret).unwrap()),
        issuer: "https://app.example.com".to_owned(),
        audience: "ikgate".to_owned(),
        revoked: None,
    };
    let now = Clock::system().unix_time();
    let claims = Claims {
        sub: "user-1".to_owned(),
        iss: settings.issuer.clone(),
        aud: Audience::One(settings.audience.clone()),
        exp: NumericDate(now + Duration::from_hours(1)),
        iat: NumericDate(now),
        nbf: None,
        jti: None,
        files: None,
    };
    let token = TokenSigner::new(&settings, None).unwrap().sign(&claims, now).unwrap();
    (settings, token)
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn main() {
    let (settings, token) = tokens();
    let gate = Arc::new(Gate::new(settings));
    let kinds = [("a known key", bearer(KEY)), ("a token seen before", bearer(token.expose()))];
    println!("the token has {} bytes", token.expose().len());
    for (name, fields) in &kinds {
        let (median, slow) = measure(&gate, fields);
        println!("{name}: {median:.0} ns, 99th percentile of batches {slow:.0} ns");
    }

    let before = resident_bytes();
    gate.spray(0);
    let grown = resident_bytes().saturating_sub(before);
    let tracked = gate.limits.tracked_callers() as u64;
    println!(
        "{SPRAYED} new addresses: {tracked} told apart, {} KiB more resident, {} bytes for each \
         that may be tracked",
        grown >> 10,
        grown / TRACKED as u64
    );

    let (ended, sprays) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(1)));
    let spraying = std::thread::spawn({
        let (gate, ended, sprays) = (Arc::clone(&gate), Arc::clone(&ended), Arc::clone(&sprays));
        move || {
            while !ended.load(Ordering::Relaxed) {
                gate.spray(sprays.fetch_add(1, Ordering::Relaxed) * SPRAYED);
            }
        }
    });
    for (name, fields) in &kinds {
        let (median, slow) = measure(&gate, fields);
        println!("{name}, during a spray: {median:.0} ns, 99th percentile of batches {slow:.0} ns");
    }
    ended.store(true, Ordering::Relaxed);
    spraying.join().unwrap();
    let grown = resident_bytes().saturating_sub(before);
    let count = sprays.load(Ordering::Relaxed);
    println!("after {count} such sprays: {} KiB more resident", grown >> 10);
}
