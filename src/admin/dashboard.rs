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
    Style,
    Script(Script),
    Plots,
    PlotsStyle,
}

/// One script of the page, by its part of the page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Script {
    Charts,
    Dashboard,
    Format,
    Headline,
    Purge,
    Tables,
    Tiles,
}

impl Asset {
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Page),
            "/assets/dashboard.css" => Some(Self::Style),
            "/assets/uplot.js" => Some(Self::Plots),
            "/assets/uplot.css" => Some(Self::PlotsStyle),
            _ => Script::at(path).map(Self::Script),
        }
    }

    pub(super) fn reply(self) -> Reply {
        let (content_type, body): (_, &'static [u8]) = match self {
            Self::Page => ("text/html; charset=utf-8", include_bytes!("dashboard/index.html")),
            Self::Style => (STYLE, include_bytes!("dashboard/dashboard.css")),
            Self::Script(script) => (SCRIPT, script.source()),
            Self::Plots => (SCRIPT, include_bytes!("dashboard/uplot.js")),
            Self::PlotsStyle => (STYLE, include_bytes!("dashboard/uplot.css")),
        };
        let mut reply = reply(StatusCode::OK, content_type, body);
        reply.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        reply
    }
}

impl Script {
    fn at(path: &str) -> Option<Self> {
        match path.strip_prefix("/assets/")?.strip_suffix(".js")? {
            "charts" => Some(Self::Charts),
            "dashboard" => Some(Self::Dashboard),
            "format" => Some(Self::Format),
            "headline" => Some(Self::Headline),
            "purge" => Some(Self::Purge),
            "tables" => Some(Self::Tables),
            "tiles" => Some(Self::Tiles),
            _ => None,
        }
    }

    fn source(self) -> &'static [u8] {
        match self {
            Self::Charts => include_bytes!("dashboard/charts.js"),
            Self::Dashboard => include_bytes!("dashboard/dashboard.js"),
            Self::Format => include_bytes!("dashboard/format.js"),
            Self::Headline => include_bytes!("dashboard/headline.js"),
            Self::Purge => include_bytes!("dashboard/purge.js"),
            Self::Tables => include_bytes!("dashboard/tables.js"),
            Self::Tiles => include_bytes!("dashboard/tiles.js"),
        }
    }
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
