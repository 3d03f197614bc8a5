//! Check of `[jwt]`: keys, issuer and audience of tokens, revoked tokens, and their quota.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::given::{Given, each};
use super::super::section::Section;
use super::file::{file, warn_of_readers};
use super::quota::quota;
use crate::caller::{
    KEYS_MAX, KeyProvider, KeySet, KeySetUrl, RevokedTokens, TokenAlgorithm, TokenKey, TokenKeys,
    TokenSettings,
};
use crate::error_chain::chain;
use crate::limit::Quota;

/// Keys that name the source of the keys. Exactly one of them must be set.
const SOURCES: [&str; 3] = ["key_file", "key_files", "jwks_url"];

/// Reads the section. Returns nothing if it is absent.
pub(super) fn jwt(root: &mut Section, directory: &Path) -> (Option<TokenSettings>, Option<Quota>) {
    if !root.has("jwt") {
        return (None, None);
    }
    let mut jwt = root.section("jwt");
    let keys = keys(&mut jwt, directory);
    let issuer = jwt.require("issuer", word);
    let audience = jwt.get("audience", word);
    let revoked = jwt.optional("revoked_file", |given| {
        let path = file(given, directory).map_err(str::to_owned)?;
        RevokedTokens::from_file(&path).map(Arc::new).map_err(|error| chain(&error))
    });
    let quota = quota(&mut jwt, "quota");
    let settings = match (keys, issuer) {
        (Some(keys), Some(issuer)) => Some(TokenSettings { keys, issuer, audience, revoked }),
        _ => None,
    };
    (settings, Some(quota))
}

fn keys(jwt: &mut Section, directory: &Path) -> Option<TokenKeys> {
    let of_provider = jwt.has("jwks_url");
    if of_provider && jwt.has("algorithm") {
        jwt.note("algorithm", "is for key_file and key_files: jwks_url needs algorithms");
    }
    if !of_provider && jwt.has("algorithms") {
        jwt.note("algorithms", "is for jwks_url: key_file and key_files need algorithm");
    }
    let algorithm = jwt.get("algorithm", |given| algorithm(given.text()?));
    // Without a known algorithm the keys cannot be checked.
    let algorithm = (!jwt.is_noted("algorithm")).then_some(algorithm);
    let given = SOURCES.into_iter().filter(|source| jwt.has(source)).collect::<Vec<_>>();
    match given[..] {
        [] => jwt.note("key_file", "is required, or key_files, or jwks_url"),
        [_] => {}
        [first, ..] => jwt.note(first, "must be the only one of key_file, key_files and jwks_url"),
    }
    let one = jwt.optional("key_file", |given| key(given, directory, algorithm));
    let one = one.and_then(|(path, key)| warned(jwt, "key_file", &path, key));
    let several = jwt.has("key_files").then(|| key_files(jwt, directory, algorithm));
    let algorithms = jwt.get("algorithms", algorithms);
    let url = jwt.optional("jwks_url", |given| {
        KeySetUrl::parse(given.text()?).map_err(|error| error.to_string())
    });
    let provider = url.map(|url| TokenKeys::Provider(KeyProvider { url, algorithms }));
    one.map(TokenKeys::One).or(several.map(TokenKeys::ByKid)).or(provider)
}

/// Reads a key, with the path of its file; none if the algorithm is not known.
fn key(
    given: &Given,
    directory: &Path,
    algorithm: Option<TokenAlgorithm>,
) -> Result<(PathBuf, Option<TokenKey>), String> {
    let path = file(given, directory).map_err(str::to_owned)?;
    let key = algorithm.map(|algorithm| TokenKey::from_file(algorithm, &path));
    let key = key.transpose().map_err(|error| chain(&error))?;
    Ok((path, key))
}

/// Returns the key. Warns if it is a secret (HS256) that every user of the machine can read.
fn warned(jwt: &Section, name: &str, path: &Path, key: Option<TokenKey>) -> Option<TokenKey> {
    if key.as_ref().is_some_and(|key| key.algorithm() == TokenAlgorithm::Hs256) {
        warn_of_readers(jwt, name, path);
    }
    key
}

fn key_files(jwt: &mut Section, directory: &Path, algorithm: Option<TokenAlgorithm>) -> KeySet {
    let mut files = jwt.section("key_files");
    let kids = files.names();
    if kids.is_empty() || kids.len() > KEYS_MAX {
        jwt.note(
            "key_files",
            format_args!("must name from 1 to {KEYS_MAX} files, each by its kid"),
        );
    }
    let named = kids.into_iter().filter_map(|kid| {
        let (path, key) = files.optional(&kid, |given| key(given, directory, algorithm))?;
        let key = warned(&files, &kid, &path, key)?;
        Some((kid, key))
    });
    KeySet::new(named.collect::<Vec<_>>())
}

fn algorithm(name: &str) -> Result<TokenAlgorithm, &'static str> {
    let known = TokenAlgorithm::ALL.into_iter().find(|known| known.as_str() == name);
    known.ok_or("must be \"EdDSA\", \"ES256\", \"HS256\" or \"RS256\"")
}

fn algorithms(given: &Given) -> Result<Vec<TokenAlgorithm>, String> {
    const EXPECTED: &str = "must be a list of \"EdDSA\", \"ES256\" and \"RS256\", at least one";
    let named = given.texts().map_err(|_| EXPECTED)?;
    // The key of HS256 is a secret, which no provider publishes.
    let published =
        |name: &str| algorithm(name).ok().filter(|known| *known != TokenAlgorithm::Hs256);
    let named = each(&named, |name| {
        published(name)
            .ok_or_else(|| format!("{name:?} is none of \"EdDSA\", \"ES256\", \"RS256\""))
    })?;
    if named.is_empty() { Err(EXPECTED.to_owned()) } else { Ok(named) }
}

fn word(given: &Given) -> Result<String, &'static str> {
    match given.text()? {
        "" => Err("must not be empty"),
        text => Ok(text.to_owned()),
    }
}
