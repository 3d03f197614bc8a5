//! Problems of the files that the gateway reads again: the TLS certificate and the configuration.

use super::problem::{CurrentProblem, Severity, spoken};
use crate::admin::health::Health;

/// Time before a certificate's expiry from which it is a problem: the alert has the same.
const CERTIFICATE_DAYS: i64 = 14;
pub(super) const DAY: i64 = 86_400;

/// Returns the problem of a certificate that expires soon, or has expired. `now`: Unix seconds.
pub(super) fn certificate_problem(health: &Health, now: u64) -> Option<CurrentProblem> {
    let left = health.certificate_expires? - i64::try_from(now).unwrap_or(i64::MAX);
    if left >= CERTIFICATE_DAYS * DAY {
        return None;
    }
    let lasts = spoken(left.unsigned_abs());
    let (severity, cause) = if left <= 0 {
        let cause = format!("The TLS certificate expired {lasts} ago: clients refuse to connect.");
        (Severity::Critical, cause)
    } else {
        (Severity::Warning, format!("The TLS certificate expires in {lasts}."))
    };
    let remedy = "Replace the files of [server.tls]; the gateway reads them again within 5 s. With \
                  systemd's LoadCredential, restart it.";
    let (code, runbook) = ("certificate", "IkgateCertificateExpires");
    Some(CurrentProblem::new(severity, code, cause, remedy, runbook))
}

/// Returns the problem of TLS files that changed and cannot be used.
pub(super) fn certificate_files_problem(health: &Health) -> Option<CurrentProblem> {
    let error = health.certificate_files.as_ref()?;
    Some(CurrentProblem::new(
        Severity::Warning,
        "certificate_not_used",
        format!(
            "The files of [server.tls] cannot be used: {error}. The previous certificate stays in \
             use; a restart would fail."
        ),
        "Replace both files by a certificate and its own key; the gateway reads them again within \
         5 s.",
        "IkgateCertificateExpires",
    ))
}

/// Returns the problem of a configuration that the last reload refused.
pub(super) fn reload_problem(health: &Health) -> Option<CurrentProblem> {
    let reason = health.reload_refused.as_ref()?;
    Some(CurrentProblem::new(
        Severity::Warning,
        "reload_refused",
        format!(
            "The last reload of the configuration was refused: {reason}. The old settings stay in \
             force; a restart may fail."
        ),
        "Find every problem with `ikgate check --config FILE`, fix the file, and send SIGHUP \
         again.",
        "IkgateReloadRefused",
    ))
}
