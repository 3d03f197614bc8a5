//! URL of the Redis server (`redis://` or `rediss://`); its password is never printed.

use std::fmt;

use redis::{Client, IntoConnectionInfo as _};

use crate::secret::Secret;

/// URL of the Redis server, with user and password.
#[derive(Clone, Eq, PartialEq)]
pub struct RedisUrl(Secret);

/// Error for a text that is not such a URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "must be a URL like \"redis://user:password@host:6379\", or rediss:// for TLS, \
     with special characters of the password percent-encoded"
)]
pub struct InvalidRedisUrl;

impl RedisUrl {
    /// Parses a URL.
    pub fn parse(text: &str) -> Result<Self, InvalidRedisUrl> {
        let is_network = text.starts_with("redis://") || text.starts_with("rediss://");
        // A fragment is refused: with `#insecure` the server's certificate would not be verified.
        if !is_network || text.contains('#') || text.into_connection_info().is_err() {
            return Err(InvalidRedisUrl);
        }
        Ok(Self(Secret::new(text.to_owned())))
    }

    pub(super) fn client(&self) -> Client {
        Client::open(self.0.expose()).expect("it was parsed before")
    }
}

/// Prints the URL without user and password.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(self.0.expose()))
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn without_password(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_not_shown() {
        for (text, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("rediss://u:canary@h:1/2", "rediss://***@h:1/2"),
            ("redis://:can@ary@h", "redis://***@h"),
        ] {
            let url = RedisUrl::parse(text).unwrap();
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
        }
    }

    #[test]
    fn a_url_of_another_kind_is_refused() {
        for text in
            ["", "localhost:6379", "http://h", "unix:///s", "redis://", "rediss://h#insecure"]
        {
            assert_eq!(RedisUrl::parse(text), Err(InvalidRedisUrl), "{text}");
        }
    }
}
