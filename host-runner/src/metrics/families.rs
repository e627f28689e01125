//! The metric families with a `connection` label, each declared once.
//!
//! To add a counter: an entry in `counters!`, and the line that counts. To add a gauge: an entry in
//! `gauges!`, and the line that sets it; one that follows from other readings is an entry in [`DERIVED`]
//! alone. Then `UPDATE_DOCS=1 cargo test --release --workspace the_page` rewrites `docs/metrics.md`.
//!
//! Values of labels are names of tables, events and kinds that the component reports. Their number is bounded
//! per counter and connection.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::{ConnectionStatus, State, TableStatus};

/// Label sets of one counter of one connection; sources have some ten tables and fewer than a hundred kinds
/// of events. Further label sets are counted together.
const LABEL_SETS_MAX: usize = 200;
/// The label value of label sets beyond the limit.
const OTHER: &str = "other";

/// Counts by the values of its labels. It only rises.
#[derive(Clone, Debug, Default)]
pub struct Counter<const LABELS: usize>(BTreeMap<[String; LABELS], u64>);

impl<const LABELS: usize> Counter<LABELS> {
    /// Adds `count`; 0 exports a label set before its first count.
    pub fn add(&mut self, labels: [&str; LABELS], count: u64) {
        let mut labels = labels.map(str::to_owned);
        if self.0.len() >= LABEL_SETS_MAX && !self.0.contains_key(&labels) {
            labels = std::array::from_fn(|_| OTHER.to_owned());
        }
        // A component chooses some of the counts.
        let counted = self.0.entry(labels).or_default();
        *counted = counted.saturating_add(count);
    }

    /// The sum over all label sets.
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, counted| sum.saturating_add(*counted))
    }

    fn samples(&self) -> Vec<Sample<'_>> {
        if LABELS == 0 {
            return vec![Sample::of(Value::Integer(self.total()))];
        }
        let samples = self.0.iter().map(|(labels, count)| Sample {
            labels: labels.each_ref().map(String::as_str).to_vec(),
            value: Value::Integer(*count),
        });
        samples.collect()
    }
}

/// Metadata of one family, and how its samples are computed.
struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    /// The labels after `connection`.
    labels: &'static [&'static str],
    /// The samples of one connection at a time in milliseconds since 1970.
    samples: fn(&ConnectionStatus, u64) -> Vec<Sample<'_>>,
}

struct Sample<'a> {
    /// Values of the labels after `connection`.
    labels: Vec<&'a str>,
    value: Value,
}

enum Value {
    Integer(u64),
    /// Exported in seconds, Prometheus' unit for time.
    Milliseconds(u64),
    /// The same, of a difference.
    Difference(i64),
}

impl Sample<'_> {
    /// A sample without further labels.
    fn of(value: Value) -> Self {
        Self { labels: Vec::new(), value }
    }
}

/// Declares counters: the help text, the name without `host_runner_` and `_total`, the labels after
/// `connection`.
macro_rules! counters {
    ($(#[doc = $help:literal] $name:ident($($label:literal),*);)+) => {
        /// The counters of one connection.
        #[derive(Clone, Debug, Default)]
        pub struct Counters {
            $(#[doc = $help] pub $name: Counter<{ <[&str]>::len(&[$($label),*]) }>,)+
        }

        #[cfg(test)]
        impl Counters {
            /// Each with a sample; the values of its labels are their names.
            pub(crate) fn with_samples() -> Self {
                let mut counters = Self::default();
                $(counters.$name.add([$($label),*], 1);)+
                counters
            }
        }

        const COUNTERS: &[Family] = &[$(Family {
            name: stringify!($name),
            help: $help,
            kind: MetricType::Counter,
            labels: &[$($label),*],
            samples: |one, _| one.readings.counters.$name.samples(),
        }),+];
    };
}

/// A difference of two times in milliseconds; exported in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Difference(pub i64);

/// The value of a gauge.
trait Reading {
    /// None before it is known.
    fn sample(self) -> Option<Sample<'static>>;
    #[cfg(test)]
    fn example() -> Self;
}

impl Reading for u64 {
    fn sample(self) -> Option<Sample<'static>> {
        Some(Sample::of(Value::Integer(self)))
    }

    #[cfg(test)]
    fn example() -> Self {
        1
    }
}

impl Reading for Difference {
    fn sample(self) -> Option<Sample<'static>> {
        Some(Sample::of(Value::Difference(self.0)))
    }

    #[cfg(test)]
    fn example() -> Self {
        Self(1)
    }
}

