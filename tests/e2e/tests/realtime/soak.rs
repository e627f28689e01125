//! Many seeds of everything at once; at the end the target equals the truth. And proof that the check can see a loss.
//!
//! `E2E_SOAK_SEEDS` (50) seeds from `E2E_SOAK_FROM` (0), two at a time. A seed that fails prints the command that runs it alone.

mod canary;
mod portal;
mod seed;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Seeds at the same time.
const AT_ONCE: usize = 2;
/// What most seeds must have had for the soak to prove something.
const KILLS_MIN: u64 = 1;

/// What a seed went through.
#[derive(Debug, Default)]
struct Trials {
    kills: u64,
    faults: u64,
    dropped: u64,
    duplicated: u64,
    deliveries: u64,
    tombstones: u64,
    in_small_batches: bool,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: no number")))
}

/// How to run one seed alone.
fn command(seed: u64) -> String {
    format!(
        "E2E_SOAK_SEEDS=1 E2E_SOAK_FROM={seed} cargo test --release -p e2e --test realtime -- --exact \
         soak::every_seed_ends_equal_to_the_truth --nocapture"
    )
}

#[test]
fn every_seed_ends_equal_to_the_truth() {
    let (first, count) = (number("E2E_SOAK_FROM", 0), number("E2E_SOAK_SEEDS", 50));
    let (next, failed, all) = (AtomicU64::new(first), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let started = Instant::now();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            let started = Instant::now();
            match catch_unwind(AssertUnwindSafe(|| seed::run(seed))) {
                Ok(trials) => all.lock().expect("a lock").push((trials, started.elapsed())),
                Err(_) => {
                    eprintln!("seed {seed} failed; alone: {}", command(seed));
                    failed.lock().expect("a lock").push(seed);
                }
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
    let commands: Vec<String> = failed.iter().map(|seed| command(*seed)).collect();
    assert!(failed.is_empty(), "{} of {count} seeds failed:\n{}", failed.len(), commands.join("\n"));
    let hit = all.iter().filter(|(trials, _)| trials.kills >= KILLS_MIN && trials.faults > 0).count();
    assert!(hit * 2 > all.len(), "only {hit} of {} seeds were killed and hit by faults", all.len());
}

fn summary(all: &[(Trials, Duration)], elapsed: Duration) {
    let sum = |of: fn(&Trials) -> u64| all.iter().map(|(trials, _)| of(trials)).sum::<u64>();
    let slowest = all.iter().map(|(_, took)| *took).max().unwrap_or_default();
    eprintln!(
        "{} seeds ({} in small batches) in {:.0?}, slowest {slowest:.1?}: {} kills, {} faults, {} deliveries, {} dropped, {} doubled, {} tombstones",
        all.len(),
        sum(|trials| trials.in_small_batches.into()),
        elapsed,
        sum(|trials| trials.kills),
        sum(|trials| trials.faults),
        sum(|trials| trials.deliveries),
        sum(|trials| trials.dropped),
        sum(|trials| trials.duplicated),
        sum(|trials| trials.tombstones),
    );
}
