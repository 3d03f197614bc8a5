//! Access control of the admin listener: checks of Host, Origin and the admin token.
//!
//! A page in an operator's browser can send requests to loopback, also under its own DNS name that
//! resolves to loopback (DNS rebinding). Therefore Host must be a name that no page can choose, and
//! a mutation must not come from a page of another origin.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};
use subtle::ConstantTimeEq as _;

use crate::secret::Secret;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Access settings of the admin listener.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdminSettings {
    pub exposure: Exposure,
    /// Names accepted as Host besides IP literals and localhost, in lower case.
    pub hosts: Vec<String>,
}

/// Reach of the admin listener, and the token that it requires.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Exposure {
    /// Reachable from this machine only. Mutations need the token, if one is set.
    Loopback { token: Option<Secret> },
    /// Reachable from the network. Every operation except health and metrics needs the token.
    Network { token: Secret },
}

impl Exposure {
    pub fn token(&self) -> Option<&Secret> {
        match self {
            Self::Loopback { token } => token.as_ref(),
            Self::Network { token } => Some(token),
        }
    }
}

/// Kind of an operation, which decides the checks that apply to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    /// Health checks. Probes send any Host or none, so Host is not checked.
    Health,
    Metrics,
    Mutate,
    Read,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// A page of another origin requested a mutation.
    CrossOrigin,
    Host,
    Token,
}

pub(super) fn check(settings: &AdminSettings, head: &Parts, access: Access) -> Result<(), Refusal> {
    // On a network, scrapers address the listener by any name. Host protects nothing there: a page
    // of another origin cannot read the metrics, and the listener is not on loopback.
    let is_public = matches!(settings.exposure, Exposure::Network { .. });
    if access == Access::Health || access == Access::Metrics && is_public {
        return Ok(());
    }
    let host = host_of(head).ok_or(Refusal::Host)?;
    let bare = host.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let is_known_name = bare == "localhost" || settings.hosts.contains(&bare);
    if !is_known_name && bare.parse::<IpAddr>().is_err() {
        return Err(Refusal::Host);
    }
    if access == Access::Mutate && is_cross_origin(&head.headers, &host) {
        return Err(Refusal::CrossOrigin);
    }
    let required = match (&settings.exposure, access) {
        (_, Access::Health | Access::Metrics) | (Exposure::Loopback { .. }, Access::Read) => None,
        (Exposure::Loopback { token }, Access::Mutate) => token.as_ref(),
        (Exposure::Network { token }, Access::Mutate | Access::Read) => Some(token),
    };
    match required {
        Some(token) if !has_token(&head.headers, token) => Err(Refusal::Token),
        _ => Ok(()),
    }
}

