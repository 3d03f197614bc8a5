//! Content of the guide for callers: what this gateway answers, how to authenticate, samples that
//! work here, the limits in force and the errors.

use std::borrow::Cow;

use serde::Serialize;

use super::super::access_rules::{AcceptedCredentials, RequiredClaims};
use crate::error::reference::{self, ErrorRow};
use crate::limit::QuotaStatus;

const ABOUT: &str = "ikgate: a caching gateway in front of ImageKit's Media API. It answers the \
                     version lists of files, as ImageKit does. Its callers need no key of ImageKit.";

/// Guide for the client of one request.
#[derive(Debug, Serialize)]
pub(super) struct Guide {
    pub(super) about: &'static str,
    /// Base URL of this gateway.
    pub(super) url: String,
    /// URL of the description for programs.
    pub(super) openapi: String,
    pub(super) operations: [&'static str; 2],
    pub(super) authentication: Vec<Method>,
    pub(super) samples: Vec<Sample>,
    pub(super) limits: Limits,
    pub(super) errors: Vec<ErrorRow>,
    pub(super) contact: &'static str,
}

/// Way to authenticate.
#[derive(Debug, Serialize)]
pub(super) struct Method {
    pub(super) credential: &'static str,
    pub(super) send: Cow<'static, str>,
}

/// Code that works on this gateway once its placeholders are replaced.
#[derive(Debug, Serialize)]
pub(super) struct Sample {
    #[serde(rename = "for")]
    pub(super) client: &'static str,
    pub(super) code: String,
}

/// Limits of a caller without a credential.
#[derive(Debug, Serialize)]
pub(super) struct Limits {
    /// Whether a request without a credential is served.
    pub(super) anonymous: bool,
    /// Requests that an address may send at once after a rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<u32>,
    /// Requests that the address may send now.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u32>,
    pub(super) text: String,
}

impl Guide {
    pub(super) fn new(
        url: String,
        credentials: AcceptedCredentials<'_>,
        quota_status: QuotaStatus,
    ) -> Self {
        Self {
            about: ABOUT,
            openapi: format!("{url}/openapi.json"),
            operations: [
                "GET /v1/files/{fileId}/versions: all versions of a file",
                "GET /v1/files/{fileId}/versions/{versionId}: one version",
            ],
            authentication: methods(credentials),
            samples: samples(&url, credentials),
            limits: limits(credentials, quota_status),
            errors: reference::rows().collect(),
            contact: "The operator of this gateway issues keys, sets limits and helps with errors.",
            url,
        }
    }
}

fn methods(credentials: AcceptedCredentials<'_>) -> Vec<Method> {
    let AcceptedCredentials { none, keys, tokens } = credentials;
    let method = |credential, send: &'static str| Method { credential, send: send.into() };
    let mut methods = Vec::new();
    if none {
        methods
            .push(method("none", "no Authorization field: the caller is counted by its address"));
    }
    if keys {
        methods.push(method("caller key", "Authorization: Bearer KEY"));
        methods.push(method(
            "caller key, from an ImageKit SDK",
            "the key in place of ImageKit's private key: the user name of Basic authentication, \
             without a password",
        ));
    }
    methods.extend(tokens.map(|RequiredClaims { issuer, audience }| Method {
        credential: "browser token",
        send: format!(
            "Authorization: Bearer TOKEN, a token that your back end or identity provider has signed. \
             Its claims: iss {issuer:?}, aud {audience:?}, sub, and in seconds since 1970 iat and exp, \
             at most an hour apart. A private file needs its id in the claim files."
        )
        .into(),
    }));
    methods
}

/// Returns the samples that can work with these credentials. An SDK always sends a key.
fn samples(url: &str, credentials: AcceptedCredentials<'_>) -> Vec<Sample> {
    let list = format!("{url}/v1/files/FILE_ID/versions");
    let field = match credentials {
        AcceptedCredentials { keys: true, .. } => "-H 'Authorization: Bearer KEY' ",
        AcceptedCredentials { tokens: Some(_), .. } => "-H 'Authorization: Bearer TOKEN' ",
        AcceptedCredentials { .. } => "",
    };
    let mut samples = vec![Sample { client: "curl", code: format!("curl -i {field}'{list}'") }];
    if credentials.keys {
        let code = format!(
            "from imagekitio import ImageKit\n\n\
             client = ImageKit(private_key=\"KEY\", base_url=\"{url}\")\n\
             for version in client.files.versions.list(\"FILE_ID\"):\n    \
             print(version.version_info.name, version.size)"
        );
        samples.push(Sample { client: "an ImageKit SDK (Python)", code });
        let code = format!(
            "import ImageKit from \"@imagekit/nodejs\";\n\n\
             const client = new ImageKit({{ privateKey: \"KEY\", baseURL: \"{url}\" }});\n\
             for (const version of await client.files.versions.list(\"FILE_ID\")) {{\n  \
             console.log(version.versionInfo.name, version.size);\n\
             }}"
        );
        samples.push(Sample { client: "an ImageKit SDK (Node)", code });
    }
    if credentials.none || credentials.tokens.is_some() {
        let options = if credentials.tokens.is_some() {
            ", {\n  headers: { Authorization: `Bearer ${token}` },\n}"
        } else {
            ""
        };
        let code = format!(
            "// The operator lists the page's origin in cors.allowed_origins.\n\
             const response = await fetch(\"{list}\"{options});\n\
             const body = await response.json();\n\
             if (!response.ok) throw new Error(body.message);"
        );
        samples.push(Sample { client: "a page", code });
    }
    samples
}

fn limits(credentials: AcceptedCredentials<'_>, quota_status: QuotaStatus) -> Limits {
    if !credentials.none {
        let text = "A request without a credential is refused. RateLimit-Policy and RateLimit in \
                    each answer say the limits of your key or token.";
        return Limits { anonymous: false, burst: None, left: None, text: text.to_owned() };
    }
    let QuotaStatus { quota, left, .. } = quota_status;
    let text = format!(
        "Without a credential, your address may send {} requests at once, and one more every {}; \
         {left} are left now. RateLimit-Policy and RateLimit in each answer say the limits that \
         apply to it.",
        quota.burst,
        humantime::format_duration(quota.interval())
    );
    Limits { anonymous: true, burst: Some(quota.burst.get()), left: Some(left), text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{Limit, Quota};

    fn guide(none: bool, keys: bool, tokens: bool) -> Guide {
        let quota = Quota::new(10, 20).unwrap();
        let quota_status = QuotaStatus { limit: Limit::Address, quota, left: 19 };
        let claims = RequiredClaims { issuer: "https://app.example", audience: "ikgate" };
        let tokens = tokens.then_some(claims);
        let credentials = AcceptedCredentials { none, keys, tokens };
        Guide::new("https://gateway.example".to_owned(), credentials, quota_status)
    }

    #[test]
    fn only_what_is_accepted_here_is_explained() {
        for (none, keys, tokens, methods, clients) in [
            (true, false, false, vec!["none"], vec!["curl", "a page"]),
            (
                false,
                true,
                false,
                vec!["caller key", "caller key, from an ImageKit SDK"],
                vec!["curl", "an ImageKit SDK (Python)", "an ImageKit SDK (Node)"],
            ),
            (false, false, true, vec!["browser token"], vec!["curl", "a page"]),
        ] {
            let guide = guide(none, keys, tokens);
            let found: Vec<_> = guide.authentication.iter().map(|way| way.credential).collect();
            assert_eq!(found, methods);
            let found: Vec<_> = guide.samples.iter().map(|sample| sample.client).collect();
            assert_eq!(found, clients);
            let code: String = guide.samples.iter().map(|sample| sample.code.as_str()).collect();
            assert_eq!(code.contains("KEY"), keys, "{code}");
            assert_eq!(code.contains("Bearer TOKEN") || code.contains("${token}"), tokens);
        }
        let all = guide(true, true, true);
        assert_eq!(all.samples.len(), 4);
        let send = &all.authentication.last().unwrap().send;
        assert!(send.contains("iss \"https://app.example\", aud \"ikgate\""), "{send}");
    }

    #[test]
    fn the_limits_are_those_of_the_address() {
        let limits = guide(true, true, false).limits;
        assert_eq!((limits.anonymous, limits.burst, limits.left), (true, Some(20), Some(19)));
        assert!(limits.text.contains("20 requests at once, and one more every 100ms; 19 are left"));
        let refused = guide(false, true, false).limits;
        assert_eq!((refused.anonymous, refused.burst, refused.left), (false, None, None));
    }
}
