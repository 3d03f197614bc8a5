//! Part of ImageKit's Media API that the gateway uses: versions of a file, and one version.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Method, StatusCode};
use parking_lot::Mutex;

use super::library::{Library, is_id};
use super::replies::{error, tagged};
use crate::secret::Secret;
use crate::server::Reply;

/// Answers a read of versions as ImageKit does.
pub(super) fn answer(head: &Parts, key: &Secret, library: &Mutex<Library>) -> Reply {
    if let Err(reply) = authenticate(head, key) {
        return *reply;
    }
    let segments: Vec<&str> = head.uri.path().split('/').skip(1).collect();
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    match segments.as_slice() {
        ["v1", "files", file, "versions"] if is_read => versions(file, library),
        ["v1", "files", file, "versions", version] if is_read => {
            one_version(file, version, library)
        }
        _ => error(StatusCode::NOT_FOUND, "The sandbox only answers reads of versions."),
    }
}

/// Checks Basic authentication with the key as user name; the password does not matter. As at
/// ImageKit, a missing key gives 401 and a wrong key 403.
fn authenticate(head: &Parts, private_key: &Secret) -> Result<(), Box<Reply>> {
    let refused = |status, message| Err(Box::new(error(status, message)));
    let Some(value) = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        let message = "Your request does not contain private API key.";
        return refused(StatusCode::UNAUTHORIZED, message);
    };
    let pair = value
        .strip_prefix("Basic ")
        .and_then(|pair| BASE64_STANDARD.decode(pair.trim()).ok())
        .and_then(|pair| String::from_utf8(pair).ok());
    let key = pair.as_deref().and_then(|pair| pair.split_once(':')).map(|(key, _)| key);
    if key == Some(private_key.expose()) {
        Ok(())
    } else {
        refused(StatusCode::FORBIDDEN, "Your account cannot be authenticated.")
    }
}

fn versions(file: &str, library: &Mutex<Library>) -> Reply {
    if !is_id(file) {
        let message = "Your request contains invalid fileId parameter.";
        return error(StatusCode::BAD_REQUEST, message);
    }
    match library.lock().versions(file) {
        Some(versions) => tagged(&versions),
        None => error(StatusCode::NOT_FOUND, "The requested file does not exist."),
    }
}

fn one_version(file: &str, version: &str, library: &Mutex<Library>) -> Reply {
    for (id, message) in [
        (file, "Your request contains invalid fileId parameter."),
        (version, "Your request contains invalid versionId parameter."),
    ] {
        if !is_id(id) {
            return error(StatusCode::BAD_REQUEST, message);
        }
    }
    let Some(versions) = library.lock().versions(file) else {
        return error(StatusCode::NOT_FOUND, "The requested asset does not exist.");
    };
    match versions.iter().find(|object| object.version_info.id == version) {
        Some(object) => tagged(object),
        None => error(StatusCode::NOT_FOUND, "The requested file version does not exist."),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::super::library::IMAGE_WITH_VERSIONS;
    use super::*;

    fn get(path: &str, pair: Option<&str>) -> Reply {
        let mut request = Request::get(path);
        if let Some(pair) = pair {
            let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
            request = request.header(AUTHORIZATION, value);
        }
        let key = Secret::new("private_k=".to_owned());
        let library = Mutex::new(Library::seeded());
        answer(&request.body(()).unwrap().into_parts().0, &key, &library)
    }

    #[test]
    fn a_missing_key_is_401_a_wrong_one_403_and_the_password_does_not_matter() {
        let path = format!("/v1/files/{IMAGE_WITH_VERSIONS}/versions");
        let status = |pair| get(&path, pair).status().as_u16();
        assert_eq!(status(None), 401);
        assert_eq!(status(Some("private_k:")), 403);
        assert_eq!(status(Some("private_k=")), 403, "no colon");
        assert_eq!(status(Some("private_k=:")), 200);
        assert_eq!(status(Some("private_k=:do_not_set")), 200);
    }

    #[test]
    fn ids_are_refused_and_missed_as_documented() {
        let status = |path: &str| get(path, Some("private_k=:")).status().as_u16();
        assert_eq!(status("/v1/files/a%20b/versions"), 400);
        assert_eq!(status("/v1/files/000000000000000000000000/versions"), 404);
        assert_eq!(status(&format!("/v1/files/{IMAGE_WITH_VERSIONS}/versions/none")), 404);
        assert_eq!(status("/v1/files"), 404);
    }
}
