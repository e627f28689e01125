//! Tests of the pages, and of the document that lists every metric.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::{Overview, START_WITHIN};
use crate::delivery::Delivery;
use crate::error::Error;
use crate::generated;
use crate::ingress::{self, Observe};
use crate::journal::{Journal, JournalLimits};
use crate::metrics::{Counters, Gauges, Meters, State};
use crate::secret::Redactor;

/// An overview of the connection `acme`, with its readings.
struct Fixture {
    overview: Overview,
    meters: Meters,
    ingress: ingress::Metrics,
    journal: Journal,
    redactor: Redactor,
    _folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, _) =
            Journal::open(folder.path().join("journal.db"), JournalLimits::default()).expect("opened");
        let (ingress, meters, redactor) =
            (ingress::Metrics::default(), Meters::default(), Redactor::default());
        let overview = Overview::new(journal.clone(), redactor.clone(), &ingress);
        overview.add("acme", &meters);
        Self { overview, meters, ingress, journal, redactor, _folder: folder }
    }

    /// Samples by name and labels.
    fn samples(&self) -> BTreeMap<String, f64> {
        let text = self.overview.metrics();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let parse = |line: &str| {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            (name.to_owned(), value.parse().expect("a number"))
        };
        samples.map(parse).collect()
    }

    fn sample(&self, name: &str) -> Option<f64> {
        self.samples().get(name).copied()
    }

    async fn append(&self) -> u64 {
        let delivery = Delivery {
            received_at_ms: 1,
            method: "POST".to_owned(),
            path_with_query: "/hooks/acme".to_owned(),
            headers: Vec::new(),
            body: b"[]".to_vec(),
        };
        let seq = self.journal.append("acme", delivery).await.expect("appended");
        self.ingress.appended("acme", 2, Duration::from_millis(3));
        seq
    }

    /// Makes every family export a sample.
    async fn touch_everything(&self) {
        self.append().await;
        self.overview.set_invalid(Path::new("a.toml"), Some("not TOML"));
        self.meters.failed(&Error::state("lost"));
        self.meters.count(|readings| {
            (readings.counters, readings.gauges) = (Counters::with_samples(), Gauges::with_samples());
            let table = readings.table("things");
            (table.caught_up_ms, table.polled_ms, table.snapshot_complete) = (1, 1, true);
        });
    }
}

#[tokio::test]
async fn no_counter_falls_while_an_acknowledgment_is_in_progress() {
    let fixture = Fixture::new();
    let seq = fixture.append().await;
    // In the actor's order: the sink has committed, and the journal is acknowledged afterward.
    fixture.meters.count(|readings| readings.counters.deliveries_applied.add([], 1));
    let before = fixture.samples();
    fixture.journal.acknowledge("acme", &[seq]).expect("acknowledged");
    let after = fixture.samples();
    let counters = before.iter().filter(|(name, _)| name.contains("_total"));
    for (name, before) in counters {
        assert!(after[name] >= *before, "{name} fell from {before} to {}", after[name]);
    }
    let received = "host_runner_ingress_appended_total{connection=\"acme\"}";
    assert_eq!((before[received], after[received]), (1.0, 1.0));
    assert_eq!(after["host_runner_delivery_queue_length{connection=\"acme\"}"], 0.0);
}

#[tokio::test]
async fn deliveries_that_grew_too_old_count_as_dead_letters() {
    let fixture = Fixture::new();
    fixture.append().await;
    assert_eq!(fixture.journal.expire(u64::MAX).expect("expired"), 1);
    let dead = fixture.sample("host_runner_deliveries_dead_lettered_total{connection=\"acme\"}");
    assert_eq!(dead, Some(1.0));
}

#[test]
fn every_state_is_exported_and_one_of_them_is_1() {
    let fixture = Fixture::new();
    fixture.meters.enter(State::Waiting, Some("503"));
    let states = State::ALL.map(|state| {
        let name = state.name();
        fixture.sample(&format!("host_runner_connection_state{{connection=\"acme\",state=\"{name}\"}}"))
    });
    assert_eq!(states, [Some(0.0), Some(0.0), Some(1.0), Some(0.0)]);
}

