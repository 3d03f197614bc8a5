//! Claims of a JSON Web Token (RFC 7519), and their check at a given time.
//!
//! The check does no I/O: its caller has verified the signature and read the clock.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::failure::AuthFailure;
use crate::file_id::FileId;

/// Tolerance for the difference between the clocks of the token's signer and of this machine.
pub(super) const LEEWAY: Duration = Duration::from_secs(30);

/// Longest time between `iat` and `exp`. A stolen token works until `exp`, or until it is revoked.
pub const LIFETIME_MAX: Duration = Duration::from_hours(1);

/// Maximum number of files that a token may name.
pub const FILES_MAX: usize = 256;

/// Claims of a token.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Claims {
    /// Subject: the user that the token was signed for. Empty if it is missing.
    #[serde(default)]
    pub sub: String,
    /// Issuer; must be `jwt.issuer`.
    pub iss: String,
    /// Audience; must contain `jwt.audience`.
    pub aud: Audience,
    /// Time at which the token expires.
    pub exp: NumericDate,
    /// Time at which the token was issued.
    pub iat: NumericDate,
    /// Time before which the token is not valid. Absent or a date, and not null: a claim that is
    /// present must be valid (section 4.1.5).
    #[serde(default, deserialize_with = "never_null", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<NumericDate>,
    /// Id of the token, by which it can be revoked. Absent or text, and not null.
    #[serde(default, deserialize_with = "never_null", skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Ids of the files that the token is for; every public file when absent. Not null, since some back
    /// ends write an empty list as null.
    #[serde(default, deserialize_with = "never_null", skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<String>>,
}

fn never_null<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Unix time of a claim. It is written in whole seconds and read with or without a fraction
/// (section 2).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct NumericDate(pub Duration);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for NumericDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0.as_secs())
    }
}

/// Audience that a token is for (section 4.1.3).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Claims that were accepted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AcceptedClaims {
    pub(super) subject: String,
    pub(super) id: Option<String>,
    /// File ids, sorted; `None`: every file.
    pub(super) files: Option<Vec<FileId>>,
    /// Unix time from which the token is valid, leeway included.
    pub(super) begins: Duration,
    /// Time from now until the token expires, leeway included.
    pub(super) remaining: Duration,
}

impl Claims {
    /// Checks the claims.
    pub(super) fn accept(
        self,
        issuer: &str,
        audience: &str,
        unix_time: Duration,
    ) -> Result<AcceptedClaims, AuthFailure> {
        if self.iss != issuer {
            return Err(AuthFailure::TokenIssuer);
        }
        if !self.aud.contains(audience) {
            return Err(AuthFailure::TokenAudience);
        }
        let (NumericDate(from), NumericDate(until)) = (self.iat, self.exp);
        let NumericDate(begins) = self.nbf.unwrap_or(self.iat).max(self.iat);
        let begins = begins.saturating_sub(LEEWAY);
        if begins > unix_time {
            return Err(AuthFailure::TokenNotYetValid);
        }
        let lifetime = until.checked_sub(from).ok_or(AuthFailure::TokenLifetime)?;
        if lifetime > LIFETIME_MAX {
            return Err(AuthFailure::TokenLifetime);
        }
        let ends = until.saturating_add(LEEWAY);
        let remaining = ends.checked_sub(unix_time).filter(|left| !left.is_zero());
        let remaining = remaining.ok_or(AuthFailure::TokenExpired)?;
        if self.sub.is_empty() {
            return Err(AuthFailure::TokenSubject);
        }
        let files = self.files.map(|files| sorted(&files)).transpose()?;
        Ok(AcceptedClaims { subject: self.sub, id: self.jti, files, begins, remaining })
    }
}

/// Returns why a payload cannot be read as claims: the first claim that is missing or of the wrong
/// type, by the types of [`Claims`].
pub(super) fn unreadable(payload: &str) -> AuthFailure {
    let Ok(claims) = serde_json::from_str::<Map<String, Value>>(payload) else {
        return AuthFailure::TokenClaims;
    };
    let failures = [
        (is::<String>(claims.get("iss")), AuthFailure::TokenIssuer),
        (is::<Audience>(claims.get("aud")), AuthFailure::TokenAudience),
        (is::<NumericDate>(claims.get("exp")), AuthFailure::TokenExp),
        (is::<NumericDate>(claims.get("iat")), AuthFailure::TokenIat),
        (is_absent_or::<NumericDate>(claims.get("nbf")), AuthFailure::TokenNbf),
        (is_absent_or::<String>(claims.get("jti")), AuthFailure::TokenJti),
        (is_absent_or::<String>(claims.get("sub")), AuthFailure::TokenSubject),
        (is_absent_or::<Vec<String>>(claims.get("files")), AuthFailure::TokenFiles),
    ];
    let first = failures.into_iter().find(|(is_valid, _)| !is_valid);
    first.map_or(AuthFailure::TokenClaims, |(_, failure)| failure)
}

fn is<'de, T: Deserialize<'de>>(claim: Option<&'de Value>) -> bool {
    claim.is_some_and(|claim| T::deserialize(claim).is_ok())
}

