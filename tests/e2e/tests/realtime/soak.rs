//! Many seeds of faults, kills and lost deliveries together; at the end the sink equals the truth. And proof
//! that the check sees a loss.
//!
//! `E2E_SOAK_SEEDS` seeds from `E2E_SOAK_FROM` (0), two at a time; `E2E_SEED=n` runs one. Unless it says so,
//! 20 of SQLite and a few of PostgreSQL, and 50 of each with `E2E_FULL=1`. A seed that fails prints its plan
//! and the command that runs it alone.

mod canary;
mod plan;
mod portal;
mod seed;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::support::rng;
use plan::{Plan, Sink};

/// Seeds at the same time.
const AT_ONCE: usize = 2;
/// How many seeds of each sink run with `E2E_FULL=1`.
const FULL: u64 = 50;
/// How many run otherwise.
const SQLITE_SEEDS: u64 = 20;
/// The same of PostgreSQL: each starts a server.
const POSTGRES_SEEDS: u64 = 4;

/// Seeds from which most must meet a fault: a few may meet none.
const JUDGED_SEEDS_MIN: usize = 20;

/// What a seed went through.
#[derive(Debug, Default)]
struct Trials {
    kills: u64,
    server_kills: u64,
    faults: u64,
    dropped: u64,
    duplicated: u64,
    deliveries: u64,
    tombstones: u64,
    is_in_small_batches: bool,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: no number")))
}

/// The seeds to run, so many unless the environment says otherwise.
fn seeds(short: u64) -> Vec<u64> {
    let default = if std::env::var_os("E2E_FULL").is_some() { FULL } else { short };
    let (first, count) = (number("E2E_SOAK_FROM", 0), number("E2E_SOAK_SEEDS", default));
    rng::seeds(first..first + count)
}

/// The plan of a seed, and how to run it alone.
fn report(plan: &Plan) -> String {
    let (variables, test) = match plan.sink {
        Sink::Sqlite => ("", "every_seed_ends_equal_to_the_truth"),
        Sink::Postgres => ("TEST_DATABASE_URL=own ", "every_seed_into_postgresql_ends_equal_to_the_truth"),
    };
    format!(
        "{plan}\n  {variables}E2E_SEED={} cargo test --release --workspace --test realtime -- --exact \
         --nocapture soak::{test}",
        plan.seed
    )
}

#[test]
fn every_seed_ends_equal_to_the_truth() {
    let all = run(&seeds(SQLITE_SEEDS), Plan::new);
    let hit = all.iter().filter(|trials| trials.faults > 0).count();
    let is_enough = all.len() < JUDGED_SEEDS_MIN || hit * 2 > all.len();
    assert!(is_enough, "only {hit} of {} seeds were hit by faults", all.len());
}

#[test]
fn every_seed_into_postgresql_ends_equal_to_the_truth() {
    // Says that there are programs of a server; each seed starts its own.
    if std::env::var_os("TEST_DATABASE_URL").is_none() {
        return;
    }
    run(&seeds(POSTGRES_SEEDS), Plan::on_postgres);
}

/// Runs all, and fails if one does.
fn run(seeds: &[u64], plan: fn(u64) -> Plan) -> Vec<Trials> {
    let next = Mutex::new(seeds.iter());
    let (failed, all) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let started = Instant::now();
    let work = || {
        loop {
            let Some(seed) = next.lock().expect("a lock").next() else { return };
            let plan = plan(*seed);
            eprintln!("{plan}");
            let started = Instant::now();
            match catch_unwind(AssertUnwindSafe(|| seed::run(&plan))) {
                Ok(trials) => all.lock().expect("a lock").push((trials, started.elapsed())),
                Err(_) => failed.lock().expect("a lock").push(report(&plan)),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            std::thread::Builder::new().name("soak".to_owned()).spawn_scoped(scope, work).expect("a thread");
        }
    });
    let all = all.into_inner().expect("a lock");
    summary(&all, started.elapsed());
    let failed = failed.into_inner().expect("a lock");
    assert!(failed.is_empty(), "{} of {} seeds failed:\n{}", failed.len(), seeds.len(), failed.join("\n"));
    all.into_iter().map(|(trials, _)| trials).collect()
}

fn summary(all: &[(Trials, Duration)], elapsed: Duration) {
    let sum = |of: fn(&Trials) -> u64| all.iter().map(|(trials, _)| of(trials)).sum::<u64>();
    let slowest = all.iter().map(|(_, took)| *took).max().unwrap_or_default();
    eprintln!(
        "{} seeds ({} in small batches) in {:.0?}, slowest {slowest:.1?}: {} kills of the runner, {} of \
         the server, {} faults, \
         {} deliveries, {} dropped, {} doubled, {} tombstones",
        all.len(),
        sum(|trials| trials.is_in_small_batches.into()),
        elapsed,
        sum(|trials| trials.kills),
        sum(|trials| trials.server_kills),
        sum(|trials| trials.faults),
        sum(|trials| trials.deliveries),
        sum(|trials| trials.dropped),
        sum(|trials| trials.duplicated),
        sum(|trials| trials.tombstones),
    );
}
