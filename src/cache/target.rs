//! What can be invalidated, and how.

use crate::file_id::FileId;

/// What an invalidation is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    All,
    File(FileId),
}

/// What an invalidation does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Force {
    /// What is stored is gone, and what is on its way will not be stored.
    Hard,
    /// What is stored is no longer fresh, as if its ttl had run out now.
    Soft,
}

impl Force {
    pub const ALL: [Self; 2] = [Self::Hard, Self::Soft];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        }
    }
}
