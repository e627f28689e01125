//! The comparison with peers: the runner's sinks, Airbyte's declarative CDK and dlt read the same simulator,
//! in turn. Rows that are missing, twice or outdated are counted before speed.
//!
//! [`programs`] has their commands and their rows, [`rows`] compares these with the simulator's truth.

mod programs;
mod rows;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use self::programs::{ALL, Program};
use super::report;
use crate::processes::{Measured, Simulator, measure_until, refresh_token};
use crate::tools;

/// Between two looks at the simulator's counts.
const LOOK: Duration = Duration::from_millis(20);
/// Delay of each call in the distant scenarios.
const LATENCY_MS: u32 = 50;
/// Share of calls that are refused in the scenario of refusals.
const REFUSED: f64 = 0.02;
/// Of a scenario with delays or refusals, so many times fewer rows.
const SMALLER: u32 = 5;

/// The part of each ticket that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    Listed,
    Detailed,
}

/// A simulator, and the data that all programs share.
struct World {
    simulator: Simulator,
    rows: Rows,
    tickets: u32,
    folder: PathBuf,
    refresh_token: String,
    database: Option<String>,
}

/// A run, and its price at the source.
struct Outcome {
    measured: Measured,
    calls: u64,
    credits: u64,
    wrong: rows::Wrong,
}

pub(crate) fn run(tickets: u32, details: u32, runs: usize) -> Result<()> {
    let folder = tools::fresh_folder("bench-peers")?;
    let machine = report::machine("the simulator, PostgreSQL and the program measured");
    let mut text = format!(
        "## Peers\n\n`cargo xtask bench peers --tickets {tickets} --details {details} --runs {runs}`; \
         {machine}. All read the same simulator in turn. Airbyte's CDK 7.39.1 has the manifest \
         `tests/tools/peers/airbyte.yaml`, dlt 1.31.0 the `rest_api` source of \
         `tests/tools/peers/dlt_rest_api.py` and stores into DuckDB. In the second run both search for \
         rows that changed since a time that they are given. CPU and memory are those of the process; \
         the CPU of the PostgreSQL server is not in them. Of several runs the median time and the largest \
         memory count.\n\n"
    );
    let lists = World::start(&folder, Rows::Listed, tickets, 0)?;
    section(&mut text, &format!("{tickets} list rows"), Some(tickets), &lists.first_reads(runs)?);
    let since = lists.change_one_percent()?;
    let heading = format!("Second run, after {} of them changed", tickets / 100);
    let second = lists.each(|one| {
        one.follow(&lists, &since)?;
        lists.run(one, None)
    });
    section(&mut text, &heading, Some(tickets / 100), &second?);
    let heading = format!("{tickets} list rows: the run after a kill at 60 % of the calls");
    // Not a rate: a program that continues reads fewer rows than one that starts again.
    section(&mut text, &heading, None, &lists.each(|one| lists.after_a_kill(one))?);
    drop(lists);
    let detailed = World::start(&folder, Rows::Detailed, details, 0)?;
    let heading = format!("{details} tickets with detail");
    section(&mut text, &heading, Some(details), &detailed.first_reads(runs)?);
    drop(detailed);
    for (rows, tickets, name) in [
        (Rows::Listed, tickets / SMALLER, "list rows"),
        (Rows::Detailed, details / SMALLER, "tickets with detail"),
    ] {
        let distant = World::start(&folder, rows, tickets, LATENCY_MS)?;
        let heading = format!("{tickets} {name}, each call takes {LATENCY_MS} ms");
        section(&mut text, &heading, Some(tickets), &distant.first_reads(1)?);
    }
    let tickets = tickets / SMALLER;
    let refusing = World::start(&folder, Rows::Listed, tickets, 0)?;
    let faults = json!({"faults": {"seed": 7, "too_many_requests": REFUSED, "retry_after_seconds": 1}});
    refusing.simulator.admin("PATCH", "settings", &faults)?;
    let heading = format!("{tickets} list rows, {} % of the calls answered with 429", REFUSED * 100.0);
    section(&mut text, &heading, Some(tickets), &refusing.first_reads(1)?);
    report::write("peers", &text)
}

impl World {
    fn start(folder: &Path, rows: Rows, tickets: u32, latency_ms: u32) -> Result<World> {
        let simulator = Simulator::start_warm(tickets, latency_ms)?;
        let refresh_token = refresh_token(&simulator)?;
        let database = std::env::var("TEST_DATABASE_URL").ok();
        Ok(World { simulator, rows, tickets, folder: folder.to_owned(), refresh_token, database })
    }

    /// Each program that can run here, in turn.
    fn each(&self, mut run: impl FnMut(Program) -> Result<Outcome>) -> Result<Vec<(Program, Vec<Outcome>)>> {
        let able = ALL.into_iter().filter(|one| *one != Program::Postgres || self.database.is_some());
        able.map(|one| Ok((one, vec![run(one)?]))).collect()
    }

