//! Router: maps the path, query and method of a request to the operation that it asks for.
//!
//! It matches the raw path as received. Nothing is decoded or normalised, so no operation has two
//! spellings, and only a validated id goes upstream.

use http::Method;

use crate::file_id::{FileId, VersionId};
use crate::message::head::BodyUse;
use crate::message::request::ASTERISK;

/// Methods of the read operations, as `Allow` lists them.
pub const ALLOWED_METHODS: &str = "GET, HEAD, OPTIONS";
/// Methods of the help documents, as `Allow` lists them.
pub const HELP_METHODS: &str = "GET, HEAD";
/// Methods of the webhook operation, as `Allow` lists them.
pub const WEBHOOK_METHODS: &str = "POST";

const WEBHOOK_PATH: &str = "/webhooks/imagekit";

/// A request that ikgate serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Route {
    /// `GET` or `HEAD` of a document about this gateway.
    Help(HelpDocument),
    /// `OPTIONS`: answered from the head alone.
    Preflight,
    /// `GET` or `HEAD` of a version list, or of one version.
    Read(FileId, Selector),
    /// `POST` of one of ImageKit's webhook events.
    Webhook,
}

/// Document about this gateway, for its callers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HelpDocument {
    /// Page for people, and the same as JSON.
    Guide,
    /// Description of the public listener, for programs.
    OpenApi,
}

/// Part of a file's version list that a request selects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Selector {
    /// The whole list.
    List,
    /// One version.
    Version(VersionId),
}

/// Reason why a request has no route.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RouteFault {
    /// The path has the shape of an operation, but the segment of the file id is not a valid id.
    #[error("the path does not hold a valid file id")]
    BadId,
    #[error("the path does not hold a valid version id")]
    BadVersionId,
    #[error("the method is not one of {HELP_METHODS}")]
    HelpMethod,
    #[error("the method is not one of {ALLOWED_METHODS}")]
    Method,
    #[error("no operation has this path")]
    NoRoute,
    #[error("the operation takes no query")]
    Query,
    #[error("the path ends in a slash")]
    TrailingSlash,
    #[error("the method is not {WEBHOOK_METHODS}")]
    WebhookMethod,
}

/// Path prefix of all operations: empty, or `/` and segments without a slash at the end.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BasePath(String);

/// Error of a text that is neither empty nor `/` followed by segments of unreserved characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("must be empty or like \"/imagekit\": a leading slash, none at the end")]
pub struct InvalidBasePath;

