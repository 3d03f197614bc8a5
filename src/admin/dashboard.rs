//! Live dashboard: an HTML page with its scripts and styles, embedded in the binary.
//!
//! The page polls `/api/stats`, the same endpoint that other clients use. uPlot draws the charts;
//! it is vendored unchanged, with its licence in the same directory.

use crate::server::{Reply, reply};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};

/// Content Security Policy: own resources only, no inline code, no framing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One embedded file of the dashboard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asset {
    Page,
    Script,
    Style,
    Charts,
    ChartsStyle,
}

impl Asset {
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Page),
            "/assets/dashboard.js" => Some(Self::Script),
            "/assets/dashboard.css" => Some(Self::Style),
            "/assets/uplot.js" => Some(Self::Charts),
            "/assets/uplot.css" => Some(Self::ChartsStyle),
            _ => None,
        }
    }

    pub(super) fn reply(self) -> Reply {
        let (content_type, body): (_, &'static [u8]) = match self {
            Self::Page => ("text/html; charset=utf-8", include_bytes!("dashboard/index.html")),
            Self::Script => (SCRIPT, include_bytes!("dashboard/dashboard.js")),
            Self::Style => (STYLE, include_bytes!("dashboard/dashboard.css")),
            Self::Charts => (SCRIPT, include_bytes!("dashboard/uplot.js")),
            Self::ChartsStyle => (STYLE, include_bytes!("dashboard/uplot.css")),
        };
        let mut reply = reply(StatusCode::OK, content_type, body);
        reply.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        reply
    }
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
