//! The latency benchmark: the measurement in `tests/e2e/tests/realtime/latency.rs` at given rates, as a
//! table.

use anyhow::Result;

use super::report;
use crate::tools;

pub(crate) fn run(seconds: u32, rates: &[u32]) -> Result<()> {
    let machine = report::machine("source, runner and watcher");
    let rates = rates.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let mut measurement = tools::cargo()?;
    measurement
        .args(["test", "--quiet", "--release", "--workspace", "--test", "realtime", "--", "--nocapture"])
        .args(["--exact", "latency::every_delivery_becomes_a_row"])
        .env("E2E_BIN_DIR", tools::release()?)
        .env("E2E_LATENCY_RATES", &rates)
        .env("E2E_LATENCY_SECONDS", seconds.to_string());
    let measured = tools::json_lines(&mut measurement)?;
    let mut text = format!(
        "## From the POST to the visible row\n\n\
         `cargo xtask bench latency --seconds {seconds} --rates {rates}`; {machine}. \
         Each delivery is signed separately, and verified inside the component. The time is from the \
         scheduled start of the POST until another process reads the row from SQLite.\n\n\
         | deliveries/s | answered/s | deliveries | median ms | p99 ms | max ms |\n\
         |---:|---:|---:|---:|---:|---:|\n"
    );
    for one in &measured {
        let names = ["deliveriesPerSecond", "answeredPerSecond", "deliveries", "medianMs", "p99Ms", "maxMs"];
        text.push_str(&format!("|{}\n", report::cells(one, &names)));
    }
    text.push('\n');
    print!("{text}");
    report::write("latency", &text)
}
