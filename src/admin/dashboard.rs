//! The live dashboard: one page and what it loads, embedded. It asks `/api/stats` like anybody else.
//!
//! Charts are drawn by uPlot, which is vendored as it was published, with its licence beside it.

use crate::server::{Reply, reply};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};

/// Nothing from anywhere else, nothing inline, and in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A part of it.
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
