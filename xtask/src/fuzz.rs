//! libFuzzer on the targets of `tests/fuzz`, with the stable compiler.
//!
//! The crates of the workspace are compiled with counters for libFuzzer: for each of them cargo runs this
//! program instead of rustc. Dependencies have none.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::{tools, vendor};

/// The name of the copy of this program that adds [`COVERAGE`].
const NAME: &str = "coverage-and-rustc";

/// LLVM's pass with the counters that libFuzzer reads, and overflow checks.
const COVERAGE: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
];

/// The crate with libFuzzer's sources.
const CRATE: &str = "libfuzzer-sys";

/// A folder in memory.
const MEMORY: &str = "/dev/shm";

/// The longest time for one input, and the most memory.
const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=2048"];

/// Whether cargo started this process in place of rustc to add counters.
pub(crate) fn is_wrapper() -> bool {
    std::env::current_exe().is_ok_and(|program| program.ends_with(NAME))
}

/// Runs rustc with counters; the program is linked with libFuzzer. Returns only with a failure.
pub(crate) fn rustc(arguments: &[String]) -> ExitCode {
    let [rustc, options @ ..] = arguments else { return ExitCode::FAILURE };
    let mut command = Command::new(rustc);
    command.args(options);
    // A question to rustc has no crate to compile.
    if options.iter().any(|option| option.starts_with("--emit=")) {
        command.args(COVERAGE);
    }
    if options.iter().any(|option| option == "tests/fuzz/examples/fuzz.rs") {
        let library = format!("-Clink-arg={}", library().display());
        command.args(["-Clink-arg=-Wl,--whole-archive", &library, "-Clink-arg=-Wl,--no-whole-archive"]);
        command.arg("-Clink-arg=-lstdc++");
    }
    let error = command.exec();
    eprintln!("error: cannot start {rustc}: {error}");
    ExitCode::FAILURE
}

/// `[TARGET] [--minutes N]`.
pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    let (target, minutes) = match words {
        [] => (None, "5"),
        ["--minutes", minutes] => (None, *minutes),
        [target] => (Some(*target), "5"),
        [target, "--minutes", minutes] => (Some(*target), *minutes),
        _ => return Err("usage: cargo xtask fuzz [TARGET] [--minutes N]".to_owned()),
    };
    let minutes: u64 = minutes.parse().map_err(|_| format!("--minutes {minutes}: must be a number"))?;
    build()?;
    let targets = match target {
        Some(target) => vec![target.to_owned()],
        None => targets()?,
    };
    let seconds = (minutes * 60 / targets.len().max(1) as u64).max(1);
    let mut rows = Vec::new();
    for target in &targets {
        rows.push(format!("| `{target}` {}", fuzz(target, seconds)?.row()));
    }
    println!("\nThe table of docs/SECURITY.md:\n");
    println!("| target | seconds | inputs | coverage before | coverage after | memory, MiB |");
    println!("|---|---|---|---|---|---|\n{}", rows.join("\n"));
    Ok(())
}

/// The figures of a target, as libFuzzer prints them.
#[derive(Default)]
struct Figures {
    seconds: String,
    inputs: String,
    before: String,
    after: String,
    memory: String,
}

impl Figures {
    /// Reads a line of libFuzzer.
    fn read(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at + 1).map(|word| (*word).to_owned())
        };
        for (figure, name, kind) in [
            (&mut self.before, "cov:", "INITED"),
            (&mut self.after, "cov:", "DONE"),
            (&mut self.seconds, "in", "Done"),
            (&mut self.inputs, "stat::number_of_executed_units:", ""),
            (&mut self.memory, "stat::peak_rss_mb:", ""),
        ] {
            if kind.is_empty() || words.contains(&kind) {
                *figure = after(name).unwrap_or_else(|| std::mem::take(figure));
            }
        }
    }

    /// The columns after the target.
    fn row(&self) -> String {
        let Self { seconds, inputs, before, after, memory } = self;
        format!("| {seconds} | {} | {before} | {after} | {memory} |", grouped(inputs))
    }
}

