//! Counters of events whose only number is an outcome: declared in `events`; no code to count it is
//! needed.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::events::{COUNTED, Destination, EventSpec};
use super::series::Counters;

/// Counters of each counted event, by the number of the outcome.
pub(super) struct OutcomeCounters {
    /// In the order of [`COUNTED`]; empty for an event that is counted in another way.
    by_event: Vec<Vec<Counter>>,
}

impl OutcomeCounters {
    /// Registers the counters. Each begins at 0: Prometheus sees no increase in a series that
    /// appears with its first event.
    pub(super) fn registered(registry: &mut Registry) -> Self {
        Self { by_event: COUNTED.iter().map(|event| of_event(event, registry)).collect() }
    }

    /// Counts one event. `event`: its place in [`COUNTED`]; `outcome`: number of the value of its
    /// label.
    pub(super) fn count(&self, event: usize, outcome: usize) {
        let counter = self.by_event.get(event).and_then(|counters| counters.get(outcome));
        debug_assert!(counter.is_some(), "event {event} has no outcome {outcome}");
        if let Some(counter) = counter {
            counter.inc();
        }
    }
}

fn of_event(event: &EventSpec, registry: &mut Registry) -> Vec<Counter> {
    let Destination::Outcomes(metric) = event.counted_in else { return Vec::new() };
    let counters = Counters::registered(registry, metric);
    let values = metric.labels.iter().flat_map(|label| (label.values)());
    values.map(|value| counters.of(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_counted_by_its_outcome_has_one_field_and_one_label_with_values() {
        let mut registry = Registry::default();
        let counters = OutcomeCounters::registered(&mut registry);
        for (event, counters) in COUNTED.iter().zip(&counters.by_event) {
            if let Destination::Outcomes(metric) = event.counted_in {
                assert_eq!((event.counted_fields.len(), metric.labels.len()), (1, 1), "{metric:?}");
                assert!(!counters.is_empty(), "{}", event.target);
            } else {
                assert!(counters.is_empty(), "{}", event.target);
            }
        }
    }
}
