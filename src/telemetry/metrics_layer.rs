//! Tracing layer that turns events into metrics.
//!
//! The events are numbers under fixed field names. The index of each name is looked up when the
//! callsite is first seen, so that counting an event costs no string comparison.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::access_log::AccessLog;
use super::error_codes::ErrorCodes;
use super::events::COUNTED;
use super::metrics::Metrics;
use super::request_counters::ExchangeEvent;
use super::top::TopFiles;
use crate::cache::PurgeMode;
use crate::file_id::FileId;
use crate::invalidation::{InvalidationSource, WebhookOutcome};
use crate::limit::Limit;
use crate::upstream::UpstreamOutcome;

/// Maximum number of fields read from one event.
const VALUES_MAX: usize = 8;
/// Maximum number of fields of an event.
const FIELDS: usize = 16;
const UNREAD: usize = usize::MAX;

/// Name of the field that holds the file of an exchange or of a call.
const FILE: &str = "file.id";

/// Name of the field that holds the error code of an exchange, if the gateway made the error.
const ERROR_CODE: &str = "error.code";

/// Slot of each field of a callsite, and the indexes of the file and of the error code.
struct FieldIndexes {
    slots: [usize; FIELDS],
    file: Option<usize>,
    error_code: Option<usize>,
}

/// Returns whether an event is for the metrics rather than for the log.
pub(super) fn is_counted(metadata: &Metadata<'_>) -> bool {
    COUNTED.iter().any(|event| event.target == metadata.target())
}

/// Layer that counts events and passes exchanges to the access log.
pub struct MetricsLayer {
    metrics: Arc<Metrics>,
    access_log: Option<AccessLog>,
    places: [OnceLock<FieldIndexes>; COUNTED.len()],
}

impl MetricsLayer {
    pub(super) fn new(metrics: Arc<Metrics>, access_log: Option<AccessLog>) -> Self {
        Self { metrics, access_log, places: std::array::from_fn(|_| OnceLock::new()) }
    }

    fn exchanged(&self, event: &Event<'_>, values: [u64; VALUES_MAX]) {
        let [route, caller, cache, status, coding, bytes, nanos, ending] = values;
        let took = Duration::from_nanos(nanos);
        let exchanged = ExchangeEvent { route, caller, cache, status, coding, bytes, took, ending };
        self.metrics.request_counters.exchanged(exchanged);
        if let Some(log) = &self.access_log
            && log.wants(exchanged)
        {
            log.write(exchanged, event);
        }
    }

    /// Returns the counter of files for events of this target.
    fn top_files(&self, target: &str) -> Option<&TopFiles> {
        match target {
            "ikgate.exchange" => Some(&self.metrics.requested),
            "ikgate.upstream" => Some(&self.metrics.fetched),
            _ => None,
        }
    }

    /// Counts an event. `kind`: its place in [`COUNTED`].
    fn count(&self, kind: usize, event: &Event<'_>, values: [u64; VALUES_MAX]) {
        let [first, second, ..] = values;
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        match event.metadata().target() {
            "ikgate.exchange" => self.exchanged(event, values),
            "ikgate.upstream" => {
                let outcome = UpstreamOutcome::ALL.get(number(first));
                let outcome = outcome.map_or("unknown", |outcome| outcome.as_str());
                // A call that was not made has no duration.
                let took = (second > 0).then(|| Duration::from_nanos(second));
                self.metrics.called_upstream(outcome, took);
            }
            "ikgate.invalidation" => {
                let source = InvalidationSource::ALL.get(number(first));
                let source = source.map_or("unknown", |source| source.as_str());
                let mode =
                    PurgeMode::ALL.get(number(second)).map_or("unknown", |mode| mode.as_str());
                self.metrics.invalidated(source, mode);
            }
            "ikgate.throttled" => {
                let limit = Limit::ALL.get(number(second));
                let limit = limit.map_or("unknown", |limit| limit.as_str());
                self.metrics.throttled(number(first), limit);
            }
            "ikgate.webhook" => {
                let outcome = WebhookOutcome::ALL.get(number(first)).copied();
                self.metrics.webhook_delivered(outcome, second);
            }
            _ => self.metrics.outcomes.count(kind, number(first)),
        }
    }
}

impl<S: Subscriber> Layer<S> for MetricsLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let Some(kind) = COUNTED.iter().position(|event| event.target == metadata.target()) else {
            return;
        };
        let Some(places) = self.places.get(kind) else { return };
        // Each kind has one callsite, so the indexes of its first event hold for all.
        let places = places.get_or_init(|| field_indexes(kind, metadata));
        // The file of most events is not counted, and then it is not read.
        let top = self.top_files(metadata.target());
        let counting = top.and_then(|top| Some((top, top.weight()?)));
        let mut values = Values {
            places,
            slots: [0; VALUES_MAX],
            wants_file: counting.is_some(),
            file: None,
            error_codes: &self.metrics.error_codes,
        };
        event.record(&mut values);
        if let (Some((top, weight)), Some(file)) = (counting, values.file)
            && was_made(metadata.target(), values.slots)
        {
            top.count(file.as_str(), weight);
        }
        self.count(kind, event, values.slots);
    }
}

/// Returns false for a call that was not made, and true for every other event.
fn was_made(target: &str, values: [u64; VALUES_MAX]) -> bool {
    let [_, nanos, ..] = values;
    target != "ikgate.upstream" || nanos > 0
}

fn field_indexes(kind: usize, metadata: &Metadata<'_>) -> FieldIndexes {
    let read = COUNTED.get(kind).map_or(&[][..], |event| event.counted_fields);
    let mut slots = [UNREAD; FIELDS];
    for (place, field) in slots.iter_mut().zip(metadata.fields()) {
        *place = read.iter().position(|name| *name == field.name()).unwrap_or(UNREAD);
    }
    let position = |name| metadata.fields().iter().position(|field| field.name() == name);
    FieldIndexes { slots, file: position(FILE), error_code: position(ERROR_CODE) }
}

struct Values<'a> {
    places: &'a FieldIndexes,
    slots: [u64; VALUES_MAX],
    wants_file: bool,
    file: Option<FileId>,
    error_codes: &'a ErrorCodes,
}

impl Visit for Values<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        let slot = self.places.slots.get(field.index()).and_then(|&slot| self.slots.get_mut(slot));
        if let Some(slot) = slot {
            *slot = value;
        }
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        if self.wants_file && self.places.file == Some(field.index()) {
            self.file = std::str::from_utf8(value).ok().and_then(|text| FileId::parse(text).ok());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.places.error_code == Some(field.index()) {
            self.error_codes.count(value);
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}
