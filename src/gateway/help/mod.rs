//! Documents about this gateway, for its callers: a page for people, and the description of the
//! public listener for programs.
//!
//! Neither needs a credential, and neither names a caller, a secret or an operator's address.

mod guide;
mod html;
mod openapi;
mod own_url;

use bytes::Bytes;
use http::HeaderMap;
use http::header::ACCEPT;

use super::access_rules::AcceptedCredentials;
use crate::limit::QuotaStatus;
use crate::message::{MediaType, accepted};
use crate::response::{Document, DocumentKind};

pub use openapi::BOTH_LISTENERS;
pub(super) use own_url::own_url;

const HTML: MediaType = MediaType { kind: "text", subtype: "html", version: "" };
const JSON: MediaType = MediaType { kind: "application", subtype: "json", version: "" };

/// Returns the guide: HTML for a client that prefers it, as browsers do, else JSON.
pub(super) fn guide(
    url: String,
    credentials: AcceptedCredentials<'_>,
    quota_status: QuotaStatus,
    fields: &HeaderMap,
) -> Document {
    let guide = guide::Guide::new(url, credentials, quota_status);
    if prefers_html(fields) {
        let body = Bytes::from(html::page(&guide).into_string());
        return Document { kind: DocumentKind::Html, body };
    }
    let mut body = serde_json::to_vec_pretty(&guide).expect("texts and numbers always serialise");
    body.push(b'\n');
    Document { kind: DocumentKind::Json, body: body.into() }
}

/// Returns the description of the public listener.
pub(super) fn description() -> Document {
    Document { kind: DocumentKind::Json, body: openapi::of_public_listener() }
}

/// Returns whether `Accept` gives HTML more weight than JSON, or names only HTML.
fn prefers_html(fields: &HeaderMap) -> bool {
    let lines: Vec<_> = fields.get_all(ACCEPT).iter().map(http::HeaderValue::as_bytes).collect();
    let [html, json] = accepted(&lines, [HTML, JSON]);
    html.weight > json.weight
        || html.weight > 0 && html.weight == json.weight && html.is_named && !json.is_named
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn browsers_get_a_page_and_programs_get_json() {
        for (accept, html) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("text/html", true),
            ("text/html, */*", true),
            ("text/html;q=0.5, application/json;q=0.4", true),
            ("*/*", false),
            ("application/json", false),
            ("application/json, text/html", false),
            ("text/html;q=0.4, application/json;q=0.5", false),
            ("text/html;q=0", false),
            ("image/png", false),
            ("", false),
        ] {
            let fields = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(prefers_html(&fields), html, "{accept}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
