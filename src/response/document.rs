//! Document about the gateway, as one caller receives it.

use bytes::Bytes;

use super::constants::{JSON, NO_STORE};
use crate::message::{ConstantField, Fields, constant_field};

static HTML: ConstantField =
    constant_field!(ContentType, "content-type", "text/html; charset=utf-8");
/// The page loads nothing and runs nothing. The digest is that of its one style sheet.
static POLICY: ConstantField = constant_field!(
    ContentSecurityPolicy,
    "content-security-policy",
    "default-src 'none'; style-src 'sha256-whzdwYsWcuLQp/p+ktmAx4E1hcF3qu7qCTGz7sVoC3Q='; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'"
);
/// Documents are chosen by `Accept`, too.
pub(super) static VARY_BY_TYPE: ConstantField =
    constant_field!(Vary, "vary", "Origin, Accept-Encoding, Accept");

/// Document, and the type of its content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Document {
    pub kind: DocumentKind,
    pub body: Bytes,
}

/// Type of a document's content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DocumentKind {
    Html,
    Json,
}

impl Document {
    /// Writes the fields about the content. It is not stored: it names the host that the request
    /// named, and the caller's own quota.
    pub(super) fn write(&self, fields: &mut impl Fields) {
        fields.put_constant(match self.kind {
            DocumentKind::Html => &HTML,
            DocumentKind::Json => &JSON,
        });
        fields.put_constant(&NO_STORE);
        fields.put_constant(&POLICY);
    }
}
