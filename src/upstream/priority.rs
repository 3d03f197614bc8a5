//! Priority of an upstream call, and the part of the call budget that it leaves to more urgent
//! calls.

use std::num::NonZeroU32;

/// Priority of an upstream call, by the caller that it is for; the most urgent first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Priority {
    /// Caller with a key or a token; every caller, if neither is configured.
    Authenticated,
    /// Caller without a credential.
    Anonymous,
    /// Background refresh: no request waits for it.
    Background,
}

impl Priority {
    /// Returns the cells of a burst that this priority leaves to more urgent calls.
    pub(super) fn reserved(self, burst: u32) -> u32 {
        match self {
            Self::Authenticated => 0,
            Self::Anonymous => burst / 4,
            Self::Background => burst / 2,
        }
    }

    /// Returns the number of cells that must be available before a call of this priority spends
    /// one.
    ///
    /// At most `at_once` calls may leave at once. One call may always leave once the burst is
    /// whole.
    pub(super) fn needed(self, burst: NonZeroU32, at_once: u32) -> NonZeroU32 {
        let spare = burst.get().saturating_sub(self.reserved(burst.get())).clamp(1, at_once.max(1));
        NonZeroU32::new(burst.get() - (spare - 1)).unwrap_or(NonZeroU32::MIN)
    }
}
