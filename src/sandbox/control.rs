//! Control API under `/_sandbox`, which lists and changes files. ImageKit has no such API.

use std::time::SystemTime;

use http::{Method, StatusCode};
use parking_lot::Mutex;

use super::library::{AddError, Library};
use super::replies::{control_error, json};
use super::webhook::FileChange;
use crate::server::Reply;

/// Answers a request of the control API. Returns the change that it made, too.
pub(super) fn answer(
    method: &Method,
    path: &str,
    library: &Mutex<Library>,
    now: SystemTime,
) -> (Reply, Option<FileChange>) {
    let segments: Vec<&str> = path.split('/').collect();
    let reply = match (method, segments.as_slice()) {
        (&Method::GET, ["files"]) => json(StatusCode::OK, &library.lock().summary()),
        (&Method::POST, ["files", file, "versions"]) => {
            let added = library.lock().add_version(file, now);
            match added {
                Ok((version, first)) => {
                    let reply = json(StatusCode::CREATED, &version);
                    let change = FileChange::Created { object: Box::new(version), first };
                    return (reply, Some(change));
                }
                Err(AddError::Id) => {
                    let message = "Your request contains invalid fileId parameter.";
                    control_error(StatusCode::BAD_REQUEST, message)
                }
                Err(AddError::Full(reason)) => control_error(StatusCode::CONFLICT, reason),
            }
        }
        (&Method::DELETE, ["files", file, "versions"]) => {
            let removed = library.lock().remove_version(file);
            if let Some(removed) = removed {
                let reply = json(StatusCode::OK, &removed);
                let change = FileChange::Deleted { file: (*file).to_owned(), removed };
                return (reply, Some(change));
            }
            control_error(StatusCode::NOT_FOUND, "The requested file does not exist.")
        }
        _ => control_error(
            StatusCode::NOT_FOUND,
            "Use GET /_sandbox/files, or POST or DELETE /_sandbox/files/{fileId}/versions.",
        ),
    };
    (reply, None)
}
