//! Outcome of a reload, as the metrics count it.

/// Outcome of a reload of the configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum ReloadOutcome {
    /// The new configuration is in force.
    Applied,
    /// The new configuration has a problem. The old one stays in force.
    Refused,
}

impl ReloadOutcome {
    /// All outcomes, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Applied, Self::Refused];

    /// Returns the label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        }
    }

    /// Emits the event that the metrics count.
    pub fn emit(self) {
        tracing::info!(target: "ikgate.config_reload", outcome = self as u64);
    }
}
