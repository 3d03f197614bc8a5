//! Who may use the admin listener, and from where.
//!
//! A page open in an operator's browser can send requests to loopback, under a name of its own
//! that resolves there too. So the Host must be one that no page can choose, and whatever changes
//! something must not come from a page elsewhere.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};
use subtle::ConstantTimeEq as _;

use crate::secret::Secret;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who gets in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdminSettings {
    pub exposure: Exposure,
    /// Names accepted as Host besides IP literals and localhost, in lower case.
    pub hosts: Vec<String>,
}

/// How far the listener can be reached, and what it asks for in return.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Exposure {
    /// Only from this machine. With a token, mutations need it.
    Loopback { token: Option<Secret> },
    /// From elsewhere too: everything but health and metrics needs the token.
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

/// What an operation does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    /// Health, for probes, which name any host or none.
    Health,
    Metrics,
    Mutate,
    Read,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// A mutation asked for by a page from elsewhere.
    Foreign,
    Host,
    Token,
}

pub(super) fn check(settings: &AdminSettings, head: &Parts, access: Access) -> Result<(), Refusal> {
    // Metrics are read by name where the listener is on a network: a page of another origin learns
    // nothing from them, and reaches no loopback.
    let is_public = matches!(settings.exposure, Exposure::Network { .. });
    if access == Access::Health || access == Access::Metrics && is_public {
        return Ok(());
    }
    let host = host_of(head).ok_or(Refusal::Host)?;
    let bare = host.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let named = bare == "localhost" || settings.hosts.contains(&bare);
    if !named && bare.parse::<IpAddr>().is_err() {
        return Err(Refusal::Host);
    }
    if access == Access::Mutate && is_foreign(&head.headers, &host) {
        return Err(Refusal::Foreign);
    }
    let needed = match (&settings.exposure, access) {
        (_, Access::Health | Access::Metrics) | (Exposure::Loopback { .. }, Access::Read) => None,
        (Exposure::Loopback { token }, Access::Mutate) => token.as_ref(),
        (Exposure::Network { token }, Access::Mutate | Access::Read) => Some(token),
    };
    match needed {
        Some(token) if !presents(&head.headers, token) => Err(Refusal::Token),
        _ => Ok(()),
    }
}

/// The one Host, or the authority of an absolute target.
fn host_of(head: &Parts) -> Option<Authority> {
    if let Some(authority) = head.uri.authority() {
        return Some(authority.clone());
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = Authority::try_from(hosts.next()?.as_bytes()).ok()?;
    hosts.next().is_none().then_some(host)
}

fn is_foreign(fields: &HeaderMap, host: &Authority) -> bool {
    let elsewhere = fields.get_all(ORIGIN).iter().any(|origin| {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        authority.is_none_or(|(_, authority)| !authority.eq_ignore_ascii_case(host.as_str()))
    });
    let site = fields.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    elsewhere || site.is_some_and(|site| site != b"same-origin" && site != b"none")
}

fn presents(fields: &HeaderMap, token: &Secret) -> bool {
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
            assert_eq!(judged, Err(Refusal::Foreign), "{case:?}");
        }
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