#[test]
fn counters_without_labels_start_at_zero() {
    let fixture = Fixture::new();
    assert_eq!(fixture.sample("host_runner_deliveries_applied_total{connection=\"acme\"}"), Some(0.0));
}

#[test]
fn label_values_are_escaped() {
    let fixture = Fixture::new();
    fixture.meters.count(|readings| readings.ignored("a\"b\\c\nd"));
    let text = fixture.overview.metrics();
    let line = r#"host_runner_events_ignored_total{connection="acme",event="a\"b\\c\nd"} 1"#;
    assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
}

#[test]
fn health_is_redacted_and_a_failing_journal_degrades_it_and_readiness() {
    let fixture = Fixture::new();
    fixture.redactor.learn("acme", "very-secret");
    fixture.meters.enter(State::Running, None);
    fixture.meters.failed(&Error::state("very-secret was refused"));
    assert!(fixture.overview.ready());
    assert!(!fixture.overview.health().to_string().contains("very-secret"));
    // Neither a session nor a configured secret masks the words that monitors read.
    fixture.redactor.learn("acme", "running");
    fixture.redactor.learn_session("other", r#"["very-secret","last_error","was refused"]"#);
    let health = fixture.overview.health();
    assert_eq!(health["connections"][0]["state"], "running");
    assert_eq!(health["connections"][0]["last_error"], "[secret] was refused");
    fixture.ingress.append_failed(crate::clock::now_ms());
    assert!(!fixture.overview.ready());
    assert_eq!(fixture.overview.health()["status"], "degraded");
    fixture.ingress.appended("acme", 1, Duration::from_millis(1));
    assert!(fixture.overview.ready(), "a delivery was stored since");
    fixture.ingress.append_failed(1);
    assert!(fixture.overview.ready(), "long ago");
    fixture.overview.set_loading(1);
    assert!(!fixture.overview.ready());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_starts_keeps_no_server_from_being_ready() {
    let fixture = Fixture::new();
    fixture.overview.set_loading(1);
    assert!(!fixture.overview.ready(), "`acme` is starting, and a file is being loaded");
    tokio::time::advance(START_WITHIN).await;
    assert!(fixture.overview.ready());
    fixture.ingress.append_failed(crate::clock::now_ms());
    assert!(!fixture.overview.ready());
}

#[tokio::test]
async fn every_sample_has_a_family_and_the_prefix() {
    let fixture = Fixture::new();
    fixture.touch_everything().await;
    let families = families(&fixture.overview.metrics());
    for (sample, _) in fixture.samples() {
        let name = sample.split('{').next().unwrap_or_default();
        assert!(name.starts_with("host_runner_"), "{sample}");
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        assert!(families.contains_key(family.unwrap_or(name)), "{sample} has no family");
    }
}

#[test]
fn the_server_is_ready_once_no_connection_is_starting() {
    let fixture = Fixture::new();
    assert!(!fixture.overview.ready());
    fixture.meters.enter(State::Waiting, Some("503"));
    assert!(fixture.overview.ready());
    fixture.overview.add("other", &Meters::default());
    assert!(!fixture.overview.ready());
    fixture.overview.remove("other");
    assert!(fixture.overview.ready());
}

// The document.

/// What the document says of one family.
#[derive(Default)]
struct Documented {
    help: String,
    kind: String,
    /// Values by label; empty for values that are not fixed.
    labels: BTreeMap<String, BTreeSet<String>>,
    is_sampled: bool,
}

/// Labels of which every value is known, and documented.
const FIXED_LABELS: [&str; 3] = ["reason", "state", "status"];

/// The families of an exposition in the Prometheus text format, by name.
fn families(text: &str) -> BTreeMap<String, Documented> {
    let mut families: BTreeMap<String, Documented> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else {
            let (name, rest) = line.split_once(['{', ' ']).expect("a sample");
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = match base.filter(|base| families.contains_key(*base)) {
                Some(base) => families.get_mut(base),
                None => families.get_mut(name),
            };
            let family = family.expect("a family before its samples");
            family.is_sampled = true;
            let labels = rest.rsplit_once('}').map_or("", |(labels, _)| labels);
            for label in labels.split(',').filter(|label| !label.is_empty()) {
                let (label, value) = label.split_once('=').expect("a label");
                let values = family.labels.entry(label.to_owned()).or_default();
                if FIXED_LABELS.contains(&label) {
                    values.insert(value.trim_matches('"').to_owned());
                }
            }
        }
    }
    families
}

fn table(families: &BTreeMap<String, Documented>) -> String {
    let mut table = "| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, family) in families {
        assert!(family.is_sampled, "{name} has no sample: use it in `touch_everything`");
        let label = |(label, values): (&String, &BTreeSet<String>)| {
            let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
            if values.is_empty() { format!("`{label}`") } else { format!("`{label}`: {}", values.join(", ")) }
        };
        let labels = family.labels.iter().filter(|(label, _)| *label != "le").map(label);
        let labels = labels.collect::<Vec<_>>().join("; ");
        let _infallible = writeln!(table, "| `{name}` | {} | {labels} | {} |", family.kind, family.help);
    }
    table
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

#[tokio::test]
async fn the_page_lists_every_metric_as_it_is() {
    let fixture = Fixture::new();
    fixture.touch_everything().await;
    let table = table(&families(&fixture.overview.metrics()));
    generated::compare("metrics.md", "every metric", &table);
}

#[tokio::test]
async fn the_page_explains_every_label() {
    let fixture = Fixture::new();
    fixture.touch_everything().await;
    let page = std::fs::read_to_string(docs().join("metrics.md")).expect("the page");
    let (explained, _) = page.split_once("## Alerts").expect("labels first");
    for family in families(&fixture.overview.metrics()).into_values() {
        for label in family.labels.into_keys().filter(|label| label != "le") {
            assert!(explained.contains(&format!("`{label}`")), "{label}");
        }
    }
}

#[tokio::test]
async fn documents_name_only_metrics_that_exist() {
    let fixture = Fixture::new();
    fixture.touch_everything().await;
    let samples = fixture.samples();
    let names: BTreeSet<&str> = samples.keys().filter_map(|sample| sample.split('{').next()).collect();
    let families = families(&fixture.overview.metrics());
    let mut files = vec![docs().join("../README.md")];
    for entry in std::fs::read_dir(docs()).expect("listed") {
        files.push(entry.expect("an entry").path());
    }
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(file).expect("read");
        for (at, _) in text.match_indices("host_runner_") {
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let name = text[at..].split(|c| !is_name(c)).next().unwrap_or_default();
            let is_known = name == "host_runner_" || names.contains(name) || families.contains_key(name);
            assert!(is_known, "{}: there is no metric {name}", file.display());
        }
    }
}

#[tokio::test]
async fn health_says_that_the_journal_was_moved_before_a_delivery_is_lost_by_it() {
    let fixture = Fixture::new();
    fixture.meters.enter(State::Running, None);
    let (path, aside) = (fixture.journal.path(), fixture.journal.path().with_extension("aside"));
    assert_eq!((fixture.overview.ready(), &fixture.overview.health()["status"]), (true, &"ok".into()));
    fixture.append().await;
    std::fs::rename(path, &aside).expect("moved");
    let health = fixture.overview.health();
    assert_eq!(health["reasons"][0], "deliveries cannot be stored: the journal fails", "{health}");
    assert!(!fixture.overview.ready());
    assert_eq!(fixture.sample("host_runner_delivery_queue_length{connection=\"acme\"}"), Some(1.0));
    std::fs::rename(&aside, path).expect("moved back");
    assert!(fixture.overview.ready());
}
