//! Outcome of a fetch of the provider's key set, as metrics count it.

/// Outcome of one fetch; a label value of the metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum KeySetOutcome {
    /// The provider did not answer, or not with a key set.
    Failed,
    /// The provider sent a key set, whether it is new or the one in force.
    Fetched,
}

impl KeySetOutcome {
    /// All outcomes, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Failed, Self::Fetched];

    /// Returns the label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Fetched => "fetched",
        }
    }

    /// Counts one fetch.
    pub(super) fn emit(self) {
        tracing::info!(target: "ikgate.key_set_fetch", outcome = self as u64);
    }
}
