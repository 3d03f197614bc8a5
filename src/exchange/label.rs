//! What is said of an exchange in numbers, each standing for a word of a closed set or for a
//! configured name.

use http::Method;

use crate::cache::{CacheStatus, Forwarded};
use crate::route::{Route, Selector};

/// What was asked for, as a label.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum RouteLabel {
    None,
    List,
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
            Route::Preflight | Route::Read(_, Selector::List) => Self::List,
            Route::Read(_, Selector::Version(_)) => Self::Element,
            Route::Webhook => Self::Webhook,
        }
    }
}

/// What the cache did, as a label.
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
            // Not there where it was asked for, and waited for.
            CacheStatus::Forwarded(_) | CacheStatus::SecondLevelHit => Self::Miss,
            CacheStatus::Hit { .. } => Self::Hit,
            CacheStatus::StaleHit { .. } => Self::Stale,
            CacheStatus::StaleIfError => Self::StaleError,
            CacheStatus::NotConsulted { .. } => Self::None,
        }
    }
}

/// Who asked, as a number that a name is looked up by: the fixed names first, then those that
/// configurations brought, in the order in which they did.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CallerLabel(pub u64);

impl CallerLabel {
    pub const NONE: Self = Self(0);
    pub const ANONYMOUS: Self = Self(1);
    /// Whoever sends a token.
    pub const JWT: Self = Self(2);
    /// Names of the labels that are not configured, by number. No configured caller may have one.
    pub const FIXED: [&'static str; 3] = ["none", "anonymous", "jwt"];
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Ending {
    /// The connection took the whole answer.
    Answered,
    /// The client went away before there was one.
    LeftBeforeHead,
    /// The client went away before the body was taken.
    LeftDuringBody,
    /// A fault of ours.
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

/// The methods that there is something to say about.
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
