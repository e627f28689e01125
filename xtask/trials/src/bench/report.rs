//! Figures into `docs/benchmarks.md`: each benchmark owns the part of the page between its two marks.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::tools;

/// Replaces the part of `docs/benchmarks.md` that belongs to `name`.
pub(crate) fn write(name: &str, text: &str) -> Result<()> {
    let path = tools::root().join("docs/benchmarks.md");
    let page = std::fs::read_to_string(&path).unwrap_or_else(|_| "# Benchmarks\n".to_owned());
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let part = format!("{begin}{text}{end}");
    let page = match (page.find(&begin), page.find(&end)) {
        (Some(from), Some(to)) => format!("{}{part}{}", &page[..from], &page[to + end.len()..]),
        _ => format!("{page}\n{part}"),
    };
    std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))
}

/// When and on what the figures are taken, who shares it, and how busy it is as they begin: to be asked before.
pub(crate) fn machine(shared_by: &str) -> String {
    let output = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .unwrap_or_default()
    };
    let model = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            text.lines().find_map(|line| {
                Some(line.strip_prefix("model name")?.trim_matches([':', ' ', '\t']).to_owned())
            })
        })
        .unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{}, commit {}, {cores} cores ({model}), shared by {shared_by}; load of the minute before: {load}",
        output("date", &["-u", "+%F"]),
        output("git", &["rev-parse", "--short", "HEAD"]),
    )
}

/// Numbers of a line of figures as cells of a table.
pub(crate) fn cells(figures: &Value, names: &[&str]) -> String {
    names.iter().map(|name| format!(" {} |", figures[*name].as_f64().unwrap_or(f64::NAN))).collect()
}
