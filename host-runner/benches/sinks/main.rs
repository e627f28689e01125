//! Rows per second and CPU of one core into each sink: rows of 1.5 KB with 45 columns, new and unchanged.
//!
//! `SINKS_BENCH_ROWS=200000 cargo bench --workspace --bench sinks`, which `cargo xtask bench sinks` runs;
//! the default is smoke size. `SINKS_BENCH_ONLY=sqlite` measures one sink. Prints JSON, a line for each sink
//! and kind of rows. [`alone`] has the bound of SQLite.

mod alone;

use std::path::Path;
use std::time::Instant;

use host_runner::change::{Change, ChangeSource, Generation, Operation, Table};
use host_runner::sinks::{Commit, Deletes, KINDS, Load, Place, Progress, SinkKind, SinkSettings, open};

/// Rows of one commit; as many as the runner asks a component for.
const BATCH: u64 = 2_000;
/// Columns in threes: text, number as text, time.
const COLUMNS: usize = 15;

fn main() {
    let rows = std::env::var("SINKS_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok());
    let rows: u64 = rows.unwrap_or(BATCH);
    let only = std::env::var("SINKS_BENCH_ONLY").ok();
    let is_wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let url = std::env::var("TEST_DATABASE_URL").ok();
    if is_wanted(alone::NAME) {
        alone::run(rows);
    }
    for kind in KINDS.iter().filter(|kind| is_wanted(kind.name)) {
        let folder = tempfile::tempdir().expect("a folder");
        let schema = format!("bench_{}", std::process::id());
        let place = match (kind.name, &url) {
            ("postgres", None) => continue,
            ("postgres", Some(url)) => Place { url: Some(url), schema: Some(&schema), ..Place::default() },
            _ => Place::default(),
        };
        run(kind, &place, folder.path(), rows);
    }
}

fn run(kind: &'static SinkKind, place: &Place<'_>, folder: &Path, rows: u64) {
    let location = kind.locate(place, folder, "bench").expect("a location");
    let settings = SinkSettings {
        kind,
        location,
        deletes: Deletes::Soft,
        load: Load::Bulk,
        file_age_ms: 900_000,
        owner: "bench".to_owned(),
    };
    let mut sink = open(&settings).expect("opened");
    sink.prepare(&[table()]).expect("prepared");
    for (rows_are, generation) in [("new", 1), ("unchanged", 2)] {
        let as_of_ms = generation;
        measure(kind.name, rows_are, rows, |changes, complete| {
            let generation = Some(Generation { id: generation, as_of_ms: None, complete });
            let progress = Progress::Table { name: "things", cursor: "cursor", generation };
            let commit = Commit { changes, progress, as_of_ms, epoch: 0 };
            sink.commit(&commit).expect("committed");
        });
    }
}

/// Makes rows batch by batch, and measures how `commit` stores them; its flag marks the last batch.
fn measure(sink: &str, rows_are: &str, rows: u64, mut commit: impl FnMut(&[Change], bool)) {
    let cpu = cpu_seconds();
    let (mut wall, mut batches_cpu) = (0.0, 0.0);
    for first in (0..rows).step_by(BATCH as usize) {
        let making = cpu_seconds();
        let changes: Vec<Change> = (first..rows.min(first + BATCH)).map(change).collect();
        batches_cpu += cpu_seconds() - making;
        let started = Instant::now();
        commit(&changes, first + BATCH >= rows);
        wall += started.elapsed().as_secs_f64();
    }
    let cpu = cpu_seconds() - cpu - batches_cpu;
    println!(
        "{}",
        serde_json::json!({
            "sink": sink, "rowsAre": rows_are, "rows": rows,
            "rowsPerSecond": (rows as f64 / wall).round(),
            "rowsPerCpuSecond": (rows as f64 / cpu.max(0.01)).round(),
        })
    );
}

fn table() -> Table {
    let mut properties = String::from("\"id\":{\"type\":\"string\"}");
    for n in 0..COLUMNS {
        properties.push_str(&format!(
            ",\"text{n}\":{{\"type\":\"string\"}},\"count{n}\":{{\"type\":\"integer\"}},\
             \"time{n}\":{{\"type\":\"string\",\"format\":\"date-time\"}}"
        ));
    }
    Table {
        name: "things".into(),
        primary_key: vec!["id".into()],
        schema: format!("{{\"properties\":{{{properties}}}}}"),
        schema_complete: true,
        attributes: vec![],
    }
}

fn change(row: u64) -> Change {
    let id = 100_000_000_000_000_000 + row * 7;
    let mut row_json = format!("{{\"id\":\"{id}\"");
    for n in 0..COLUMNS {
        row_json.push_str(&format!(
            ",\"text{n}\":\"A text of some length {row}\",\"count{n}\":\"{row}\",\
             \"time{n}\":\"2024-02-28T10:20:30.000Z\""
        ));
    }
    row_json.push_str(",\"unknown\":{\"kept\":[1,2,3]}}");
    Change {
        table: "things".into(),
        operation: Operation::Read,
        key: format!("{{\"id\":\"{id}\"}}"),
        before: None,
        after: Some(row_json),
        source_updated_at_ms: Some(1_700_000_000_000 + row),
        as_of_ms: None,
        id: format!("{id}:1"),
        partial: false,
        source: ChangeSource::Snapshot,
    }
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after_name.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
    // Fields 14 and 15 of proc(5), in ticks of a hundredth of a second.
    (fields.get(11).copied().unwrap_or(0.0) + fields.get(12).copied().unwrap_or(0.0)) / 100.0
}