/// A number with a comma before each three digits.
fn grouped(digits: &str) -> String {
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

fn build() -> Result<(), String> {
    libfuzzer()?;
    let mut cargo = tools::cargo();
    cargo.env("RUSTC_WORKSPACE_WRAPPER", tools::copy_of_this_program(NAME)?);
    cargo.env("CARGO_TARGET_DIR", folder());
    cargo.args(["build", "--release", "--workspace", "--features", "fuzz/libfuzzer", "--example", "fuzz"]);
    tools::run(&mut cargo)
}

/// Another target folder: the library of the connector has the same file name with and without counters.
fn folder() -> PathBuf {
    tools::root().join("target/fuzz")
}

/// libFuzzer, compiled.
fn library() -> PathBuf {
    folder().join("libfuzzer.a")
}

/// Compiles libFuzzer from the sources in the crate `libfuzzer-sys`, once.
fn libfuzzer() -> Result<(), String> {
    if library().is_file() {
        return Ok(());
    }
    let sources = vendor::sources(CRATE)?.join("libfuzzer");
    let failed = |error: std::io::Error| format!("{}: {error}", sources.display());
    let objects = folder().join("libfuzzer");
    std::fs::create_dir_all(&objects).map_err(failed)?;
    let mut archive = Command::new("ar");
    archive.arg("crs").arg(library());
    for entry in std::fs::read_dir(&sources).map_err(failed)? {
        let source = entry.map_err(failed)?.path();
        if source.extension().is_some_and(|extension| extension == "cpp") {
            let object = objects.join(source.file_name().unwrap_or_default()).with_extension("o");
            let options = ["-std=c++17", "-O2", "-fno-omit-frame-pointer", "-w", "-c"];
            tools::run(Command::new("c++").args(options).arg(&source).arg("-o").arg(&object))?;
            archive.arg(object);
        }
    }
    tools::run(&mut archive)
}

/// The folders of the corpus are named as the targets.
fn targets() -> Result<Vec<String>, String> {
    let folder = tools::root().join("tests/fuzz/corpus");
    let entries =
        std::fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// Fuzzes from the corpus of the tree; further inputs stay in `target/fuzz/found/TARGET`.
fn fuzz(target: &str, seconds: u64) -> Result<Figures, String> {
    let found = folder().join("found").join(target);
    std::fs::create_dir_all(&found).map_err(|error| format!("cannot create {}: {error}", found.display()))?;
    let corpus = Path::new("tests/fuzz/corpus").join(target);
    println!("== {target}: {seconds} s");
    let mut fuzzer = Command::new(folder().join("release/examples/fuzz"));
    fuzzer
        .current_dir(tools::root())
        .env("FUZZ_TARGET", target)
        .args(LIMITS)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg("-print_final_stats=1")
        .args(["-verbosity=1", "-max_len=65536"])
        .args([&found, &corpus]);
    // Files in memory: some targets wait for a disk otherwise.
    if Path::new(MEMORY).is_dir() {
        fuzzer.env("TMPDIR", MEMORY);
    }
    let failed = |error: std::io::Error| format!("cannot fuzz {target}: {error}");
    let mut running = fuzzer.stderr(Stdio::piped()).spawn().map_err(failed)?;
    let mut figures = Figures::default();
    for line in running.stderr.take().into_iter().flat_map(|lines| BufReader::new(lines).split(b'\n')) {
        let line = line.map_err(failed)?;
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        figures.read(&line);
    }
    let status = running.wait().map_err(failed)?;
    if status.success() {
        return Ok(figures);
    }
    Err(format!(
        "{target} failed ({status})\n\nhint: the input is a file in {}, named crash-… or timeout-…",
        found.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::Figures;

    #[test]
    fn the_figures_of_a_target_are_a_row_of_the_table() {
        let mut figures = Figures::default();
        for line in [
            "#5\tINITED cov: 3128 ft: 4000 corp: 12/9Kb exec/s: 0 rss: 33Mb",
            "#1024\tpulse  cov: 3200 ft: 4100 corp: 20/9Kb lim: 4096 exec/s: 512 rss: 34Mb",
            "#16508\tDONE   cov: 4216 ft: 9000 corp: 300/90Kb lim: 9000 exec/s: 532 rss: 38Mb",
            "Done 16508 runs in 31 second(s)",
            "stat::number_of_executed_units: 16508",
            "stat::peak_rss_mb:              38",
        ] {
            figures.read(line);
        }
        assert_eq!(figures.row(), "| 31 | 16,508 | 3128 | 4216 | 38 |");
    }
}
