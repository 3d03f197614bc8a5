//! One current problem: severity, cause, remedy, and its section of the runbook.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Effect of a problem. The order is that of the headline.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Callers are affected now.
    Critical,
    /// Callers will be affected unless the operator acts.
    Warning,
}

/// Problem that exists now.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CurrentProblem {
    pub severity: Severity,
    /// Name for programs, from a closed set.
    pub code: Cow<'static, str>,
    /// Cause in words, with its numbers.
    pub cause: String,
    /// Instruction for the operator.
    pub remedy: Cow<'static, str>,
    /// Section of the runbook. The alert of the same name fires if the problem lasts.
    pub runbook: Cow<'static, str>,
}

impl CurrentProblem {
    /// Returns a problem. `remedy` and `runbook` are texts of the program, and `cause` has numbers.
    pub(super) fn new(
        severity: Severity,
        code: &'static str,
        cause: String,
        remedy: &'static str,
        runbook: &'static str,
    ) -> Self {
        let [code, remedy, runbook] = [code, remedy, runbook].map(Cow::Borrowed);
        Self { severity, code, cause, remedy, runbook }
    }
}

/// Returns a count with its noun, as "1 purge" or "2 purges". The noun may have a verb.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{count} {noun}")
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
