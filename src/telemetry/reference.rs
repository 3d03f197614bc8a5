//! Reference of metrics and events, made of their declarations.

use super::declared::ALL as METRICS;
use super::events::{ACCESS_LOG, COUNTED, Destination, EventSpec, LOGGED};
use super::labels::ALL as LABELS;
use super::metric::{LabelSpec, MetricSpec};

/// Returns the table of all metrics, and a table of values for each label, in Markdown.
pub fn metrics() -> String {
    let mut lines = table(["metric", "type", "labels", "means"]);
    lines.extend(METRICS.iter().map(|metric| metric_row(metric)));
    for label in LABELS {
        lines.extend([String::new(), format!("### {}", label.heading), String::new()]);
        let code = format!("`{}`", label.name);
        lines.extend(table([code.as_str(), "means"]));
        lines.extend(label_rows(label));
    }
    lines.join("\n")
}

/// Returns the tables of the access log's fields and of all events, in Markdown.
pub fn events() -> String {
    let mut lines = vec!["### Fields of the access log".to_owned(), String::new()];
    lines.extend(table(["field", "is"]));
    lines.extend(ACCESS_LOG.iter().map(|(field, meaning)| format!("| `{field}` | {meaning} |")));
    lines.extend([String::new(), "### Events by target".to_owned(), String::new()]);
    lines.extend(table(["target", "is emitted", "fields", "seen in"]));
    lines.extend(COUNTED.iter().chain(&LOGGED).map(event_row));
    lines.join("\n")
}

/// Returns the first two lines of a table.
fn table<const COLUMNS: usize>(columns: [&str; COLUMNS]) -> Vec<String> {
    let rule = ["---"; COLUMNS].join(" | ");
    vec![format!("| {} |", columns.join(" | ")), format!("| {rule} |")]
}

fn metric_row(metric: &MetricSpec) -> String {
    let anchor = |heading: &str| heading.to_lowercase().replace(' ', "-");
    let label = |label: &&LabelSpec| format!("[`{}`](#{})", label.name, anchor(label.heading));
    let labels = metric.labels.iter().map(label).collect::<Vec<_>>().join(", ");
    let (name, kind) = (metric.full_name(), metric.kind.as_str());
    format!("| `{name}` | {kind} | {labels} | {}. |", metric.help)
}

fn label_rows(label: &LabelSpec) -> impl Iterator<Item = String> {
    let row = |value: String, meaning: &str| format!("| {value} | {meaning} |");
    let others = label.others.map(|(value, meaning)| row(value.to_owned(), meaning));
    let values = (label.values)().into_iter();
    let values = values
        .map(move |value| row(format!("`{value}`"), label.meaning(value).unwrap_or_default()));
    others.into_iter().chain(values)
}

fn event_row(event: &EventSpec) -> String {
    let code = |text: &str| format!("`{text}`");
    let fields = event.counted_fields.iter().chain(event.other_fields);
    let fields = fields.map(|field| code(field)).collect::<Vec<_>>().join(", ");
    let seen = match event.counted_in {
        Destination::Log => "the log".to_owned(),
        Destination::Outcomes(metric) => code(&metric.full_name()),
        Destination::Metrics(metrics) => {
            metrics.iter().map(|metric| code(&metric.full_name())).collect::<Vec<_>>().join(", ")
        }
    };
    format!("| `{}` | {} | {fields} | {seen} |", event.target, event.emitted)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use super::super::exposition::Exposition;
    use super::super::gauges::GaugeValues;
    use super::super::metrics::Metrics;
    use super::super::request_counters::ExchangeEvent;
    use super::*;
    use crate::exchange::Ending;
    use crate::limit::Limit;

    #[test]
    fn every_value_of_a_label_has_a_meaning() {
        for label in LABELS {
            let values: BTreeSet<_> = (label.values)().into_iter().collect();
            let explained: BTreeSet<_> = label.meanings.iter().map(|(value, _)| *value).collect();
            assert_eq!(values, explained, "{}", label.heading);
        }
    }

    #[test]
    fn every_ending_is_a_value_of_its_field() {
        let (_, meaning) = ACCESS_LOG.iter().find(|(field, _)| *field == "ending").unwrap();
        for ending in Ending::ALL {
            assert!(meaning.contains(&format!("`{}`", ending.as_str())), "{meaning}");
        }
    }

    /// Returns an exposition in which every metric has a series.
    fn exposed() -> String {
        let metrics = Metrics::new();
        metrics.request_counters.exchanged(ExchangeEvent {
            route: 0,
            caller: 0,
            cache: 0,
            status: 200,
            coding: 0,
            bytes: 1,
            took: Duration::ZERO,
            ending: Ending::Answered as u64,
        });
        metrics.throttled(1, Limit::Address.as_str());
        let readings = GaugeValues { tls_expires_in: Some(1), ..GaugeValues::default() };
        metrics.expose(&readings, Exposition::Prometheus)
    }

    #[test]
    fn every_metric_is_exposed_as_it_is_declared() {
        let text = exposed();
        let comments = |keyword: &'static str| {
            let comments = text.lines().filter_map(move |line| line.strip_prefix(keyword));
            comments.map(|rest| rest.split_once(' ').unwrap()).collect::<BTreeMap<_, _>>()
        };
        let (kinds, helps) = (comments("# TYPE "), comments("# HELP "));
        assert_eq!(kinds.len(), METRICS.len());
        for metric in METRICS {
            let name = metric.full_name();
            assert_eq!(kinds.get(name.as_str()), Some(&metric.kind.as_str()), "{name}");
            // The library ends the help of some metrics with a full stop.
            let help = helps.get(name.as_str()).map(|help| help.trim_end_matches('.'));
            assert_eq!(help, Some(metric.help), "{name}");
        }
    }

    #[test]
    fn every_label_is_exposed_as_it_is_declared() {
        for line in exposed().lines().filter(|line| line.contains('{')) {
            let (series, labels) = line.split_once('{').unwrap();
            let is_of = |metric: &&&MetricSpec| {
                let rest = series.strip_prefix(metric.full_name().as_str());
                rest.is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
            };
            let metric = METRICS.iter().find(is_of).unwrap_or_else(|| panic!("{line}"));
            let labels = labels.split_once('}').unwrap().0.split(',');
            let labels = labels.map(|label| label.split_once('=').unwrap());
            let labels: Vec<_> = labels.filter(|(name, _)| *name != "le").collect();
            let names: Vec<_> = labels.iter().map(|(name, _)| *name).collect();
            let declared: Vec<_> = metric.labels.iter().map(|label| label.name).collect();
            assert_eq!(names, declared, "{line}");
            for ((_, value), label) in labels.iter().zip(metric.labels) {
                let is_known = (label.values)().contains(&value.trim_matches('"'));
                assert!(is_known || label.others.is_some(), "{line}");
            }
        }
    }
}
