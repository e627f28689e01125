//! The read benchmark: tickets without detail, into JSON lines and SQLite, compared with lower bounds: a bare
//! fetch of the pages, and the same logic compiled natively.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::report;
use crate::processes::{
    CLIENT_ID, CLIENT_SECRET, CODE, Measured, ORGANIZATION_ID, Simulator, connection_file, measure,
};
use crate::tools;

/// The programs to measure, in the order of every round.
const SUBJECTS: [&str; 5] =
    ["bare fetch", "bare fetch, 4 at once", "native logic", "component to JSON lines", "component to SQLite"];

pub(crate) fn run(tickets: u32, runs: usize, million: bool) -> Result<()> {
    let folder = tools::fresh_folder("bench")?;

    let machine = report::machine("the simulator and the program measured");
    let simulator = Simulator::start_warm(tickets, 0)?;
    let mut all: Vec<Vec<Measured>> = vec![Vec::new(); SUBJECTS.len()];
    for run in 0..runs {
        eprintln!("run {} of {runs}", run + 1);
        for (subject, measured) in round(&simulator, &folder, &[0, 1, 2, 3, 4])?.into_iter().enumerate() {
            all[subject].push(measured);
        }
    }
    let medians: Vec<Measured> = all.iter().map(|runs| median(runs)).collect();
    let mut text = table(tickets, runs, &machine, &medians);
    drop(simulator);
    text.push_str(&distant(&folder)?);
    text.push_str(&memory(&folder, tickets, &medians, million)?);
    print!("{text}");
    report::write("read", &text)
}

/// Runs each of these subjects once.
fn round(simulator: &Simulator, folder: &Path, subjects: &[usize]) -> Result<Vec<Measured>> {
    subjects.iter().map(|subject| one(simulator, folder, *subject)).collect()
}

fn one(simulator: &Simulator, folder: &Path, subject: usize) -> Result<Measured> {
    let config = folder.join("config.json");
    let url = &simulator.url;
    let json = serde_json::json!({
        "organization_id": ORGANIZATION_ID, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
        "desk_url": url, "accounts_url": url, "tables": ["tickets"], "ticket_detail": false,
    });
    std::fs::write(&config, json.to_string())?;
    let mut peer = Command::new(tools::release()?.join("bench-peer"));
    match subject {
        0 => measure(peer.arg("fetch").arg(&config).arg(CODE)),
        1 => measure(peer.arg("fetch").arg(&config).args([CODE, "--at-once", "4"])),
        2 => measure(peer.arg("native").arg(&config).arg(CODE).arg(folder.join("native.jsonl"))),
        3 => runner(simulator, folder, "jsonl", "rows"),
        _ => runner(simulator, folder, "sqlite", "rows.db"),
    }
}

/// One snapshot by the host runner into an empty sink.
fn runner(simulator: &Simulator, folder: &Path, kind: &str, path: &str) -> Result<Measured> {
    let folder = folder.join(kind);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("bench.toml");
    let config = "tables = [\"tickets\"]\nticket_detail = false\n";
    std::fs::write(&file, connection_file(simulator, "bench", config, kind, &folder.join(path)))?;
    let program = tools::release()?.join("host-runner");
    let command = |name: &str| {
        let mut command = Command::new(&program);
        command.arg(name).arg("--connection").arg(&file).arg("--data").arg(folder.join("data"));
        command
    };
    tools::run(command("authorize").args(["--code", CODE]).stdout(std::process::Stdio::null()))?;
    measure(command("sync").arg("--json")).context("sync")
}

fn median(runs: &[Measured]) -> Measured {
    let mut sorted = runs.to_vec();
    sorted.sort_by_key(|measured| measured.wall);
    let mut middle = sorted[sorted.len() / 2].clone();
    middle.peak_kib = runs.iter().map(|measured| measured.peak_kib).max().unwrap_or(0);
    middle
}

fn table(tickets: u32, runs: usize, machine: &str, medians: &[Measured]) -> String {
    let mut text = format!(
        "## Reading {tickets} tickets (list rows)\n\n\
         `cargo xtask bench read --tickets {tickets} --runs {runs}`; {machine}. \
         Median of {runs} runs, alternating between the subjects. CPU and peak memory are those of the \
         measured process.\n\n\
         | | rows/s | wall s | CPU s | peak MiB | wall to bare fetch | CPU to native logic |\n\
         |---|---:|---:|---:|---:|---:|---:|\n"
    );
    for (name, measured) in SUBJECTS.iter().zip(medians) {
        let wall = measured.wall.as_secs_f64();
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {wall:.2} | {:.2} | {} | {:.2} | {:.2} |",
            f64::from(tickets) / wall,
            measured.cpu_s,
            measured.peak_kib / 1024,
            wall / medians[0].wall.as_secs_f64(),
            measured.cpu_s / medians[2].cpu_s,
        );
    }
    text.push('\n');
    text
}

/// The same with a distant server: each call takes `LATENCY_MS`.
fn distant(folder: &Path) -> Result<String> {
    const TICKETS: u32 = 20_000;
    const LATENCY_MS: u32 = 50;
    let simulator = Simulator::start_warm(TICKETS, LATENCY_MS)?;
    let subjects = [0, 1, 3, 4];
    let measured = round(&simulator, folder, &subjects)?;
    let mut text = format!(
        "The same with {TICKETS} tickets and a server that takes {LATENCY_MS} ms for each call (one run):\n\n\
         | | rows/s | wall s | wall to bare fetch |\n|---|---:|---:|---:|\n"
    );
    for (subject, measured_one) in subjects.iter().zip(&measured) {
        let wall = measured_one.wall.as_secs_f64();
        let _ = writeln!(
            text,
            "| {} | {:.0} | {wall:.2} | {:.2} |",
            SUBJECTS[*subject],
            f64::from(TICKETS) / wall,
            wall / measured[0].wall.as_secs_f64(),
        );
    }
    text.push('\n');
    Ok(text)
}

/// Peak memory of the runner for 10,000, for `tickets` and, with `million`, for a million tickets.
fn memory(folder: &Path, tickets: u32, medians: &[Measured], million: bool) -> Result<String> {
    let mut text = String::from(
        "Peak memory of `sync` by number of tickets:\n\n| tickets | JSON lines MiB | SQLite MiB |\n\
         |---:|---:|---:|\n",
    );
    let mut sizes = vec![10_000];
    if million {
        sizes.push(1_000_000);
    }
    let mut rows: Vec<(u32, u64, u64)> = vec![(tickets, medians[3].peak_kib, medians[4].peak_kib)];
    for size in sizes {
        eprintln!("memory with {size} tickets");
        let simulator = Simulator::start_warm(size, 0)?;
        let measured = round(&simulator, folder, &[3, 4])?;
        rows.push((size, measured[0].peak_kib, measured[1].peak_kib));
    }
    rows.sort_unstable();
    for (size, lines, sqlite) in rows {
        let _ = writeln!(text, "| {size} | {} | {} |", lines / 1024, sqlite / 1024);
    }
    text.push('\n');
    Ok(text)
}
