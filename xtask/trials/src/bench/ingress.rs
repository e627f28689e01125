//! The ingress benchmark: `host-runner/benches/ingress.rs` under several loads, as a table.

use anyhow::Result;
use serde_json::Value;

use super::report;
use crate::tools;

/// Connections that send as fast as they are answered.
const BUSY: u32 = 256;
/// Measurements of that load.
const RUNS: usize = 3;
/// Connections that send while the others are idle.
const SENDING_WHILE_IDLE: u32 = 64;
/// Deliveries a second of the paced load.
const PACE: u32 = 1_000;

pub(crate) fn run(seconds: u32, idle: u32) -> Result<()> {
    let machine = report::machine("server, reader and load generator");
    let measure = |connections: u32, idle: u32, pace: u32| -> Result<Value> {
        let mut bench = tools::cargo()?;
        bench
            .args(["bench", "--quiet", "--workspace", "--bench", "ingress"])
            .env("INGRESS_BENCH_SECONDS", seconds.to_string())
            .env("INGRESS_BENCH_CONNECTIONS", connections.to_string())
            .env("INGRESS_BENCH_IDLE", idle.to_string())
            .env("INGRESS_BENCH_RATE", pace.to_string());
        Ok(tools::json_lines(&mut bench)?.remove(0))
    };
    let mut rows = Vec::new();
    for run in 1..=RUNS {
        rows.push((format!("{BUSY} connections, run {run}"), measure(BUSY, 0, 0)?));
    }
    let sending = measure(SENDING_WHILE_IDLE, idle, 0)?;
    let each = sending["idleKib"].as_f64().unwrap_or_default() / f64::from(idle.max(1));
    rows.push((format!("{SENDING_WHILE_IDLE} connections, {idle} more idle"), sending));
    rows.push((format!("{BUSY} connections, paced at {PACE}/s"), measure(BUSY, 0, PACE)?));

    let bytes = &rows[0].1["bytes"];
    let mut text = format!(
        "## Ingress\n\n\
         `cargo xtask bench ingress --seconds {seconds} --idle {idle}`; {machine}. Deliveries of \
         {bytes} bytes, each synced to disk before the 200. An idle connection took {each:.1} KiB, both ends \
         together.\n\n\
         | load | deliveries/s | median ms | p99 ms | max ms | cores used by all |\n\
         |---|---:|---:|---:|---:|---:|\n"
    );
    for (load, one) in &rows {
        let names = ["deliveriesPerSecond", "medianMs", "p99Ms", "maxMs", "cores"];
        text.push_str(&format!("| {load} |{}\n", report::cells(one, &names)));
    }
    text.push('\n');
    print!("{text}");
    report::write("ingress", &text)
}
