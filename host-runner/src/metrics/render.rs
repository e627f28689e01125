//! Counters as text: the Prometheus exposition format.

use std::fmt::Write as _;

use super::Counters;
use crate::journal::Depth;

/// A connection as it is shown.
pub struct Shown {
    /// Its name.
    pub name: String,
    /// What it has done.
    pub counters: Counters,
    /// What waits for it.
    pub depth: Depth,
}

/// A family of samples.
struct Family<'t> {
    text: &'t mut String,
    name: &'static str,
}

impl<'t> Family<'t> {
    fn new(text: &'t mut String, name: &'static str, kind: &str, help: &str) -> Self {
        let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Self { text, name }
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let _infallible = writeln!(self.text, "{}{{{}}} {value}", self.name, labels.join(","));
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// All connections in the Prometheus text format.
pub fn prometheus(all: &[Shown], now_ms: u64) -> String {
    let mut text = String::new();
    let t = &mut text;
    let mut f = Family::new(t, "connection_state", "gauge", "1 for the state the connection is in.");
    for one in all {
        f.sample(&[("connection", &one.name), ("state", one.counters.phase.name())], 1);
    }
    type Number = fn(&Shown) -> u64;
    let numbers: [(&'static str, &str, &str, Number); 11] = [
        ("deliveries_applied_total", "counter", "Deliveries whose changes are in the target.", |one| {
            one.counters.applied
        }),
        ("deliveries_buried_total", "counter", "Deliveries that became dead letters.", |one| {
            one.counters.buried
        }),
        ("deliveries_received_total", "counter", "Deliveries applied, buried or waiting.", |one| {
            one.counters.applied + one.counters.buried + one.depth.count
        }),
        ("journal_deliveries", "gauge", "Deliveries that wait.", |one| one.depth.count),
        ("journal_bytes", "gauge", "Bytes of the deliveries that wait.", |one| one.depth.bytes),
        ("dead_letters", "gauge", "Dead letters kept.", |one| one.depth.dead),
        ("dead_letters_let_go_total", "counter", "Dead letters let go for want of room.", |one| {
            one.counters.let_go
        }),
        ("receiving_held", "gauge", "1 while the oldest delivery cannot be dealt with.", |one| {
            u64::from(one.counters.is_held)
        }),
        ("requests_total", "counter", "Requests to the source.", |one| one.counters.requests),
        ("credits_used_total", "counter", "Credits of the source's quota used.", |one| {
            one.counters.credits_used
        }),
        ("repaired_rows_total", "counter", "Rows of all tables that polling had to repair.", |one| {
            one.counters.tables.values().map(|table| table.repaired).sum()
        }),
    ];
    for (name, kind, help, number) in numbers {
        let mut f = Family::new(t, name, kind, help);
        for one in all {
            f.sample(&[("connection", &one.name)], number(one));
        }
    }
    let mut f = Family::new(t, "credits_left", "gauge", "Credits left of the source's quota.");
    for one in all {
        if let Some(left) = one.counters.credits_left {
            f.sample(&[("connection", &one.name)], left);
        }
    }
    let mut f = Family::new(t, "journal_oldest_seconds", "gauge", "Age of the oldest delivery that waits.");
    for one in all {
        let age = one.depth.oldest_ms.map_or(0, |oldest| now_ms.saturating_sub(oldest));
        f.sample(&[("connection", &one.name)], seconds(age));
    }
    let mut f = Family::new(t, "events_ignored_total", "counter", "Events that belong to no table.");
    for one in all {
        for (event, count) in &one.counters.ignored {
            f.sample(&[("connection", &one.name), ("event", event)], count);
        }
    }
    let mut f = Family::new(t, "errors_total", "counter", "Failed calls and refused deliveries.");
    for one in all {
        for (kind, count) in &one.counters.errors {
            f.sample(&[("connection", &one.name), ("kind", kind)], count);
        }
    }
    let mut f = Family::new(t, "changes_total", "counter", "Changes handed to the target.");
    for one in all {
        for ((table, source), count) in &one.counters.changes {
            f.sample(&[("connection", &one.name), ("table", table), ("source", source)], count);
        }
    }
    tables(t, all, now_ms);
    text
}

fn tables(t: &mut String, all: &[Shown], now_ms: u64) {
    let mut f = Family::new(t, "rows_read_total", "counter", "Rows read by polling.");
    for one in all {
        for (table, counters) in &one.counters.tables {
            f.sample(&[("connection", &one.name), ("table", table)], counters.rows_read);
        }
    }
    let mut f =
        Family::new(t, "repaired_total", "counter", "Rows that polling brought and no webhook had brought.");
    for one in all {
        for (table, counters) in &one.counters.tables {
            f.sample(&[("connection", &one.name), ("table", table)], counters.repaired);
        }
    }
    let mut f = Family::new(t, "last_poll_timestamp_seconds", "gauge", "When the table was last read.");
    for one in all {
        for (table, counters) in one.counters.tables.iter().filter(|(_, counters)| counters.polled_ms > 0) {
            f.sample(&[("connection", &one.name), ("table", table)], seconds(counters.polled_ms));
        }
    }
    let mut f = Family::new(t, "seconds_behind", "gauge", "Since the table was last caught up by polling.");
    for one in all {
        for (table, counters) in one.counters.tables.iter().filter(|(_, counters)| counters.caught_up_ms > 0)
        {
            let behind = now_ms.saturating_sub(counters.caught_up_ms);
            f.sample(&[("connection", &one.name), ("table", table)], seconds(behind));
        }
    }
    let mut f = Family::new(t, "snapshot_complete", "gauge", "1 once the table was read as a whole.");
    for one in all {
        for (table, counters) in &one.counters.tables {
            f.sample(&[("connection", &one.name), ("table", table)], u8::from(counters.complete));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Shown, prometheus};
    use crate::change::ChangeSource;
    use crate::journal::Depth;
    use crate::metrics::Meters;

    #[test]
    fn labels_are_escaped_and_every_sample_has_its_family() {
        let meters = Meters::default();
        meters.count(|counters| {
            counters.ignored("a\"b\\c\nd");
            counters.changed("things", ChangeSource::Webhook, 3);
            counters.table("things").repaired = 2;
        });
        let depth = Depth { count: 1, bytes: 10, oldest_ms: Some(1_500), dead: 0 };
        let shown = Shown { name: "acme".to_owned(), counters: meters.read(), depth };
        let text = prometheus(&[shown], 3_000);
        for line in [
            r#"events_ignored_total{connection="acme",event="a\"b\\c\nd"} 1"#,
            r#"changes_total{connection="acme",table="things",source="webhook"} 3"#,
            r#"repaired_total{connection="acme",table="things"} 2"#,
            r#"journal_oldest_seconds{connection="acme"} 1.500"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
