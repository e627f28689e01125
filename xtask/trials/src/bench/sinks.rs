//! The sink benchmark: `host-runner/benches/sinks`, as a table.

use anyhow::Result;

use super::report;
use crate::tools;

pub(crate) fn run(rows: u32) -> Result<()> {
    let machine = report::machine("no other process of the benchmark");
    let mut bench = tools::cargo()?;
    bench
        .args(["bench", "--quiet", "--workspace", "--bench", "sinks"])
        .env("SINKS_BENCH_ROWS", rows.to_string());
    let measured = tools::json_lines(&mut bench)?;
    let mut text = format!(
        "## Sinks\n\n`cargo xtask bench sinks --rows {rows}`; {machine}. Rows of about 1.4 KB and 46 \
         columns.\n\n\
         | sink | rows are | rows/s | rows per CPU second |\n|---|---|---:|---:|\n"
    );
    for one in &measured {
        let word = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let numbers = report::cells(one, &["rowsPerSecond", "rowsPerCpuSecond"]);
        text.push_str(&format!("| {} | {} |{numbers}\n", word("sink"), word("rowsAre")));
    }
    text.push('\n');
    print!("{text}");
    report::write("sinks", &text)
}
