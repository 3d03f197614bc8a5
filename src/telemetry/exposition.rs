//! Text formats of Prometheus: OpenMetrics, and the older text format.
//!
//! The library writes OpenMetrics. The older format, which every scraper reads, names counters and
//! infos differently: the family carries the suffix that its samples have.

use std::collections::HashMap;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::message::{MediaType, accepted};

const OPEN_METRICS: MediaType =
    MediaType { kind: "application", subtype: "openmetrics-text", version: "1.0.0" };
const PROMETHEUS: MediaType = MediaType { kind: "text", subtype: "plain", version: "0.0.4" };

/// Text format of the series.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exposition {
    OpenMetrics,
    Prometheus,
}

impl Exposition {
    /// Returns the format that the lines of `Accept` ask for: OpenMetrics if the scraper prefers
    /// it, or if it names it and prefers neither.
    pub fn accepted(lines: &[&[u8]]) -> Self {
        let [open, plain] = accepted(lines, [OPEN_METRICS, PROMETHEUS]);
        let draw = open.weight == plain.weight && open.weight > 0;
        if open.weight > plain.weight || draw && open.is_named {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// Returns the value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    pub(super) fn encode(self, registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).expect("writing to a String does not fail");
        match self {
            Self::OpenMetrics => text,
            Self::Prometheus => to_prometheus(&text),
        }
    }
}

fn to_prometheus(open_metrics: &str) -> String {
    let types: HashMap<&str, &str> = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let comment = line.strip_prefix("# ").and_then(|comment| comment.split_once(' '));
        let Some((keyword, rest)) = comment else {
            if line != "# EOF" {
                text.push_str(line);
                text.push('\n');
            }
            continue;
        };
        let (family, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let (suffix, rest) = match (types.get(family), keyword) {
            (_, "UNIT") => continue,
            (Some(&"counter"), _) => ("_total", rest),
            (Some(&"info"), "TYPE") => ("_info", "gauge"),
            (Some(&"info"), _) => ("_info", rest),
            _ => ("", rest),
        };
        text.extend(["# ", keyword, " ", family, suffix, " ", rest, "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_infos_carry_their_suffix_in_the_older_format() {
        let open_metrics = "\
# HELP ikgate_requests Requests answered.
# TYPE ikgate_requests counter
ikgate_requests_total{status=\"200\"} 3
# HELP ikgate_build Which.
# TYPE ikgate_build info
ikgate_build_info{version=\"1\"} 1
# HELP ikgate_wait_seconds Wait.
# TYPE ikgate_wait_seconds histogram
# UNIT ikgate_wait_seconds seconds
ikgate_wait_seconds_sum 1.0
# EOF
";
        let expected = "\
# HELP ikgate_requests_total Requests answered.
# TYPE ikgate_requests_total counter
ikgate_requests_total{status=\"200\"} 3
# HELP ikgate_build_info Which.
# TYPE ikgate_build_info gauge
ikgate_build_info{version=\"1\"} 1
# HELP ikgate_wait_seconds Wait.
# TYPE ikgate_wait_seconds histogram
ikgate_wait_seconds_sum 1.0
";
        assert_eq!(to_prometheus(open_metrics), expected);
    }

    #[test]
    fn open_metrics_is_for_those_who_prefer_it() {
        use Exposition::{OpenMetrics, Prometheus};
        let table = [
            (&[][..], Prometheus),
            (&["*/*"], Prometheus),
            (&["application/*"], OpenMetrics),
            (&["application/*;q=0.5, */*"], Prometheus),
            (&["application/openmetrics-text"], OpenMetrics),
            (&["APPLICATION/OpenMetrics-Text; Version=1.0.0; Q=0.5"], OpenMetrics),
            (&["application/openmetrics-text;version=\"1.0.0\""], OpenMetrics),
            // Sent by Prometheus 2 and 3.
            (
                &["application/openmetrics-text;version=1.0.0;q=0.5,\
                   application/openmetrics-text;version=0.0.1;q=0.4,\
                   text/plain;version=0.0.4;q=0.3,*/*;q=0.2"],
                OpenMetrics,
            ),
            (
                &["application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                   application/openmetrics-text;version=0.0.1;q=0.4,\
                   text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                   text/plain;version=0.0.4;q=0.2,*/*;q=0.1"],
                OpenMetrics,
            ),
            (&["text/plain;q=0.5, application/openmetrics-text;q=0.5"], OpenMetrics),
            (&["text/plain;q=0.6, application/openmetrics-text;q=0.5"], Prometheus),
            (&["text/plain;q=0.6", "application/openmetrics-text;q=0.7"], OpenMetrics),
            (&["application/openmetrics-text;q=0.5", "*/*;q=0.6"], Prometheus),
            (&["application/openmetrics-text;q=0.5, text/*;q=0.6, text/plain;q=0.1"], OpenMetrics),
            (&["application/openmetrics-text;q=0"], Prometheus),
            (&["application/openmetrics-text;q=0, */*"], Prometheus),
            (&["application/openmetrics-text;q=0.0, text/plain;q=0"], Prometheus),
            // Another version, and texts that only look like a media type.
            (&["application/openmetrics-text;version=0.0.1"], Prometheus),
            (&["application/openmetrics-text-2"], Prometheus),
            (&["text/plain;a=\",application/openmetrics-text\""], Prometheus),
            (&["application/openmetrics-text;q=2"], Prometheus),
            (&["application/openmetrics-text;q"], Prometheus),
            (&["application/openmetrics-text;q=0.5;q"], Prometheus),
            (&[", ,/,;"], Prometheus),
        ];
        for (lines, expected) in table {
            let bytes: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(Exposition::accepted(&bytes), expected, "{lines:?}");
        }
        assert_eq!(Exposition::accepted(&[b"application/openmetrics-text\xff"]), Prometheus);
    }
}
