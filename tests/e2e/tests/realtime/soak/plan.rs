//! The plan of one seed for the portal and the runner, decided before anything starts.
//!
//! Pure: equal seeds give equal plans. A plan does not decide how far the runner is when a step comes; that
//! depends on the machine.

use std::fmt::{self, Display};

use crate::support::rng::Rng;

/// Steps of a plan. Each makes [`CHANGES`] changes at the source.
const STEPS: u64 = 20;
pub(super) const CHANGES: u64 = 100;
/// Chance in a hundred that the runner is killed after a step.
const KILL: u64 = 18;
/// Most kills, for the time they take.
const KILLS_MAX: usize = 4;
/// Chance in a hundred that the database's server is killed after a step, and the most such kills.
const SERVER_KILL: u64 = 20;
const SERVER_KILLS_MAX: usize = 4;

/// The plan of a seed.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// The runner commits after few rows, so that a kill falls between two commits of a snapshot.
    pub(super) is_in_small_batches: bool,
    /// A delete arrives as an update.
    pub(super) delete_as_update: bool,
    /// The time of an event is text, not a number.
    pub(super) event_time_iso: bool,
    pub(super) signature_in_milliseconds: bool,
    pub(super) sink: Sink,
    pub(super) steps: Vec<Step>,
}

/// Where the rows go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sink {
    Sqlite,
    /// A separate server, which is killed too.
    Postgres,
}

/// Changes at the source, a wait, perhaps a kill.
#[derive(Debug, PartialEq)]
pub(super) struct Step {
    /// Seed of the changes.
    pub(super) changes: u64,
    /// Requests and deliveries to wait for after the changes.
    pub(super) activity: u64,
    pub(super) kill: Option<Kill>,
    /// The database's server is killed and started again, before the runner is.
    pub(super) kills_server: bool,
}

/// The runner is killed and started again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kill {
    /// It starts again at once.
    Restart,
    /// The source changes while nothing listens: these deliveries are lost.
    LoseDeliveries {
        /// Seed of the changes.
        changes: u64,
    },
}

impl Plan {
    pub(super) fn new(seed: u64) -> Plan {
        let mut rng = Rng::new(seed);
        let mut kills = 0;
        let steps = (0..STEPS).map(|number| {
            let activity = rng.within(1, 80);
            let is_killed = kills < KILLS_MAX && rng.within(0, 100) < KILL;
            kills += usize::from(is_killed);
            let kill = is_killed.then(|| match rng.within(0, 2) {
                0 => Kill::LoseDeliveries { changes: seed * 1_000 + 500 + number },
                _ => Kill::Restart,
            });
            Step { changes: seed * 1_000 + number, activity, kill, kills_server: false }
        });
        Plan {
            seed,
            // The divisors of the four properties have no common factor: they occur in every combination.
            is_in_small_batches: matches!(seed % 7, 1 | 3 | 5),
            delete_as_update: seed.is_multiple_of(3),
            event_time_iso: seed % 4 == 1,
            signature_in_milliseconds: seed % 5 == 2,
            sink: Sink::Sqlite,
            steps: steps.collect(),
        }
    }

    /// The same with kills of the server that the rows go to.
    pub(super) fn on_postgres(seed: u64) -> Plan {
        let mut plan = Plan { sink: Sink::Postgres, ..Plan::new(seed) };
        let mut rng = Rng::new(!seed);
        let mut kills = 0;
        for step in &mut plan.steps {
            step.kills_server = kills < SERVER_KILLS_MAX && rng.within(0, 100) < SERVER_KILL;
            kills += usize::from(step.kills_server);
        }
        plan
    }

    pub(super) fn kills(&self) -> usize {
        self.steps.iter().filter(|step| step.kill.is_some()).count()
    }

    pub(super) fn server_kills(&self) -> usize {
        self.steps.iter().filter(|step| step.kills_server).count()
    }
}

impl Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "plan of seed {}: {} steps of {CHANGES} changes", self.seed, self.steps.len())?;
        let properties = [
            (self.is_in_small_batches, "small batches"),
            (self.delete_as_update, "deletes as updates"),
            (self.event_time_iso, "event times as text"),
            (self.signature_in_milliseconds, "signatures in milliseconds"),
            (self.sink == Sink::Postgres, "into PostgreSQL"),
        ];
        for (_, name) in properties.iter().filter(|(has, _)| *has) {
            write!(out, ", {name}")?;
        }
        for (number, step) in self.steps.iter().enumerate() {
            if step.kills_server {
                write!(out, "; kill of the server after step {number}")?;
            }
            match step.kill {
                None => {}
                Some(Kill::Restart) => write!(out, "; kill after step {number}")?,
                Some(Kill::LoseDeliveries { .. }) => {
                    write!(out, "; kill after step {number}, with changes before the restart")?;
                }
            }
        }
        Ok(())
    }
}

#[test]
fn a_seed_decides_its_whole_plan() {
    for seed in 0..200 {
        assert_eq!(Plan::new(seed), Plan::new(seed));
        assert_ne!(Plan::new(seed).steps, Plan::new(seed + 1).steps, "seed {seed}");
    }
}

#[test]
fn the_plans_of_the_default_seeds_have_kills_and_every_property() {
    let plans: Vec<Plan> = (0..super::FULL).map(Plan::new).collect();
    let share = |has: fn(&Plan) -> bool| plans.iter().filter(|plan| has(plan)).count() * 100 / plans.len();
    assert!(share(|plan| plan.kills() > 0) > 90);
    let loses = |step: &Step| matches!(step.kill, Some(Kill::LoseDeliveries { .. }));
    assert!(plans.iter().filter(|plan| plan.steps.iter().any(loses)).count() * 2 > plans.len());
    assert!(share(|plan| plan.is_in_small_batches) > 30);
    assert!(share(|plan| plan.delete_as_update) > 20);
    assert!(share(|plan| plan.event_time_iso) > 15);
    assert!(share(|plan| plan.signature_in_milliseconds) > 10);
}

#[test]
fn most_plans_for_postgresql_kill_runner_and_server_and_are_otherwise_the_same() {
    let plans: Vec<Plan> = (0..super::FULL).map(Plan::on_postgres).collect();
    assert!(plans.iter().filter(|plan| plan.server_kills() > 1 && plan.kills() > 0).count() > 40);
    for mut plan in plans {
        plan.sink = Sink::Sqlite;
        plan.steps.iter_mut().for_each(|step| step.kills_server = false);
        assert_eq!(plan, Plan::new(plan.seed));
    }
}

#[test]
fn a_plan_prints_its_seed_and_its_kills() {
    let mut plan = Plan::new(2);
    plan.steps.truncate(0);
    for kill in [None, Some(Kill::Restart), Some(Kill::LoseDeliveries { changes: 1 })] {
        plan.steps.push(Step { changes: 0, activity: 1, kill, kills_server: false });
    }
    assert_eq!(
        plan.to_string(),
        "plan of seed 2: 3 steps of 100 changes, signatures in milliseconds; kill after step 1; \
         kill after step 2, with changes before the restart"
    );
}
