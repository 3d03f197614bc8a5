//! Which operation a request asks for.
//!
//! Matching is on the raw path as received. Nothing is decoded or normalised, so no spelling
//! of a path reaches an operation in two ways and nothing but a validated id goes upstream.

use http::Method;

use crate::file_id::{FileId, VersionId};
use crate::message::head::BodyUse;
use crate::message::request::ASTERISK;

/// What the answer to another method says is allowed.
pub const ALLOWED_METHODS: &str = "GET, HEAD, OPTIONS";
/// The same where events come in.
pub const WEBHOOK_METHODS: &str = "POST";

const WEBHOOK_PATH: &str = "/webhooks/imagekit";

/// A request that ikgate serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Route {
    /// `OPTIONS`: answered from the head alone.
    Preflight,
    /// `GET` or `HEAD`.
    Read(FileId, Selector),
    /// `POST` of ImageKit's events.
    Webhook,
}

/// Which part of a file's version list a request selects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Selector {
    /// All of it.
    List,
    /// One version.
    Version(VersionId),
}

/// Why there is no route.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RouteFault {
    /// The path has the shape of an operation, with something else where the file's id belongs.
    #[error("the path does not hold a valid file id")]
    BadId,
    #[error("the path does not hold a valid version id")]
    BadVersionId,
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

/// The path under which all operations live: empty, or `/` and segments without a slash at the
/// end.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BasePath(String);

/// Not empty, and not `/` followed by segments of unreserved characters.
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

/// Which operations there are.
#[derive(Clone, Debug, Default)]
pub struct Operations {
    pub base_path: BasePath,
    /// Whether events are taken. If not, their path is like any other that does not exist.
    pub webhooks: bool,
}

impl Operations {
    /// What the body of a request for this would be for.
    pub fn body_use(&self, path: &str) -> BodyUse {
        let path = path.strip_prefix(self.base_path.as_str());
        let webhook = self.webhooks && path == Some(WEBHOOK_PATH);
        if webhook { BodyUse::Webhook } else { BodyUse::Idle }
    }
}

/// Finds the route, in CONTRACT's order: path, then what is wrong with it, then method.
///
/// # Errors
///
/// The first of [`RouteFault`]'s reasons that holds, in that order.
pub fn find(
    operations: &Operations,
    method: &Method,
    path: &str,
    query: Option<&str>,
) -> Result<Route, RouteFault> {
    // Of the server as a whole (RFC 9110 section 9.3.7).
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
    let route = read_of(path)?;
    if query.is_some() {
        return Err(RouteFault::Query);
    }
    match *method {
        Method::GET | Method::HEAD => Ok(route),
        Method::OPTIONS => Ok(Route::Preflight),
        _ => Err(RouteFault::Method),
    }
}

/// `/v1/files/{fileId}/versions`, and perhaps `/{versionId}`.
fn read_of(path: &str) -> Result<Route, RouteFault> {
    let rest = path.strip_prefix("/v1/files/").ok_or(RouteFault::NoRoute)?;
    // Nearly every request is this, and is not searched any further.
    if let Some(Ok(file)) = rest.strip_suffix("/versions").map(FileId::parse) {
        return Ok(Route::Read(file, Selector::List));
    }
    // From the end, unless it is plain: SDKs that encode nothing send an id like "../../x" as it
    // is.
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

/// The fault of a path that has `segments` where one id belongs: it means the operation, with a
/// bad id, unless they are more than one whole segment. Then it means another operation.
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
        let operations = Operations { base_path, webhooks: false };
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
        let operations = Operations { base_path, webhooks: true };
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
