//! libFuzzer on the targets of `tests/fuzz`, with the stable compiler.
//!
//! The crates of the workspace are compiled with counters for libFuzzer: for each of them cargo runs this
//! program instead of rustc. Dependencies have none.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

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
    for target in &targets {
        fuzz(target, seconds)?;
    }
    Ok(())
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
fn fuzz(target: &str, seconds: u64) -> Result<(), String> {
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
    tools::run(&mut fuzzer).map_err(|error| {
        format!("{error}\n\nhint: the input is a file in {}, named crash-… or timeout-…", found.display())
    })
}
