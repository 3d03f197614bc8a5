//! Lines of text above the tables: the state in one line, the problems, and the parts of the
//! gateway that an operator checks first.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::numbers::{UNKNOWN, duration, iso_time, milliseconds, number};
use super::palette::Palette;
use super::snapshot::Snapshot;
use crate::admin::{CurrentProblem, Health, Severity, UpstreamView, counted};
use crate::telemetry::Point;
use crate::upstream::{BreakerState, KeyStatus, LimitSource};

/// Width of the labels before wrapped texts and values.
const LABEL_WIDTH: usize = 13;

/// Width of the screen from which a wrapped text is indented below its label.
const INDENT_WIDTH_MIN: usize = 40;

/// Remaining time of a certificate from which it is highlighted, in seconds.
const CERTIFICATE_MIN: i64 = 14 * 86_400;

/// Number of available calls below which the budget is highlighted, as on the dashboard.
const BUDGET_MIN: u32 = 5;

/// Returns the line that says whether the gateway is ready.
pub(super) fn heading(snapshot: &Snapshot, url: &str, palette: Palette) -> Line<'static> {
    let (stats, answer) = (&snapshot.stats, &snapshot.readiness);
    let ready = if answer.is_ready {
        "READY".to_owned()
    } else {
        format!("NOT READY: {}", answer.readiness)
    };
    let style = palette.good_if(answer.is_ready).add_modifier(Modifier::BOLD);
    let (up, at) = (duration(stats.uptime_seconds), iso_time(stats.now));
    let rest = format!("  {url}  up {up}  {at}  ikgate {}", stats.version);
    Line::from(vec![Span::styled(ready, style), Span::raw(rest)])
}

/// Returns the lines of a problem: its cause, then its remedy.
pub(super) fn problem(
    problem: &CurrentProblem,
    width: usize,
    palette: Palette,
) -> Vec<Line<'static>> {
    let style = palette.severity(problem.severity);
    let label = match problem.severity {
        Severity::Critical => "CRITICAL",
        Severity::Warning => "WARNING",
    };
    let remedy = format!("{} Runbook: {}", problem.remedy, problem.runbook);
    let mut lines = wrapped(label, &problem.cause, width, style);
    lines.extend(wrapped("Remedy", &remedy, width, Style::new()));
    lines
}

/// Returns a text that is wrapped to the width of the screen, after a label.
pub(super) fn wrapped(label: &str, text: &str, width: usize, style: Style) -> Vec<Line<'static>> {
    let indent = if width < INDENT_WIDTH_MIN { 0 } else { LABEL_WIDTH };
    let text = if indent == 0 { format!("{label}: {text}") } else { text.to_owned() };
    let texts = textwrap::wrap(&text, width.saturating_sub(indent).max(1));
    let lines = texts.iter().enumerate().map(|(number, text)| {
        let label = if indent > 0 && number == 0 { label } else { "" };
        Line::styled(format!("{label:indent$}{text}"), style)
    });
    lines.collect()
}

/// Returns the lines of each part of the gateway: upstream, its last error, budget, fleet,
/// certificate.
pub(super) fn parts(snapshot: &Snapshot, width: usize, palette: Palette) -> Vec<Line<'static>> {
    let (health, now) = (&snapshot.stats.health, snapshot.stats.now);
    let (certificate, certificate_style) = certificate(health, now, palette);
    let is_cut_off = health.fleet == "cut_off";
    let parts = [
        ("Upstream", upstream(&health.upstream, now), upstream_style(health, palette)),
        ("Last error", last_error(&health.upstream, now), Style::new()),
        (
            "Budget",
            budget(&health.upstream),
            palette.warn_if(health.upstream.budget_available < BUDGET_MIN),
        ),
        (
            "Fleet",
            fleet(health, snapshot.stats.points.last()),
            if is_cut_off { palette.bad() } else { Style::new() },
        ),
        ("Certificate", certificate, certificate_style),
    ];
    parts.into_iter().flat_map(|(label, text, style)| wrapped(label, &text, width, style)).collect()
}

fn upstream(upstream: &UpstreamView, now: u64) -> String {
    let breaker = match upstream.breaker {
        BreakerState::Closed => "closed",
        BreakerState::HalfOpen => "probing",
        BreakerState::Open => "open",
    };
    let mut text =
        format!("circuit breaker {breaker}, private key {}", upstream.private_key.as_str());
    if let Some(since) = upstream.failing_since {
        let lasts = duration(now.saturating_sub(since));
        let calls = counted(upstream.failed_calls, "call", "calls");
        text = format!("{text}, failing for {lasts} ({calls} in a row)");
    }
    text
}

fn upstream_style(health: &Health, palette: Palette) -> Style {
    let upstream = &health.upstream;
    let is_good =
        upstream.breaker == BreakerState::Closed && upstream.private_key != KeyStatus::Refused;
    if is_good && upstream.failing_since.is_some() {
        palette.warn()
    } else {
        palette.good_if(is_good)
    }
}

fn budget(upstream: &UpstreamView) -> String {
    let available = u64::from(upstream.budget_available);
    let calls =
        counted(available, "call to ImageKit available now", "calls to ImageKit available now");
    let Some(limit) = upstream.budget_limit else { return calls };
    let whose = match limit.set_by {
        LimitSource::Configured => "upstream.budget",
        LimitSource::ImageKit => "ImageKit's own limit",
    };
    format!("{calls}, at {}/s ({whose})", number(limit.per_second))
}

fn last_error(upstream: &UpstreamView, now: u64) -> String {
    upstream.last_error.as_ref().map_or_else(
        || "none since the start".to_owned(),
        |error| {
            let ago = duration(now.saturating_sub(error.at));
            format!("{ago} ago: {} ({})", error.cause, error.outcome)
        },
    )
}

fn fleet(health: &Health, point: Option<&Point>) -> String {
    let pending = health.pending_purges as u64;
    let pending = counted(pending, "pending purge", "pending purges");
    match (health.fleet.as_ref(), point) {
        ("none", _) => "none: this gateway is alone".to_owned(),
        ("connected", Some(point)) => {
            let lag = milliseconds(point.cluster_lag_seconds * 1000.0);
            let nodes = counted(point.cluster_nodes, "gateway", "gateways");
            format!("connected, {nodes}, lag {lag}, {pending}")
        }
        ("connected", None) => format!("connected, {pending}"),
        ("cut_off", _) => match &health.fleet_error {
            Some(error) => format!("cut off, {pending}: {error}"),
            None => format!("cut off, {pending}"),
        },
        (other, _) => other.to_owned(),
    }
}

fn certificate(health: &Health, now: u64, palette: Palette) -> (String, Style) {
    let Some(expires) = health.certificate_expires else {
        return ("none: no TLS on the public listener".to_owned(), Style::new());
    };
    let left = expires.saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
    let lasts = duration(left.unsigned_abs());
    let at = u64::try_from(expires).map_or_else(|_| UNKNOWN.to_owned(), iso_time);
    if left <= 0 {
        (format!("expired {lasts} ago, at {at}"), palette.bad())
    } else {
        (format!("expires in {lasts}, at {at}"), palette.warn_if(left < CERTIFICATE_MIN))
    }
}