impl BasePath {
    pub fn parse(text: &str) -> Result<Self, InvalidBasePath> {
        let segment = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        match text.strip_prefix('/') {
            None if text.is_empty() => Ok(Self::default()),
            Some(segments) if segments.split('/').all(segment) => Ok(Self(text.to_owned())),
            _ => Err(InvalidBasePath),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Operations that this gateway serves.
#[derive(Clone, Debug, Default)]
pub struct Operations {
    pub base_path: BasePath,
    /// Whether webhooks are accepted. If not, their path is like any other unknown path.
    pub webhooks: bool,
    /// Whether the help documents are served. If not, their paths are like any other unknown path.
    pub help: bool,
}

impl Operations {
    /// Returns what the body of a request with this method and path is for.
    pub fn body_use(&self, method: &Method, path: &str) -> BodyUse {
        let path = path.strip_prefix(self.base_path.as_str());
        let webhook = self.webhooks && path == Some(WEBHOOK_PATH) && *method == Method::POST;
        if webhook { BodyUse::Webhook } else { BodyUse::Idle }
    }

    /// Finds the help document at a path below the base path.
    fn help_at(&self, path: &str) -> Option<HelpDocument> {
        match path {
            "/" if self.help => Some(HelpDocument::Guide),
            "/openapi.json" if self.help => Some(HelpDocument::OpenApi),
            _ => None,
        }
    }
}

/// Finds the route. The path is judged first, then the query, then the method.
///
/// # Errors
///
/// The first [`RouteFault`] that applies, in that order.
pub fn find(
    operations: &Operations,
    method: &Method,
    path: &str,
    query: Option<&str>,
) -> Result<Route, RouteFault> {
    // `OPTIONS *` asks about the server as a whole (RFC 9110 section 9.3.7).
    if path == ASTERISK && *method == Method::OPTIONS {
        return Ok(Route::Preflight);
    }
    let base = operations.base_path.as_str();
    let path = path.strip_prefix(base).ok_or(RouteFault::NoRoute)?;
    if operations.webhooks && path == WEBHOOK_PATH {
        return match (query, method) {
            (Some(_), _) => Err(RouteFault::Query),
            (None, &Method::POST) => Ok(Route::Webhook),
            (None, _) => Err(RouteFault::WebhookMethod),
        };
    }
    let help = || operations.help_at(path).map(Route::Help);
    let route = read_of(path).or_else(|fault| help().ok_or(fault))?;
    if query.is_some() {
        return Err(RouteFault::Query);
    }
    match (method, route) {
        (&Method::GET | &Method::HEAD, route) => Ok(route),
        (_, Route::Help(_)) => Err(RouteFault::HelpMethod),
        (&Method::OPTIONS, _) => Ok(Route::Preflight),
        (_, _) => Err(RouteFault::Method),
    }
}

/// Finds the route of `/v1/files/{fileId}/versions` or `/v1/files/{fileId}/versions/{versionId}`.
fn read_of(path: &str) -> Result<Route, RouteFault> {
    let rest = path.strip_prefix("/v1/files/").ok_or(RouteFault::NoRoute)?;
    // Nearly every request has this form and needs no further search.
    if let Some(Ok(file)) = rest.strip_suffix("/versions").map(FileId::parse) {
        return Ok(Route::Read(file, Selector::List));
    }
    // With a valid file id, the first `/versions/` separates the two ids. Otherwise the last one
    // does: SDKs that encode nothing send an id such as "../../x" as it is.
    let plain = rest.split_once("/versions/").filter(|(id, _)| FileId::parse(id).is_ok());
    let (id, version) = if let Some((id, version)) = plain {
        (id, Some(version))
    } else if let Some(id) = rest.strip_suffix("/versions") {
        (id, None)
    } else {
        let (id, version) = rest.rsplit_once("/versions/").ok_or(RouteFault::NoRoute)?;
        (id, Some(version))
    };
    let file = FileId::parse(id).map_err(|_| other_than(id, RouteFault::BadId))?;
    match version {
        None => Ok(Route::Read(file, Selector::List)),
        Some("") => Err(RouteFault::TrailingSlash),
        Some(version) => match (VersionId::parse(version), version.strip_suffix('/')) {
            (Ok(version), _) => Ok(Route::Read(file, Selector::Version(version))),
            (Err(_), Some(version)) if VersionId::parse(version).is_ok() => {
                Err(RouteFault::TrailingSlash)
            }
            (Err(_), _) => Err(other_than(version, RouteFault::BadVersionId)),
        },
    }
}

/// Returns the fault of a path that has `segments` where one id belongs. Several whole segments
/// mean another operation. Everything else means this operation with a bad id.
fn other_than(segments: &str, bad_id: RouteFault) -> RouteFault {
    let odd = |segment| matches!(segment, "" | "." | "..");
    let other = segments.contains('/') && !segments.split('/').any(odd);
    if other { RouteFault::NoRoute } else { bad_id }
}

#[cfg(test)]
mod tests {
    use http::Uri;
    use proptest::prelude::*;

    use super::*;

    /// Finds the route of a target in origin form.
    fn route(operations: &Operations, method: &Method, target: &str) -> Result<Route, RouteFault> {
        let uri: Uri = target.parse().unwrap();
        find(operations, method, uri.path(), uri.query())
    }

    fn get(target: &str) -> Result<Route, RouteFault> {
        route(&Operations::default(), &Method::GET, target)
    }

    #[test]
    fn only_a_valid_id_in_the_one_shape_is_a_route() {
        let id = FileId::parse("64a1b2c3d4e5f60718293a4b").unwrap();
        let (a, v) = (FileId::parse("a").unwrap(), VersionId::parse("v").unwrap());
        let versions = Selector::Version(VersionId::parse("versions").unwrap());
        let file_named_versions = FileId::parse("versions").unwrap();
        let long = format!("/v1/files/{}/versions", "a".repeat(65));
        let table = [
            ("/v1/files/64a1b2c3d4e5f60718293a4b/versions", Ok(Route::Read(id, Selector::List))),
            ("/v1/files/64a1b2c3d4e5f60718293a4b/versions/", Err(RouteFault::TrailingSlash)),
            ("/v1/files/64a1b2c3d4e5f60718293a4b/versions?", Err(RouteFault::Query)),
            ("/v1/files/64a1b2c3d4e5f60718293a4b/versions?a=b", Err(RouteFault::Query)),
            ("/v1/files//versions", Err(RouteFault::BadId)),
            ("/v1/files/../versions", Err(RouteFault::BadId)),
            ("/v1/files/./versions", Err(RouteFault::BadId)),
            ("/v1/files/../../etc/versions", Err(RouteFault::BadId)),
            ("/v1/files/a%2Fb/versions", Err(RouteFault::BadId)),
            ("/v1/files/%61/versions", Err(RouteFault::BadId)),
            ("/v1/files/a;b/versions", Err(RouteFault::BadId)),
            (&long, Err(RouteFault::BadId)),
            ("/v1/files/a/b/versions", Err(RouteFault::NoRoute)),
            ("/v1/files/a/versions/v", Ok(Route::Read(a, Selector::Version(v)))),
            ("/v1/files/a/versions/versions", Ok(Route::Read(a, versions))),
            ("/v1/files/a/versions/versions/", Err(RouteFault::TrailingSlash)),
            ("/v1/files/versions/versions", Ok(Route::Read(file_named_versions, Selector::List))),
            ("/v1/files/a/versions/v/versions", Err(RouteFault::NoRoute)),
            ("/v1/files/a/versions/v/", Err(RouteFault::TrailingSlash)),
            ("/v1/files/a/versions/v?x", Err(RouteFault::Query)),
            ("/v1/files/a/versions/v%20", Err(RouteFault::BadVersionId)),
            ("/v1/files/a/versions/..", Err(RouteFault::BadVersionId)),
            ("/v1/files/a/versions//", Err(RouteFault::BadVersionId)),
            ("/v1/files/a/versions/v/restore", Err(RouteFault::NoRoute)),
            ("/v1/files/../versions/v", Err(RouteFault::BadId)),
            ("/v1/files/a%20/versions/v%20", Err(RouteFault::BadId)),
            ("/v1/files/versions", Err(RouteFault::NoRoute)),
            ("/v1/files/a/details", Err(RouteFault::NoRoute)),
            ("/V1/files/a/versions", Err(RouteFault::NoRoute)),
            ("//v1/files/a/versions", Err(RouteFault::NoRoute)),
            ("/v1/files/a/Versions", Err(RouteFault::NoRoute)),
            ("/", Err(RouteFault::NoRoute)),
        ];
        for (target, expected) in table {
            assert_eq!(get(target), expected, "{target}");
        }
    }

    #[test]
    fn a_bad_path_is_named_before_a_bad_method() {
        let operations = Operations::default();
        let find = |target: &str| route(&operations, &Method::DELETE, target).map(|_| ());
        assert_eq!(find("/nothing"), Err(RouteFault::NoRoute));
        assert_eq!(find("/v1/files/a%20/versions"), Err(RouteFault::BadId));
        assert_eq!(find("/v1/files/a/versions"), Err(RouteFault::Method));
    }

    #[test]
    fn a_base_path_is_required_where_one_is_set() {
        let base_path = BasePath::parse("/imagekit").unwrap();
        let operations = Operations { base_path, ..Operations::default() };
        let find = |target: &str| route(&operations, &Method::GET, target).map(|_| ());
        assert!(find("/imagekit/v1/files/a/versions").is_ok());
        assert_eq!(find("/v1/files/a/versions"), Err(RouteFault::NoRoute));
        assert_eq!(find("/imagekitv1/files/a/versions"), Err(RouteFault::NoRoute));
        for bad in ["/", "a", "/a/", "//a", "/a/../b", "/a b", "/%61"] {
            assert_eq!(BasePath::parse(bad), Err(InvalidBasePath), "{bad}");
        }
    }

    #[test]
    fn events_are_posted_where_they_are_taken() {
        let base_path = BasePath::parse("/imagekit").unwrap();
        let operations = Operations { base_path, webhooks: true, help: false };
        let find = |method, target: &str| {
            route(&operations, &method, target).map(|route| route == Route::Webhook)
        };
        let path = "/imagekit/webhooks/imagekit";
        assert_eq!(find(Method::POST, path), Ok(true));
        assert_eq!(find(Method::GET, path), Err(RouteFault::WebhookMethod));
        assert_eq!(find(Method::OPTIONS, path), Err(RouteFault::WebhookMethod));
        assert_eq!(find(Method::POST, &format!("{path}?a")), Err(RouteFault::Query));
        assert_eq!(find(Method::POST, &format!("{path}/")), Err(RouteFault::NoRoute));
        assert_eq!(find(Method::POST, "/webhooks/imagekit"), Err(RouteFault::NoRoute));
        assert_eq!(get("/webhooks/imagekit"), Err(RouteFault::NoRoute));
    }

    #[test]
    fn help_is_below_the_base_path_if_it_is_on() {
        let base_path = BasePath::parse("/imagekit").unwrap();
        let operations = Operations { base_path, webhooks: false, help: true };
        let find = |method, target: &str| route(&operations, &method, target);
        let guide = Ok(Route::Help(HelpDocument::Guide));
        assert_eq!(find(Method::GET, "/imagekit/"), guide);
        assert_eq!(find(Method::HEAD, "/imagekit/"), guide);
        let description = Ok(Route::Help(HelpDocument::OpenApi));
        assert_eq!(find(Method::GET, "/imagekit/openapi.json"), description);
        for method in [Method::POST, Method::OPTIONS, Method::DELETE] {
            assert_eq!(find(method, "/imagekit/"), Err(RouteFault::HelpMethod));
        }
        assert_eq!(find(Method::POST, "/imagekit/?a"), Err(RouteFault::Query));
        for other in ["/", "/imagekit", "/imagekit//", "/imagekit/openapi.json/", "/openapi.json"] {
            assert_eq!(find(Method::GET, other), Err(RouteFault::NoRoute), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_route_is_found_only_for_the_path_that_its_id_makes(path in "/v1/files/[a./%-]{0,6}/versions") {
            let found = match get(&path) {
                Ok(Route::Read(id, Selector::List)) => Some(id),
                _ => None,
            };
            if let Some(id) = found {
                prop_assert_eq!(&id.versions_path(), &path);
            }
        }
    }
}
