//! Why a caller is not known.

/// Why a caller is not known. Each is a value of `ikgate_auth_failures_total`'s `reason`.
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
    #[error("the token is signed with another algorithm than the configured one")]
    TokenAlgorithm,
    #[error("the token is for another audience")]
    TokenAudience,
    #[error("a claim of the token is missing or has the wrong type")]
    TokenClaims,
    #[error("the token has critical header parameters")]
    TokenCritical,
    #[error("the token has expired")]
    TokenExpired,
    #[error("the token names too many files, or what is no file")]
    TokenFiles,
    #[error("the token is of another issuer")]
    TokenIssuer,
    #[error("the token is valid for too long")]
    TokenLifetime,
    #[error("the token cannot be read")]
    TokenMalformed,
    #[error("the token is not valid yet")]
    TokenNotYetValid,
    #[error("the token's signature is not of the configured key")]
    TokenSignature,
    #[error("the token is too long")]
    TokenTooLong,
    #[error("the key is not a caller's")]
    UnknownKey,
}

impl AuthFailure {
    pub const ALL: [Self; 17] = [
        Self::Duplicate,
        Self::ImageKitKey,
        Self::Malformed,
        Self::Missing,
        Self::TokenAlgorithm,
        Self::TokenAudience,
        Self::TokenClaims,
        Self::TokenCritical,
        Self::TokenExpired,
        Self::TokenFiles,
        Self::TokenIssuer,
        Self::TokenLifetime,
        Self::TokenMalformed,
        Self::TokenNotYetValid,
        Self::TokenSignature,
        Self::TokenTooLong,
        Self::UnknownKey,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::ImageKitKey => "imagekit_key",
            Self::Malformed => "malformed",
            Self::Missing => "missing",
            Self::TokenAlgorithm => "token_algorithm",
            Self::TokenAudience => "token_audience",
            Self::TokenClaims => "token_claims",
            Self::TokenCritical => "token_critical",
            Self::TokenExpired => "token_expired",
            Self::TokenFiles => "token_files",
            Self::TokenIssuer => "token_issuer",
            Self::TokenLifetime => "token_lifetime",
            Self::TokenMalformed => "token_malformed",
            Self::TokenNotYetValid => "token_not_yet_valid",
            Self::TokenSignature => "token_signature",
            Self::TokenTooLong => "token_too_long",
            Self::UnknownKey => "unknown_key",
        }
    }
}
