//! Form of a declaration: one metric, with its labels.

use prometheus_client::registry::Unit;

/// Declaration of a metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct MetricSpec {
    prefix: &'static str,
    /// Name without prefix and suffixes.
    pub(super) name: &'static str,
    pub(super) kind: MetricKind,
    unit: Option<MetricUnit>,
    /// `HELP`: a sentence with its unit, without a full stop.
    pub(super) help: &'static str,
    pub(super) labels: &'static [&'static LabelSpec],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
    /// Gauge that is always 1 and carries a label.
    Info,
}

/// Unit that is part of the name.
#[derive(Clone, Copy, Debug)]
enum MetricUnit {
    Bytes,
    Seconds,
}

/// Declaration of a label.
#[derive(Debug)]
pub(super) struct LabelSpec {
    pub(super) name: &'static str,
    /// Heading of its values in the reference.
    pub(super) heading: &'static str,
    /// Returns its closed set of values; empty if there is none.
    pub(super) values: fn() -> Vec<&'static str>,
    /// Values and what they mean. A test compares them with `values`.
    pub(super) meanings: &'static [(&'static str, &'static str)],
    /// Values outside the closed set, as a text, and what they mean.
    pub(super) others: Option<(&'static str, &'static str)>,
}

impl MetricSpec {
    const fn new(kind: MetricKind, name: &'static str, help: &'static str) -> Self {
        Self { prefix: "ikgate", name, kind, unit: None, help, labels: &[] }
    }

    pub(super) const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(MetricKind::Counter, name, help)
    }

    pub(super) const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(MetricKind::Gauge, name, help)
    }

    pub(super) const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self::new(MetricKind::Histogram, name, help)
    }

    pub(super) const fn info(name: &'static str, help: &'static str) -> Self {
        Self::new(MetricKind::Info, name, help)
    }

    /// Makes it a metric of the process, whose name Prometheus's own clients chose.
    pub(super) const fn of_process(self) -> Self {
        Self { prefix: "process", ..self }
    }

    pub(super) const fn in_seconds(self) -> Self {
        Self { unit: Some(MetricUnit::Seconds), ..self }
    }

    pub(super) const fn in_bytes(self) -> Self {
        Self { unit: Some(MetricUnit::Bytes), ..self }
    }

    pub(super) const fn by(self, labels: &'static [&'static LabelSpec]) -> Self {
        Self { labels, ..self }
    }

    /// Returns the unit, as the registry takes it.
    pub(super) fn unit(&self) -> Option<Unit> {
        self.unit.map(|unit| match unit {
            MetricUnit::Bytes => Unit::Bytes,
            MetricUnit::Seconds => Unit::Seconds,
        })
    }

    /// Returns the name in the exposition.
    pub(super) fn full_name(&self) -> String {
        let unit = match self.unit {
            None => "",
            Some(MetricUnit::Bytes) => "_bytes",
            Some(MetricUnit::Seconds) => "_seconds",
        };
        let suffix = match self.kind {
            MetricKind::Counter => "_total",
            MetricKind::Info => "_info",
            MetricKind::Gauge | MetricKind::Histogram => "",
        };
        format!("{}_{}{unit}{suffix}", self.prefix, self.name)
    }
}

impl MetricKind {
    /// Returns the type in the Prometheus text format, which has no infos.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge | Self::Info => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl LabelSpec {
    /// Returns the meaning of a value.
    pub(super) fn meaning(&self, value: &str) -> Option<&'static str> {
        self.meanings.iter().find(|(known, _)| *known == value).map(|(_, meaning)| *meaning)
    }
}
