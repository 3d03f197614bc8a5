//! Reasons why a credential is not accepted.

/// Reason why a credential is not accepted. Each is a value of the label `reason` of
/// `ikgate_auth_failures_total`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[repr(u8)]
pub enum AuthFailure {
    #[error("more than one Authorization field")]
    Duplicate,
    #[error("an ImageKit private key was sent")]
    ImageKitKey,
    #[error("the Authorization field cannot be read")]
    Malformed,
    #[error("no credential, and anonymous callers are refused")]
    Missing,
    #[error("a caller key was sent, and only tokens are configured")]
    NoCallers,
    #[error("no keys of the identity provider are known yet")]
    NoKeys,
    #[error("the token, or its sub, is revoked")]
    Revoked,
    #[error("the token's alg is not a configured algorithm")]
    TokenAlgorithm,
    #[error("the token's aud does not name the configured audience")]
    TokenAudience,
    #[error("the token's claims cannot be read")]
    TokenClaims,
    #[error("the token has critical header parameters")]
    TokenCritical,
    #[error("the token's exp is missing or no date")]
    TokenExp,
    #[error("the token has expired")]
    TokenExpired,
    #[error("the token's files are no list, too many, or one of them is not a file id")]
    TokenFiles,
    #[error("the token's iat is missing or no date")]
    TokenIat,
    #[error("the token's iss is not the configured issuer")]
    TokenIssuer,
    #[error("the token's jti is not text")]
    TokenJti,
    #[error("the time from the token's iat to its exp is negative or more than an hour")]
    TokenLifetime,
    #[error("the token cannot be read")]
    TokenMalformed,
    #[error("the token's nbf is no date")]
    TokenNbf,
    #[error("the token is not valid yet")]
    TokenNotYetValid,
    #[error("the token's signature is not of the key that its kid names, or of the only key")]
    TokenSignature,
    #[error("the token's sub is missing, empty or not text")]
    TokenSubject,
    #[error("the token is too long")]
    TokenTooLong,
    #[error("a token was sent, and tokens are not configured")]
    TokensOff,
    #[error("no configured caller has this key")]
    UnknownKey,
    #[error("the token's kid is missing, or names no accepted key")]
    UnknownKid,
}

impl AuthFailure {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 27] = [
        Self::Duplicate,
        Self::ImageKitKey,
        Self::Malformed,
        Self::Missing,
        Self::NoCallers,
        Self::NoKeys,
        Self::Revoked,
        Self::TokenAlgorithm,
        Self::TokenAudience,
        Self::TokenClaims,
        Self::TokenCritical,
        Self::TokenExp,
        Self::TokenExpired,
        Self::TokenFiles,
        Self::TokenIat,
        Self::TokenIssuer,
        Self::TokenJti,
        Self::TokenLifetime,
        Self::TokenMalformed,
        Self::TokenNbf,
        Self::TokenNotYetValid,
        Self::TokenSignature,
        Self::TokenSubject,
        Self::TokenTooLong,
        Self::TokensOff,
        Self::UnknownKey,
        Self::UnknownKid,
    ];

    /// Returns the label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::ImageKitKey => "imagekit_key",
            Self::Malformed => "malformed",
            Self::Missing => "missing",
            Self::NoCallers => "no_callers",
            Self::NoKeys => "no_keys",
            Self::Revoked => "revoked",
            Self::TokenAlgorithm => "token_algorithm",
            Self::TokenAudience => "token_audience",
            Self::TokenClaims => "token_claims",
            Self::TokenCritical => "token_critical",
            Self::TokenExp => "token_exp",
            Self::TokenExpired => "token_expired",
            Self::TokenFiles => "token_files",
            Self::TokenIat => "token_iat",
            Self::TokenIssuer => "token_issuer",
            Self::TokenJti => "token_jti",
            Self::TokenLifetime => "token_lifetime",
            Self::TokenMalformed => "token_malformed",
            Self::TokenNbf => "token_nbf",
            Self::TokenNotYetValid => "token_not_yet_valid",
            Self::TokenSignature => "token_signature",
            Self::TokenSubject => "token_subject",
            Self::TokenTooLong => "token_too_long",
            Self::TokensOff => "tokens_off",
            Self::UnknownKey => "unknown_key",
            Self::UnknownKid => "unknown_kid",
        }
    }
}
