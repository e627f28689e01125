//! A long first read: planned, killed five times, equal to the truth, in memory that does not grow with it.

use std::time::Duration;

use desk_simulator::TruthQuery;
use serde_json::{Map, Value};

use crate::compare::Database;
use crate::support::Setup;
use crate::world::{large_world, options};

/// Tickets of the small world, and with `E2E_FULL=1`: of the small one, too, most are read by search windows.
const TICKETS: (u32, u32) = (30_000, 1_000_000);
const KILLS: u64 = 5;
/// Calls that a kill may cost: those of a batch that is read and of one that is committed.
const LOST_CALLS: u64 = 1_200;
/// Most resident memory of the runner. It was 99 MiB with 100,000 tickets.
const MEMORY_MIB: u64 = 256;
/// Members of every row, however it was read.
const MEMBERS: [&str; 7] =
    ["subject", "status", "departmentId", "contactId", "createdTime", "threadCount", "priority"];
/// Pause between two looks at the process.
const LOOK: Duration = Duration::from_millis(20);

/// Runs `sync` until it ends, or until the simulator has had so many calls and it is killed. Answers whether
/// it was killed, and its peak of resident memory.
fn run(setup: &Setup, most: Option<u64>) -> (bool, u64) {
    let mut running = setup.start(&["sync"]);
    let mut peak_mib = 0;
    while !running.has_ended() {
        peak_mib = peak_mib.max(running.peak_mib());
        if most.is_some_and(|most| setup.requests() >= most) {
            running.kill();
            break;
        }
        std::thread::sleep(LOOK);
    }
    let run = setup.remember(running.wait());
    if !run.was_killed() {
        assert_eq!(run.code(), 0, "{run}");
    }
    (run.was_killed(), peak_mib)
}

/// Fails when a row is missing, deleted, one too many, or has another value of a member.
fn equals_truth(setup: &Setup, tickets: u32) {
    let truth = setup.simulator.truth("tickets", TruthQuery::default()).expect("tickets");
    let database = Database::open(&setup.path("out.db"));
    assert_eq!(database.number("SELECT count(*) FROM tickets_live"), i64::from(tickets));
    assert_eq!(database.number("SELECT count(*) FROM tickets"), i64::from(tickets));
    let mut expected: Vec<(String, Map<String, Value>)> = truth
        .into_iter()
        .map(|line| {
            let line: Value = serde_json::from_str(&line).expect("a line");
            let of = |member: &&str| ((*member).to_owned(), line["row"][*member].clone());
            (line["id"].as_str().expect("an id").to_owned(), MEMBERS.iter().map(of).collect())
        })
        .collect();
    expected.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut expected = expected.into_iter();
    database.for_each("SELECT id, _raw FROM tickets ORDER BY id", |id, raw| {
        let (known, members) = expected.next().expect("no further row");
        let raw: Value = serde_json::from_str(raw).expect("a row");
        assert_eq!(id, known);
        for (member, value) in members {
            assert_eq!(raw[&member], value, "{id}: {member}");
        }
    });
}

#[test]
fn a_long_first_read_that_is_killed_five_times_costs_what_was_planned_in_flat_memory() {
    let tickets = if std::env::var_os("E2E_FULL").is_some() { TICKETS.1 } else { TICKETS.0 };
    let mut options = options(tickets);
    options.settings.daily_credits = Some(10_000_000);
    let setup = large_world(options, &["tickets"]);
    let plan = setup.host(&["sync", "--plan", "--json"]).exits(0).json();
    let planned = plan["total"]["calls"].as_u64().expect("calls");
    let planned_credits = plan["total"]["credits"].as_u64().expect("credits");
    assert!(plan["plan"]["calls"].as_u64().expect("calls") < 10, "{plan}");
    setup.simulator.reset_stats();
    let (mut kills, mut peak_mib) = (0, 0);
    for part in 1..=KILLS {
        let (was_killed, peak) = run(&setup, Some(planned * part / (KILLS + 1)));
        kills += u64::from(was_killed);
        peak_mib = peak_mib.max(peak);
    }
    assert_eq!(kills, KILLS, "not all kills hit");
    let (_, peak) = run(&setup, None);
    peak_mib = peak_mib.max(peak);
    let calls = setup.requests();
    let credits = setup.simulator.credits()["total"].as_u64().expect("credits");
    println!(
        "{tickets} tickets, {kills} kills: {calls} calls and {credits} credits, planned {planned} and \
         {planned_credits}; peak memory {peak_mib} MiB"
    );
    equals_truth(&setup, tickets);
    assert!(calls >= planned * 95 / 100, "planned {planned}, used {calls}");
    assert!(calls <= planned * 105 / 100 + kills * LOST_CALLS, "planned {planned}, used {calls}");
    assert!(peak_mib < MEMORY_MIB, "{peak_mib} MiB");
}
