//! Check of `[cors]`: pages that may read answers.

use super::super::given::{Given, each};
use super::super::section::Section;
use crate::response::{AllowedOrigin, Cors};

/// Maximum number of allowed origins. Each is compared with every request from a page.
const ORIGINS_MAX: usize = 100;

pub(super) fn cors(cors: &mut Section, on_loopback: bool) -> Option<Cors> {
    let origins = cors.require("allowed_origins", |given| {
        let texts = given.texts().map_err(str::to_owned)?;
        if !(1..=ORIGINS_MAX).contains(&texts.len()) {
            return Err(format!("must be 1 to {ORIGINS_MAX} origins"));
        }
        each(&texts, origin)
    });
    let max_age = cors.get("max_age", Given::duration);
    let is_for_development = |origin: &AllowedOrigin| matches!(origin, AllowedOrigin::AnyPortOf(_));
    if !on_loopback && origins.iter().flatten().any(is_for_development) {
        cors.warn(
            "allowed_origins",
            "allows every port of localhost or 127.0.0.1, which is for development, and \
             server.listen is not only loopback: list the origins of your pages",
        );
    }
    origins.map(|origins| Cors { origins, max_age })
}

/// Returns the text, if `cors.allowed_origins` may list it.
///
/// # Errors
///
/// Returns what is wrong with it.
pub fn listed_origin(text: &str) -> Result<String, String> {
    origin(text).map(|_| text.to_owned())
}

fn origin(text: &str) -> Result<AllowedOrigin, String> {
    AllowedOrigin::parse(text).map_err(|error| {
        let bare = text.trim_end_matches('/');
        if bare != text && AllowedOrigin::parse(bare).is_ok() {
            format!("{text:?} ends with a slash: write {bare:?}")
        } else {
            format!("{text:?} {error}")
        }
    })
}
