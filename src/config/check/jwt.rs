//! Check of `[jwt]`: algorithm, key, issuer and audience of tokens, and their quota.

use std::path::Path;

use super::super::value::{Given, Section};
use super::file;
use super::limits::quota;
use crate::caller::{TokenAlgorithm, TokenKey, TokenKeys, TokenSettings};
use crate::error::chain;
use crate::limit::Quota;

const TOKEN_QUOTA: Quota = Quota::new(5, 20).expect("neither is zero");

/// Reads the section. Returns nothing if it is absent.
pub(super) fn jwt(root: &mut Section, directory: &Path) -> (Option<TokenSettings>, Option<Quota>) {
    if !root.has("jwt") {
        return (None, None);
    }
    let mut jwt = root.section("jwt");
    let has_algorithm = jwt.has("algorithm");
    let named = jwt.get("algorithm", |given| {
        let name = given.text()?;
        let algorithm = TokenAlgorithm::ALL.into_iter().find(|known| known.as_str() == name);
        algorithm.ok_or("must be \"EdDSA\", \"ES256\", \"HS256\" or \"RS256\"")
    });
    let unknown = named.is_none() && has_algorithm;
    let algorithm = named.unwrap_or(TokenAlgorithm::EdDsa);
    let key = jwt.require("key_file", |given| {
        let path = file(given, directory).map_err(str::to_owned)?;
        // Without a known algorithm the key cannot be checked.
        if unknown {
            return Ok(None);
        }
        TokenKey::from_file(algorithm, &path).map(Some).map_err(|error| chain(&error))
    });
    let key = key.flatten();
    let issuer = jwt.require("issuer", word);
    let audience = jwt.get("audience", word).unwrap_or_else(|| "ikgate".to_owned());
    let quota = quota(&mut jwt, "quota", TOKEN_QUOTA);
    let settings = match (key, issuer) {
        (Some(key), Some(issuer)) => {
            let keys = TokenKeys::One(key);
            Some(TokenSettings { keys, issuer, audience, revoked: None })
        }
        _ => None,
    };
    (settings, Some(quota))
}

fn word(given: &Given) -> Result<String, &'static str> {
    match given.text()? {
        "" => Err("must not be empty"),
        text => Ok(text.to_owned()),
    }
}
