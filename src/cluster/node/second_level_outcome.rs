//! Outcome of a lookup or a store in the second level, as metrics count it.

/// Outcome of a lookup or a store; a label value of the metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum SecondLevelOutcome {
    /// Redis failed or did not respond in time.
    Failed,
    /// The lookup found a fresh value.
    Hit,
    /// The value was stored.
    Kept,
    /// The lookup found no value that is fresh on this node.
    Miss,
    /// The value was not stored: a purge came after the lookup, or the fill took too long.
    Refused,
}

impl SecondLevelOutcome {
    /// All outcomes, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Failed, Self::Hit, Self::Kept, Self::Miss, Self::Refused];

    /// Returns the label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Hit => "hit",
            Self::Kept => "kept",
            Self::Miss => "miss",
            Self::Refused => "refused",
        }
    }

    /// Counts one outcome.
    pub(super) fn emit(self) {
        tracing::info!(target: "ikgate.second_level", outcome = self as u64);
    }
}
