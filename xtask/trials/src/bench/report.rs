//! Writes figures into `docs/benchmarks.md`: each benchmark owns the part of the page between its two marks.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::tools;

/// Last column of a line of text, as `cargo xtask tidy` asks for.
const COLUMN_MAX: usize = 110;

/// Replaces the part of `docs/benchmarks.md` that belongs to `name`.
pub(crate) fn write(name: &str, text: &str) -> Result<()> {
    let path = tools::root().join("docs/benchmarks.md");
    let page = std::fs::read_to_string(&path).unwrap_or_else(|_| "# Benchmarks\n".to_owned());
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let part = format!("{begin}{}{end}", wrap(text));
    let page = match (page.find(&begin), page.find(&end)) {
        (Some(from), Some(to)) => format!("{}{part}{}", &page[..from], &page[to + end.len()..]),
        _ => format!("{page}\n{part}"),
    };
    std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))
}

/// Breaks lines of text at [`COLUMN_MAX`]; leaves rows of tables as they are.
fn wrap(text: &str) -> String {
    let mut wrapped = String::new();
    for line in text.lines() {
        let mut column = 0;
        for word in line.split(' ') {
            let width = word.chars().count();
            if column == 0 || line.starts_with('|') || column + 1 + width <= COLUMN_MAX {
                if column > 0 {
                    wrapped.push(' ');
                    column += 1;
                }
            } else {
                wrapped.push('\n');
                column = 0;
            }
            wrapped.push_str(word);
            column += width;
        }
        wrapped.push('\n');
    }
    wrapped
}

/// Date, commit, processor, load, and the processes that share the machine. Call it before measuring.
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

/// The named figures as cells of a table.
pub(crate) fn cells(figures: &Value, names: &[&str]) -> String {
    names.iter().map(|name| format!(" {} |", figures[*name].as_f64().unwrap_or(f64::NAN))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_the_last_column_and_rows_are_not() {
        let words = ["word"; 40].join(" ");
        let wrapped = wrap(&format!("{words}\n\n| {words} |\n"));
        assert_eq!(wrapped.split_whitespace().count(), 40 + 42);
        let longest = wrapped.lines().filter(|line| !line.starts_with('|')).map(str::len).max();
        assert_eq!(longest, Some(22 * 5 - 1));
        assert!(wrapped.ends_with(&format!("\n\n| {words} |\n")));
    }
}
