//! One current problem: severity, cause, remedy, and its section of the runbook.

use serde::Serialize;

/// Effect of a problem. The order is that of the headline.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::admin) enum Severity {
    /// Callers are affected now.
    Critical,
    /// Callers will be affected unless the operator acts.
    Warning,
}

/// Problem that exists now.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(in crate::admin) struct CurrentProblem {
    pub(super) severity: Severity,
    /// Name for programs, from a closed set.
    pub(super) code: &'static str,
    /// Cause in words, with its numbers.
    pub(super) cause: String,
    /// Instruction for the operator.
    pub(super) remedy: &'static str,
    /// Section of the runbook. The alert of the same name fires if the problem lasts.
    pub(super) runbook: &'static str,
}

/// Returns a duration in its largest unit, as "3 min".
pub(super) fn spoken(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