    /// Runs from nothing, in turn.
    fn first_reads(&self, runs: usize) -> Result<Vec<(Program, Vec<Outcome>)>> {
        let mut all: Vec<(Program, Vec<Outcome>)> = Vec::new();
        for number in 1..=runs {
            for (place, (one, outcomes)) in self
                .each(|one| {
                    eprintln!("{:?} {}, run {number} of {runs}: {}", self.rows, self.tickets, one.name());
                    one.reset(self)?;
                    self.run(one, None)
                })?
                .into_iter()
                .enumerate()
            {
                match all.get_mut(place) {
                    Some((_, earlier)) => earlier.extend(outcomes),
                    None => all.push((one, outcomes)),
                }
            }
        }
        Ok(all)
    }

    /// A run from the progress of the last, killed after so many calls.
    fn run(&self, one: Program, calls_max: Option<u64>) -> Result<Outcome> {
        self.simulator.admin("POST", "stats/reset", &json!({}))?;
        let mut command = one.command(self)?;
        command.stderr(Stdio::from(std::fs::File::create(one.folder(self).join("stderr"))?));
        let mut next = Instant::now();
        let measured = measure_until(&mut command, || {
            let Some(most) = calls_max.filter(|_| Instant::now() >= next) else { return Ok(false) };
            next = Instant::now() + LOOK;
            Ok(self.calls()?.0 >= most)
        })
        .with_context(|| one.name())?;
        let (calls, credits) = self.calls()?;
        let wrong = match calls_max {
            Some(_) => rows::Wrong::default(),
            None => rows::compare(&one.stored(self)?, self)?,
        };
        Ok(Outcome { measured, calls, credits, wrong })
    }

    /// The run after one that was killed at 60 % of the calls of a whole one.
    fn after_a_kill(&self, one: Program) -> Result<Outcome> {
        one.reset(self)?;
        // A page of each list, and its end.
        let calls = u64::from(self.tickets / 100) * 60 / 100;
        let killed = self.run(one, Some(calls))?;
        if killed.measured.status.success() {
            eprintln!("{}: it had ended before the kill", one.name());
        }
        self.run(one, None)
    }

    /// Calls and credits since they were reset, without those for tokens.
    fn calls(&self) -> Result<(u64, u64)> {
        let credits = self.simulator.admin("GET", "credits", &json!({}))?;
        let endpoints = credits["endpoints"].as_object().context("no account")?;
        let api = endpoints.iter().filter(|(name, _)| !name.starts_with("/oauth"));
        Ok(api.fold((0, 0), |sum, (_, cost)| {
            let number = |key: &str| cost[key].as_u64().unwrap_or_default();
            (sum.0 + number("calls"), sum.1 + number("credits"))
        }))
    }

    /// Changes them; the simulator's time before, RFC 3339.
    fn change_one_percent(&self) -> Result<String> {
        let clock = self.simulator.admin("POST", "clock", &json!({"advance_ms": 0}))?;
        let now = clock["nowMs"].as_i64().context("no time")?;
        let text = "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ?1 / 1000.0, 'unixepoch')";
        let since = rusqlite::Connection::open_in_memory()?.query_row(text, [now], |row| row.get(0))?;
        for (number, id) in rows::truth(self)?.into_keys().step_by(100).enumerate() {
            let values = json!({"subject": format!("changed {number}")});
            let change = json!({"op": "update", "table": "tickets", "id": id, "values": values});
            self.simulator.admin("POST", "mutate", &change)?;
        }
        Ok(since)
    }
}

/// A table of one scenario. `rows` is the number of those that a perfect program reads, where all read the
/// same.
fn section(text: &mut String, heading: &str, rows: Option<u32>, all: &[(Program, Vec<Outcome>)]) {
    let from = text.len();
    let _ = write!(
        text,
        "### {heading}\n\n\
         | | missing | twice | outdated | rows/s | wall s | CPU s | peak MiB | calls | credits |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
    );
    for (one, outcomes) in all {
        let mut sorted: Vec<&Outcome> = outcomes.iter().collect();
        sorted.sort_by_key(|outcome| outcome.measured.wall);
        let Some(median) = sorted.get(sorted.len() / 2) else { continue };
        let peak = outcomes.iter().map(|outcome| outcome.measured.peak_kib).max().unwrap_or_default();
        let most = |count: fn(&rows::Wrong) -> u64| {
            outcomes.iter().map(|outcome| count(&outcome.wrong)).max().unwrap_or_default()
        };
        let failed = outcomes.iter().any(|outcome| !outcome.measured.status.success());
        let wall = median.measured.wall.as_secs_f64();
        let rate = rows.map_or("–".to_owned(), |rows| format!("{:.0}", f64::from(rows) / wall));
        let _ = writeln!(
            text,
            "| {}{} | {} | {} | {} | {rate} | {wall:.2} | {:.2} | {} | {} | {} |",
            one.name(),
            if failed { " (failed)" } else { "" },
            most(|wrong| wrong.missing),
            most(|wrong| wrong.twice),
            most(|wrong| wrong.outdated),
            median.measured.cpu_s,
            peak / 1024,
            median.calls,
            median.credits,
        );
    }
    text.push('\n');
    // A scenario takes minutes.
    println!("{}", text.get(from..).unwrap_or_default());
}