impl<T: Reading> Reading for Option<T> {
    fn sample(self) -> Option<Sample<'static>> {
        self.and_then(Reading::sample)
    }

    #[cfg(test)]
    fn example() -> Self {
        Some(T::example())
    }
}

/// Declares gauges that a line sets: the help text, the name without `host_runner_`, and the type of the
/// value, an `Option` if it is absent at first.
macro_rules! gauges {
    ($(#[doc = $help:literal] $name:ident: $value:ty;)+) => {
        /// The gauges of one connection.
        #[derive(Clone, Debug, Default)]
        pub struct Gauges {
            $(#[doc = $help] pub $name: $value,)+
        }

        #[cfg(test)]
        impl Gauges {
            /// Each with a sample.
            pub(crate) fn with_samples() -> Self {
                Self { $($name: Reading::example(),)+ }
            }
        }

        const GAUGES: &[Family] = &[$(gauge(stringify!($name), $help, &[], |one, _| {
            one.readings.gauges.$name.sample().into_iter().collect()
        })),+];
    };
}

counters! {
    /// Bytes of attachments that came into the folder.
    attachment_bytes("table");
    /// Attachments that could not be fetched, and wait for another attempt; the manifest says why.
    attachments_failed("table");
    /// Attachments that came into the folder.
    attachments_stored("table");
    /// Changes committed in the sink, by how each was found.
    changes("table", "change_source");
    /// Changes of deliveries that were older than the stored row, and were ignored.
    changes_stale();
    /// Deliveries whose changes are committed in the sink.
    deliveries_applied();
    /// Failed calls and rejected deliveries, by kind of error.
    errors("kind");
    /// Events that belong to no table.
    events_ignored("event");
    /// Rows written with only the members of their list, because their records could not be read.
    rows_partial("table");
    /// Rows read by polling.
    rows_read("table");
    /// Rows that polling brought although a webhook should have.
    rows_repaired("table");
    /// Columns and tables that a discovery found added, removed or of another type.
    schema_changes("table", "change");
    /// Credits of the source's quota used.
    source_credits_used();
    /// Requests to the source.
    source_requests();
}

gauges! {
    /// Deliveries that failed and wait for another attempt; others pass them.
    deliveries_waiting: u64;
    /// By how much the source's clock is ahead of this machine's; absent before the first answer.
    source_clock_skew_seconds: Option<Difference>;
    /// Credits left of the source's quota; absent until the source reports them.
    source_credits_left: Option<u64>;
}

/// Families derived from the status, the queue and the dead letters of a connection.
const DERIVED: &[Family] = &[
    gauge(
        "connection_state",
        "1 for the state the connection is in, 0 for the others.",
        &["state"],
        |one, _| {
            let sample = |state: State| Sample {
                labels: vec![state.name()],
                value: Value::Integer(u64::from(state == one.readings.status.state)),
            };
            State::ALL.into_iter().map(sample).collect()
        },
    ),
    gauge("dead_letters", "Dead letters stored.", &[], |one, _| {
        vec![Sample::of(Value::Integer(one.queue.dead))]
    }),
    counter("dead_letters_evicted", "Dead letters evicted because there was no room.", |one, _| {
        vec![Sample::of(Value::Integer(one.letters.evicted))]
    }),
    counter("deliveries_dead_lettered", "Deliveries that became dead letters.", |one, _| {
        vec![Sample::of(Value::Integer(one.letters.stored))]
    }),
    gauge("delivery_queue_bytes", "Bytes of the queued deliveries.", &[], |one, _| {
        vec![Sample::of(Value::Integer(one.queue.bytes))]
    }),
    gauge(
        "delivery_queue_length",
        "Deliveries answered 200 and not yet acknowledged by the sink.",
        &[],
        |one, _| vec![Sample::of(Value::Integer(one.queue.count))],
    ),
    gauge(
        "delivery_queue_oldest_age_seconds",
        "Age of the oldest queued delivery; 0 when none is queued.",
        &[],
        |one, now_ms| vec![Sample::of(Value::Milliseconds(one.oldest_age_ms(now_ms).unwrap_or(0)))],
    ),
    gauge(
        "table_lag_seconds",
        "Time since polling last caught up with the table; absent before.",
        &["table"],
        |one, now_ms| one.tables(|table| table.lag_ms(now_ms).map(Value::Milliseconds)),
    ),
    gauge(
        "table_last_poll_timestamp_seconds",
        "When the table was last read; absent before.",
        &["table"],
        |one, _| one.tables(|table| Some(table.polled_ms).filter(|at| *at > 0).map(Value::Milliseconds)),
    ),
    gauge(
        "table_snapshot_complete",
        "1 once a snapshot of the table is complete, 0 before.",
        &["table"],
        |one, _| one.tables(|table| Some(Value::Integer(u64::from(table.snapshot_complete)))),
    ),
];

const fn counter(
    name: &'static str,
    help: &'static str,
    samples: fn(&ConnectionStatus, u64) -> Vec<Sample<'_>>,
) -> Family {
    Family { name, help, kind: MetricType::Counter, labels: &[], samples }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    samples: fn(&ConnectionStatus, u64) -> Vec<Sample<'_>>,
) -> Family {
    Family { name, help, kind: MetricType::Gauge, labels, samples }
}

impl ConnectionStatus {
    /// A sample for each table that has a value.
    fn tables(&self, value: impl Fn(&TableStatus) -> Option<Value>) -> Vec<Sample<'_>> {
        let tables = self.readings.tables.iter();
        tables.filter_map(|(name, table)| Some(Sample { labels: vec![name], value: value(table)? })).collect()
    }
}

/// Encodes the families of all connections; names get the prefix of the encoder.
pub fn encode(mut encoder: DescriptorEncoder<'_>, all: &[ConnectionStatus], now_ms: u64) -> fmt::Result {
    for family in COUNTERS.iter().chain(GAUGES).chain(DERIVED) {
        let mut metric = encoder.encode_descriptor(family.name, family.help.trim(), None, family.kind)?;
        for one in all {
            for sample in (family.samples)(one, now_ms) {
                let named = family.labels.iter().copied().zip(sample.labels);
                let labels: Vec<(&str, &str)> =
                    std::iter::once(("connection", one.name.as_str())).chain(named).collect();
                let mut metric = metric.encode_family(&labels)?;
                match (family.kind, sample.value) {
                    (MetricType::Counter, Value::Integer(count)) => {
                        metric.encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
                    }
                    (_, Value::Integer(value)) => metric.encode_gauge(&value)?,
                    (_, Value::Difference(ms)) => metric.encode_gauge(&(ms as f64 / 1e3))?,
                    (_, Value::Milliseconds(ms)) => metric.encode_gauge(&(ms as f64 / 1e3))?,
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Counter, LABEL_SETS_MAX};

    #[test]
    fn label_sets_are_bounded_and_the_rest_is_counted_together() {
        let mut counter = Counter::<1>::default();
        for event in 0..LABEL_SETS_MAX + 50 {
            counter.add([&format!("event-{event}")], 1);
        }
        counter.add(["event-0"], 1);
        assert_eq!(counter.0.len(), LABEL_SETS_MAX + 1);
        assert_eq!(counter.0[&["other".to_owned()]], 50);
        assert_eq!(counter.0[&["event-0".to_owned()]], 2);
        for _ in 0..2 {
            counter.add(["event-0"], u64::MAX);
        }
        assert_eq!(counter.0[&["event-0".to_owned()]], u64::MAX, "a counter does not fall");
        assert_eq!(counter.total(), u64::MAX);
    }
}