/// Returns the authority of an absolute request target, else the Host field if there is exactly
/// one.
fn host_of(head: &Parts) -> Option<Authority> {
    if let Some(authority) = head.uri.authority() {
        return Some(authority.clone());
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = Authority::try_from(hosts.next()?.as_bytes()).ok()?;
    hosts.next().is_none().then_some(host)
}

fn is_cross_origin(fields: &HeaderMap, host: &Authority) -> bool {
    let other_origin = fields.get_all(ORIGIN).iter().any(|origin| {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        authority.is_none_or(|(_, authority)| !authority.eq_ignore_ascii_case(host.as_str()))
    });
    let mut sites = fields.get_all(SEC_FETCH_SITE).iter().map(HeaderValue::as_bytes);
    other_origin || sites.any(|site| site != b"same-origin" && site != b"none")
}

fn has_token(fields: &HeaderMap, token: &Secret) -> bool {
    let mut values = fields.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let credential = value.to_str().ok().and_then(|value| value.split_once(' '));
    credential.is_some_and(|(scheme, given)| {
        scheme.eq_ignore_ascii_case("bearer")
            && bool::from(given.trim().as_bytes().ct_eq(token.expose().as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use http::{Method, Request};

    use super::*;

    fn judge(exposure: Exposure, access: Access, fields: &[(&str, &str)]) -> Result<(), Refusal> {
        let settings = AdminSettings { exposure, hosts: vec!["ops.example.com".to_owned()] };
        let mut request = Request::builder().method(Method::DELETE).uri("/api/cache");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        check(&settings, &request.body(()).unwrap().into_parts().0, access)
    }

    const OPEN: Exposure = Exposure::Loopback { token: None };
    const HOST: (&str, &str) = ("host", "127.0.0.1:9090");

    fn token() -> Secret {
        Secret::new("t0ken".to_owned())
    }

    #[test]
    fn only_hosts_that_no_page_can_choose_are_answered() {
        let hosts = ["127.0.0.1", "[::1]:9090", "LOCALHOST:9090", "ops.example.com", "10.0.0.7:1"];
        for host in hosts {
            assert_eq!(judge(OPEN, Access::Metrics, &[("host", host)]), Ok(()), "{host}");
        }
        for host in ["evil.example.com", "localhost.evil.example.com", "127.0.0.1.evil.com", ""] {
            let judged = judge(OPEN, Access::Metrics, &[("host", host)]);
            assert_eq!(judged, Err(Refusal::Host), "{host}");
        }
        assert_eq!(judge(OPEN, Access::Metrics, &[]), Err(Refusal::Host));
        assert_eq!(judge(OPEN, Access::Metrics, &[HOST, HOST]), Err(Refusal::Host));
    }

    #[test]
    fn probes_name_any_host_or_none_and_so_do_readers_of_metrics_off_loopback() {
        let service: &[_] = &[("host", "ikgate.monitoring.svc:9090")];
        for fields in [&[][..], service] {
            for exposure in [OPEN, Exposure::Network { token: token() }] {
                assert_eq!(judge(exposure, Access::Health, fields), Ok(()), "{fields:?}");
            }
            let network = Exposure::Network { token: token() };
            assert_eq!(judge(network.clone(), Access::Metrics, fields), Ok(()), "{fields:?}");
            assert_eq!(judge(network, Access::Read, fields), Err(Refusal::Host), "{fields:?}");
        }
    }

    #[test]
    fn a_page_from_elsewhere_may_look_but_not_change_anything() {
        let cases = [
            [("origin", "https://evil.example.com")],
            [("origin", "null")],
            [("origin", "http://127.0.0.1:8080")],
            [("sec-fetch-site", "cross-site")],
            [("sec-fetch-site", "same-site")],
        ];
        for [case] in cases {
            let judged = judge(OPEN, Access::Mutate, &[HOST, case]);
            assert_eq!(judged, Err(Refusal::CrossOrigin), "{case:?}");
        }
        let twice = [HOST, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")];
        assert_eq!(judge(OPEN, Access::Mutate, &twice), Err(Refusal::CrossOrigin));
        let own = [HOST, ("origin", "http://127.0.0.1:9090"), ("sec-fetch-site", "same-origin")];
        assert_eq!(judge(OPEN, Access::Mutate, &own), Ok(()));
    }

    #[test]
    fn a_token_guards_mutations_and_off_loopback_everything_but_health_and_metrics() {
        let loopback = || Exposure::Loopback { token: Some(token()) };
        let network = || Exposure::Network { token: token() };
        let right = ("authorization", "Bearer t0ken");
        for (exposure, access, needed) in [
            (loopback(), Access::Mutate, true),
            (loopback(), Access::Read, false),
            (network(), Access::Mutate, true),
            (network(), Access::Read, true),
            (network(), Access::Metrics, false),
            (network(), Access::Health, false),
            (loopback(), Access::Health, false),
        ] {
            let without = judge(exposure.clone(), access, &[HOST]);
            let refused = if needed { Err(Refusal::Token) } else { Ok(()) };
            assert_eq!(without, refused, "{exposure:?} {access:?}");
            assert_eq!(judge(exposure.clone(), access, &[HOST, right]), Ok(()));
            for wrong in ["Bearer t0ke", "Bearer t0ken1", "Basic t0ken", "t0ken"] {
                let judged = judge(exposure.clone(), access, &[HOST, ("authorization", wrong)]);
                assert_eq!(judged, refused, "{wrong}");
            }
        }
    }
}
