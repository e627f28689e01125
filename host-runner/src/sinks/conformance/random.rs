//! The same random commits into every kind of sink: all come to the same rows.
//!
//! The rows of JSON lines are read by the rules that the documentation gives to readers, so this also shows
//! that those rules are sufficient.

use super::State;
use super::case::{Case, change, kinds, on_every_sink, partial};
use crate::change::{Change, Generation};
use crate::sinks::{Deletes, KINDS, Load};

const SEEDS: u64 = 60;
const COMMITS: usize = 40;

/// A commit.
#[derive(Clone, Debug)]
enum Step {
    Read(Vec<Change>, Option<Generation>),
    Deliver(Vec<Change>),
}

/// `xorshift64*`.
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % end
    }
}

fn random_change(rng: &mut Rng, now: u64) -> Change {
    let id = ["a", "b", "c", "d", "e"][usize::try_from(rng.below(5)).expect("an index")];
    // Late by up to the length of two snapshots.
    let as_of = now.saturating_sub(rng.below(40));
    let n = rng.below(4);
    match rng.below(6) {
        0 => change(id, None, as_of),
        1 => partial(id, &format!("{{\"n\":{n}}}"), as_of),
        2 => partial(id, &format!("{{\"more\":{n}}}"), as_of),
        _ => change(id, i64::try_from(n).ok(), as_of),
    }
}

/// Snapshots with polls and deliveries between their batches.
fn steps(rng: &mut Rng) -> Vec<Step> {
    let (mut steps, mut started) = (Vec::new(), 0);
    for step in 0..COMMITS {
        let now = 100 + 5 * step as u64;
        let changes: Vec<Change> = (0..rng.below(4)).map(|_| random_change(rng, now)).collect();
        steps.push(match rng.below(5) {
            0 => Step::Read(changes, None),
            1 | 2 => Step::Deliver(changes),
            kind => {
                if started == 0 {
                    started = now;
                }
                let complete = kind == 4;
                let generation = Generation { id: started, as_of_ms: Some(started), complete };
                if complete {
                    started = 0;
                }
                // A snapshot reads rows that exist.
                let rows = changes.into_iter().filter(|change| change.after.is_some()).collect();
                Step::Read(rows, Some(generation))
            }
        });
    }
    steps
}

fn run(case: &mut Case, steps: &[Step]) -> Vec<(String, State)> {
    for step in steps {
        match step {
            Step::Read(changes, generation) => {
                case.try_read(changes, *generation).expect("committed");
            }
            Step::Deliver(changes) => {
                case.deliver(changes);
            }
        }
    }
    case.stored(super::case::TABLE).into_iter().collect()
}

#[test]
fn random_commits_end_in_the_same_rows_in_every_sink_in_order_and_shuffled() {
    for seed in 1..=SEEDS {
        let mut rng = Rng(seed);
        let mut steps = steps(&mut rng);
        for order in ["in order", "shuffled"] {
            let mut stored: Vec<Vec<(String, State)>> = Vec::new();
            for kind in kinds() {
                stored.push(run(&mut Case::new(kind, Deletes::Soft, Load::Live), &steps));
            }
            for (kind, rows) in kinds().iter().zip(&stored) {
                assert_eq!(rows, &stored[0], "seed {seed}, {order}: {} and {}", KINDS[0].name, kind.name);
            }
            for index in (1..steps.len()).rev() {
                let other = rng.below(index as u64 + 1);
                steps.swap(index, usize::try_from(other).expect("an index"));
            }
        }
    }
}

#[test]
fn random_deliveries_committed_again_change_nothing() {
    on_every_sink(|case| {
        let mut rng = Rng(7);
        let changes: Vec<Change> = (0..50).map(|n| random_change(&mut rng, 100 + n)).collect();
        let whole = |change: &&Change| !change.partial;
        let changes: Vec<Change> = changes.iter().filter(whole).cloned().collect();
        case.deliver(&changes);
        let before = case.rows();
        case.deliver(&changes);
        assert_eq!(case.rows(), before);
    });
}