fn is_absent_or<'de, T: Deserialize<'de>>(claim: Option<&'de Value>) -> bool {
    claim.is_none() || is::<T>(claim)
}

impl Audience {
    fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

fn sorted(files: &[String]) -> Result<Vec<FileId>, AuthFailure> {
    if files.len() > FILES_MAX {
        return Err(AuthFailure::TokenFiles);
    }
    let ids: Result<Vec<_>, _> = files.iter().map(|file| FileId::parse(file)).collect();
    let mut ids = ids.map_err(|_| AuthFailure::TokenFiles)?;
    ids.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    /// Returns claims with times in seconds from now.
    fn claims(iat: f64, exp: f64) -> Claims {
        Claims {
            sub: "user".into(),
            iss: "https://app.example.com".into(),
            aud: Audience::One("ikgate".into()),
            exp: from_now(exp),
            iat: from_now(iat),
            nbf: None,
            jti: None,
            files: None,
        }
    }

    fn from_now(seconds: f64) -> NumericDate {
        NumericDate(Duration::from_secs_f64(NOW.as_secs_f64() + seconds))
    }

    fn accept(claims: Claims) -> Result<AcceptedClaims, AuthFailure> {
        claims.accept("https://app.example.com", "ikgate", NOW)
    }

    #[test]
    fn a_token_is_valid_from_leeway_before_it_is_issued_to_leeway_after_it_expires() {
        let remaining = |iat, exp| accept(claims(iat, exp)).map(|accepted| accepted.remaining);
        assert_eq!(remaining(0.0, 300.0), Ok(Duration::from_secs(330)));
        assert_eq!(remaining(30.0, 300.0), Ok(Duration::from_secs(330)));
        assert_eq!(remaining(30.5, 300.0), Err(AuthFailure::TokenNotYetValid));
        assert_eq!(remaining(-60.0, -29.5), Ok(Duration::from_millis(500)));
        assert_eq!(remaining(-60.0, -30.0), Err(AuthFailure::TokenExpired));
    }

    #[test]
    fn a_token_lives_for_an_hour_at_most() {
        let lifetime = |iat, exp| accept(claims(iat, exp)).map(drop);
        assert_eq!(lifetime(-1.0, 3599.0), Ok(()));
        assert_eq!(lifetime(-1.0, 3600.0), Err(AuthFailure::TokenLifetime));
        assert_eq!(lifetime(20.0, 10.0), Err(AuthFailure::TokenLifetime));
    }

    #[test]
    fn nbf_is_honoured() {
        let nbf =
            |at: f64| accept(Claims { nbf: Some(from_now(at)), ..claims(-10.0, 60.0) }).map(drop);
        assert_eq!(nbf(30.0), Ok(()));
        assert_eq!(nbf(31.0), Err(AuthFailure::TokenNotYetValid));
        assert_eq!(nbf(-3600.0), Ok(()));
    }

    #[test]
    fn a_date_is_any_number_of_seconds_that_makes_sense() {
        let read = |text: &str| serde_json::from_str::<NumericDate>(text).ok();
        assert_eq!(read("1.5"), Some(NumericDate(Duration::from_millis(1500))));
        assert_eq!(read("7"), Some(NumericDate(Duration::from_secs(7))));
        for bad in ["-1", "1e300", "\"7\"", "null", "true", "[7]", "{}"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn issuer_audience_subject_and_files_must_be_right() {
        let refused = |claims| accept(claims).map(drop).unwrap_err();
        let good = || claims(0.0, 60.0);
        let issuer = Claims { iss: "https://app.example.com.evil".into(), ..good() };
        assert_eq!(refused(issuer), AuthFailure::TokenIssuer);
        let other = Claims { aud: Audience::Several(vec!["a".into(), "b".into()]), ..good() };
        assert_eq!(refused(other), AuthFailure::TokenAudience);
        let ours = Audience::Several(vec!["a".into(), "ikgate".into()]);
        assert!(accept(Claims { aud: ours, ..good() }).is_ok());
        assert_eq!(refused(Claims { sub: String::new(), ..good() }), AuthFailure::TokenSubject);
        let files = |files: Vec<String>| accept(Claims { files: Some(files), ..good() });
        assert_eq!(files(vec!["../x".into()]).unwrap_err(), AuthFailure::TokenFiles);
        assert_eq!(files(vec!["a".into(); 257]).unwrap_err(), AuthFailure::TokenFiles);
        assert_eq!(files(vec!["a".into(); 256]).unwrap().files.unwrap().len(), 256);
    }

    proptest! {
        #[test]
        fn no_times_panic_or_outlive_the_limit(iat: u64, exp: u64, nbf: Option<u64>) {
            let date = |seconds| NumericDate(Duration::from_secs(seconds));
            let (iat, exp, nbf) = (date(iat), date(exp), nbf.map(date));
            if let Ok(accepted) = accept(Claims { exp, iat, nbf, ..claims(0.0, 60.0) }) {
                prop_assert!(accepted.remaining <= LIFETIME_MAX + 2 * LEEWAY);
            }
        }
    }
}
