//! Labels of an exchange: numbers, each standing for a word of a closed set or for a configured
//! name.

use http::Method;

use crate::cache::{CacheStatus, Forwarded};
use crate::route::{Route, Selector};

/// Operation that was requested, as a label.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum RouteLabel {
    None,
    /// Version list, and every preflight (`OPTIONS`).
    List,
    /// One version of a list.
    Element,
    Webhook,
}

impl RouteLabel {
    pub const ALL: [Self; 4] = [Self::None, Self::List, Self::Element, Self::Webhook];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::List => "list",
            Self::Element => "element",
            Self::Webhook => "webhook",
        }
    }
}

impl From<&Route> for RouteLabel {
    fn from(route: &Route) -> Self {
        match route {
            Route::Help(_) => Self::None,
            Route::Preflight | Route::Read(_, Selector::List) => Self::List,
            Route::Read(_, Selector::Version(_)) => Self::Element,
            Route::Webhook => Self::Webhook,
        }
    }
}

/// Outcome of the cache, as a label.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum CacheLabel {
    None,
    Collapsed,
    Hit,
    Miss,
    Stale,
    StaleError,
}

impl CacheLabel {
    pub const ALL: [Self; 6] =
        [Self::None, Self::Collapsed, Self::Hit, Self::Miss, Self::Stale, Self::StaleError];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Collapsed => "collapsed",
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::StaleError => "stale_error",
        }
    }
}

impl From<CacheStatus> for CacheLabel {
    fn from(status: CacheStatus) -> Self {
        match status {
            CacheStatus::Forwarded(Forwarded { collapsed: true, .. }) => Self::Collapsed,
            // The first-level cache did not hold the response, and the request waited for it.
            CacheStatus::Forwarded(_) | CacheStatus::SecondLevelHit => Self::Miss,
            CacheStatus::Hit { .. } => Self::Hit,
            CacheStatus::StaleHit { .. } => Self::Stale,
            CacheStatus::StaleIfError => Self::StaleError,
            CacheStatus::NotConsulted { .. } => Self::None,
        }
    }
}

/// Caller, as the number of its name: the fixed names first, then configured names in the order in
/// which configurations introduced them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CallerLabel(pub u64);

impl CallerLabel {
    pub const NONE: Self = Self(0);
    pub const ANONYMOUS: Self = Self(1);
    /// All callers with a browser token.
    pub const JWT: Self = Self(2);
    /// Names of the labels that are not configured, by number. No configured caller may have one of
    /// them.
    pub const FIXED: [&'static str; 3] = ["none", "anonymous", "jwt"];
}

/// Ending of an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Ending {
    /// The connection took the whole response.
    Answered,
    /// The client went away before the response's head was ready.
    LeftBeforeHead,
    /// The client went away before the connection took the whole body.
    LeftDuringBody,
    /// A fault in the gateway: the task that held the exchange panicked.
    Panicked,
}

impl Ending {
    pub const ALL: [Self; 4] =
        [Self::Answered, Self::LeftBeforeHead, Self::LeftDuringBody, Self::Panicked];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::LeftBeforeHead => "left_before_head",
            Self::LeftDuringBody => "left_during_body",
            Self::Panicked => "panicked",
        }
    }
}

/// Request method, as a label. Methods without a meaning here are `Other`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MethodLabel {
    Get,
    Head,
    Options,
    Post,
    Other,
}

impl MethodLabel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
            Self::Other => "other",
        }
    }
}

impl From<&Method> for MethodLabel {
    fn from(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::OPTIONS => Self::Options,
            Method::POST => Self::Post,
            _ => Self::Other,
        }
    }
}
