//! The two text formats of Prometheus.
//!
//! The library writes OpenMetrics. The older format, which every scraper reads, differs in how
//! it names counters and infos: with it the family carries the suffix that its samples have.

use std::collections::HashMap;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// How the series are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exposition {
    OpenMetrics,
    Prometheus,
}

impl Exposition {
    /// What a scraper that accepts this wants.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

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
    fn open_metrics_is_for_those_who_ask() {
        let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
        assert_eq!(Exposition::accepted(accept), Exposition::OpenMetrics);
        assert_eq!(Exposition::accepted("*/*"), Exposition::Prometheus);
    }
}
