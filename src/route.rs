//! Which operation a request asks for.
//!
//! Matching is on the raw path as received. Nothing is decoded or normalised, so no spelling
//! of a path reaches an operation in two ways and nothing but a validated id goes upstream.

use http::{Method, Uri};

use crate::file_id::FileId;

/// What the answer to another method says is allowed.
pub const ALLOWED_METHODS: &str = "GET, HEAD, OPTIONS";

/// A request that ikgate serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Route {
    /// `OPTIONS`: answered from the head alone.
    Preflight,
    /// `GET` or `HEAD` of a file's version list.
    Versions(FileId),
}

/// Why there is no route.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RouteFault {
    /// The path has the shape of an operation, with something else where the file's id belongs.
    #[error("the path does not hold a valid file id")]
    BadId,
    #[error("the method is not one of {ALLOWED_METHODS}")]
    Method,
    #[error("no operation has this path")]
    NoRoute,
    #[error("the operation takes no query")]
    Query,
    #[error("the path ends in a slash")]
    TrailingSlash,
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

/// Finds the route, in CONTRACT's order: path, then what is wrong with it, then method.
///
/// # Errors
///
/// The first of [`RouteFault`]'s reasons that holds, in that order.
pub fn find(base: &BasePath, method: &Method, uri: &Uri) -> Result<Route, RouteFault> {
    let path = uri.path().strip_prefix(base.as_str()).ok_or(RouteFault::NoRoute)?;
    let file_id = versions_of(path)?;
    if uri.query().is_some() {
        return Err(RouteFault::Query);
    }
    match *method {
        Method::GET | Method::HEAD => Ok(Route::Versions(file_id)),
        Method::OPTIONS => Ok(Route::Preflight),
        _ => Err(RouteFault::Method),
    }
}

/// The id in `/v1/files/{fileId}/versions`.
fn versions_of(path: &str) -> Result<FileId, RouteFault> {
    let middle = path.strip_prefix("/v1/files/").ok_or(RouteFault::NoRoute)?;
    let (id, slash) = match middle.strip_suffix("/versions") {
        Some(id) => (id, false),
        None => (middle.strip_suffix("/versions/").ok_or(RouteFault::NoRoute)?, true),
    };
    let id = FileId::parse(id).map_err(|_| {
        // SDKs that encode nothing send "../../x" as it is: such a path means this operation,
        // with a bad id. One with more whole segments means another.
        let odd = |segment| matches!(segment, "" | "." | "..");
        let other = id.contains('/') && !id.split('/').any(odd);
        if other { RouteFault::NoRoute } else { RouteFault::BadId }
    })?;
    if slash { Err(RouteFault::TrailingSlash) } else { Ok(id) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn get(target: &str) -> Result<Route, RouteFault> {
        find(&BasePath::default(), &Method::GET, &target.parse().unwrap())
    }

    #[test]
    fn only_a_valid_id_in_the_one_shape_is_a_route() {
        let id = FileId::parse("64a1b2c3d4e5f60718293a4b").unwrap();
        let long = format!("/v1/files/{}/versions", "a".repeat(65));
        let table = [
            ("/v1/files/64a1b2c3d4e5f60718293a4b/versions", Ok(Route::Versions(id))),
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
        let base = BasePath::default();
        let find = |target: &str| find(&base, &Method::DELETE, &target.parse().unwrap());
        assert_eq!(find("/nothing"), Err(RouteFault::NoRoute));
        assert_eq!(find("/v1/files/a%20/versions"), Err(RouteFault::BadId));
        assert_eq!(find("/v1/files/a/versions"), Err(RouteFault::Method));
    }

    #[test]
    fn a_base_path_is_required_where_one_is_set() {
        let base = BasePath::parse("/imagekit").unwrap();
        let find = |target: &str| find(&base, &Method::GET, &target.parse().unwrap());
        assert!(find("/imagekit/v1/files/a/versions").is_ok());
        assert_eq!(find("/v1/files/a/versions"), Err(RouteFault::NoRoute));
        assert_eq!(find("/imagekitv1/files/a/versions"), Err(RouteFault::NoRoute));
        for bad in ["/", "a", "/a/", "//a", "/a/../b", "/a b", "/%61"] {
            assert_eq!(BasePath::parse(bad), Err(InvalidBasePath), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_route_is_found_only_for_the_path_that_its_id_makes(path in "/v1/files/[a./%-]{0,6}/versions") {
            if let Ok(Route::Versions(id)) = get(&path) {
                prop_assert_eq!(id.versions_path(), path);
            }
        }
    }
}
