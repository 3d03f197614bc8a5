//! Fuzz target of tokens (JWT): no panic, no access without the key, no access beyond the lifetime.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};
use ikgate::caller::{
    AnonymousPolicy, Callers, Claims, Identified, LIFETIME_MAX, TokenKey, TokenKeys, TokenSettings,
    TokenSigner,
};
use ikgate::message::RequestFields;
use ikgate::secret::Secret;
use libfuzzer_sys::fuzz_target;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("x-forwarded-for");
const WALL: Duration = Duration::from_secs(1_700_000_000);

static SETTINGS: LazyLock<TokenSettings> = LazyLock::new(|| TokenSettings {
    keys: TokenKeys::One(
        TokenKey::shared(&Secret::new("a-secret-of-thirty-two-bytes-or-so".to_owned())).unwrap(),
    ),
    issuer: "i".to_owned(),
    audience: "a".to_owned(),
    revoked: None,
});
static SIGNER: LazyLock<TokenSigner> = LazyLock::new(|| TokenSigner::new(&SETTINGS, None).unwrap());

/// Returns whether this credential is accepted at clock zero, and whether it still is after
/// `later`.
fn enters(credential: &[u8], later: Duration) -> (bool, bool) {
    let callers = Callers::new(&[], AnonymousPolicy::Refuse, Some(SETTINGS.clone()));
    let mut fields = HeaderMap::new();
    let Ok(value) = HeaderValue::from_bytes(&[b"Bearer ", credential].concat()) else {
        return (false, false);
    };
    fields.insert(AUTHORIZATION, value);
    let fields = RequestFields::of(&fields, &CLIENT_ADDRESS);
    let entered = match callers.identify(&fields, CLIENT, || WALL) {
        Ok(Identified::Caller(_)) => panic!("identified what nobody has verified"),
        Ok(Identified::UnverifiedToken(token)) => callers.verify(&token, WALL).is_ok(),
        Err(_) => false,
    };
    let still = callers.identify(&fields, CLIENT, || WALL + later);
    (entered, matches!(still, Ok(Identified::Caller(_))))
}

fuzz_target!(|data: &[u8]| {
    assert_eq!(enters(data, Duration::ZERO), (false, false));
    if let Ok(claims) = serde_json::from_slice::<Claims>(data)
        && let Ok(token) = SIGNER.sign(&claims, WALL)
    {
        let too_long = LIFETIME_MAX + Duration::from_mins(1);
        assert_eq!(enters(token.expose().as_bytes(), too_long), (true, false));
    }
});
