//! `ikgate token`: signs a token (JWT) for a page, as a team's own back end does.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;

use super::config_file::{ConfigFile, environment};
use super::report::{Failure, print};
use crate::caller::{
    Audience, Claims, FILES_MAX, LIFETIME_MAX, NumericDate, TokenSettings, TokenSigner,
};
use crate::clock::Clock;
use crate::config;
use crate::error_chain::chain;
use crate::file_id::FileId;

#[derive(Debug, clap::Args)]
pub(super) struct Token {
    #[command(flatten)]
    config: ConfigFile,
    /// Subject of the token: a user or a session. Each subject has its own quota.
    #[arg(long, value_name = "SUBJECT", value_parser = NonEmptyStringValueParser::new())]
    sub: String,
    /// Files that the token allows, private ones included. Without it, the token allows every
    /// public file. At most 256 files, in a token of at most 4 KiB: about 100 of ImageKit's ids.
    #[arg(long, value_name = "FILE_ID,...", value_delimiter = ',', value_parser = FileId::parse)]
    files: Option<Vec<FileId>>,
    /// Lifetime of the token, like 5m; at most 1h.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_ttl)]
    ttl: Duration,
    /// File with the private key, in PEM, that belongs to `jwt.key_file`. Not for HS256: there,
    /// `jwt.key_file` itself holds the secret.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

impl Token {
    pub(super) fn run(self) -> Result<(), Failure> {
        let settings = config::tokens(&self.config.config, environment());
        let settings = settings.map_err(Failure::Config)?;
        let failed = |error: &dyn std::error::Error| Failure::Run(chain(error));
        let signer = TokenSigner::new(&settings, self.key.as_deref());
        let signer = signer.map_err(|error| failed(&error))?;
        let clock = Clock::system();
        let claims = self.claims(&settings, clock.unix_time())?;
        let token = signer.sign(&claims, clock.unix_time()).map_err(|error| failed(&error))?;
        print(token.expose());
        Ok(())
    }

    fn claims(self, settings: &TokenSettings, unix_time: Duration) -> Result<Claims, Failure> {
        let files = self.files.map(|files| files.iter().map(ToString::to_string).collect());
        let files: Option<Vec<String>> = files;
        if files.as_ref().is_some_and(|files| files.len() > FILES_MAX) {
            return Err(Failure::Run(format!("a token names at most {FILES_MAX} files")));
        }
        // Whole seconds, as other JWT libraries write them.
        let issued = Duration::from_secs(unix_time.as_secs());
        let (iat, exp) = (NumericDate(issued), NumericDate(issued + self.ttl));
        Ok(Claims {
            sub: self.sub,
            iss: settings.issuer.clone(),
            aud: Audience::One(settings.audience.clone()),
            iat,
            exp,
            nbf: None,
            jti: None,
            files,
        })
    }
}

fn parse_ttl(text: &str) -> Result<Duration, &'static str> {
    match humantime::parse_duration(text) {
        Ok(ttl) if ttl >= Duration::from_secs(1) && ttl <= LIFETIME_MAX => Ok(ttl),
        _ => Err("must be a duration like 5m, from 1s to 1h"),
    }
}
