//! One seed: changes while the snapshot runs, faults, lost and doubled deliveries, kills of the runner and of
//! its database; then a full refresh, the comparison, and every delivery once more.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use postgres_server::{Durability, Server};
use serde_json::{Value, json};

use super::plan::{CHANGES, Kill, Plan, Sink};
use super::portal::{change, clear_faults, open, reconcile_and_compare, set_faults, stat};
use super::{Trials, report};
use crate::desk::Desk;
use crate::support::tables;

/// Nothing happens for this long: there is nothing to wait for.
const QUIET: Duration = Duration::from_millis(15);

/// Added to the seed of a step's changes: the seed of those while the server is away.
const SERVER_SEEDS: u64 = 700;

pub(super) fn run(plan: &Plan) -> Trials {
    let mut server = match plan.sink {
        Sink::Sqlite => None,
        Sink::Postgres => Some(Server::start(Durability::None).expect("a server")),
    };
    let desk = open(plan, server.as_ref().map(Server::url).as_deref());
    desk.setup.note(report(plan));
    let (kills, server_kills) = (plan.kills() as u64, plan.server_kills() as u64);
    let mut trials =
        Trials { kills, server_kills, is_in_small_batches: plan.is_in_small_batches, ..Trials::default() };
    let mut serve = desk.serve();
    let port = serve.port();
    desk.subscribe(&serve);
    set_faults(&desk, plan);
    for step in &plan.steps {
        change(&desk, step.changes, CHANGES);
        wait_for_activity(&desk, step.activity);
        if let Some(server) = server.as_mut().filter(|_| step.kills_server) {
            server.kill();
            // Changes while it is away wait in the journal.
            change(&desk, step.changes + SERVER_SEEDS, CHANGES / 5);
            server.resume().expect("a server");
        }
        let Some(kill) = step.kill else { continue };
        serve.kill();
        if let Kill::LoseDeliveries { changes } = kill {
            change(&desk, changes, CHANGES / 2);
            wait_for_activity(&desk, 20);
        }
        serve = desk.serve_on(port);
    }
    let stats = desk.setup.simulator.stats();
    clear_faults(&desk);
    desk.settle(&serve);
    serve.stop();
    trials.tombstones = reconcile_and_compare(&desk);
    replay_changes_nothing(&desk, port);
    let faults = stats["faults"].as_object();
    trials.faults = faults.map_or(0, |all| all.values().filter_map(Value::as_u64).sum());
    trials.deliveries = stat(&stats, "/webhooks/deliveries");
    trials.dropped = stat(&stats, "/webhooks/dropped");
    trials.duplicated = stat(&stats, "/webhooks/duplicated");
    trials
}

/// Waits for so many requests and deliveries together, or until there are no more.
fn wait_for_activity(desk: &Desk, least: u64) {
    let seen = || {
        let stats = desk.setup.simulator.stats();
        stat(&stats, "/requestsTotal")
            + stat(&stats, "/webhooks/deliveries")
            + stat(&stats, "/webhooks/dropped")
    };
    let (first, mut last, mut since) = (seen(), 0, Instant::now());
    loop {
        let now = seen();
        if now >= first + least || since.elapsed() > QUIET {
            return;
        }
        if now != last {
            (last, since) = (now, Instant::now());
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// All rows: whether they are marked deleted, and their documents.
type AllRows = BTreeMap<&'static str, BTreeMap<String, (bool, Value)>>;

fn rows(desk: &Desk) -> AllRows {
    desk.rows.refresh();
    tables().iter().map(|table| (*table, desk.rows.documents(table))).collect()
}

/// How the delete of each row was found, for the report of a failure.
fn note_tombstones(desk: &Desk) {
    for table in tables() {
        let sql = match desk.rows.are_copied() {
            true => format!("SELECT id, _change_source FROM {table} WHERE _deleted"),
            false => format!(
                "SELECT id, _as_of, _change_source FROM {table} JOIN _sync_rows_{table} AS o USING (_row) \
                 WHERE o._deleted"
            ),
        };
        desk.setup.note(format!("{table} deleted before the replay: {}", desk.rows.dump(&sql).join(" ")));
    }
}

/// Makes every delivery again that was answered with 200, as far as the simulator remembers, newly signed, in
/// its order.
fn replay(desk: &Desk) {
    let made = desk.admin("GET", "webhooks/deliveries", &json!({}));
    let made = made["deliveries"].as_array().expect("deliveries");
    for delivery in made.iter().filter(|delivery| delivery["status"] == 200) {
        let text = |name: &str| delivery[name].as_str().unwrap_or_default();
        assert_eq!(desk.forge(text("url"), text("webhookId"), "valid", &delivery["body"]), 200);
    }
}

/// Runs the runner again until it has polled every table, then replays every delivery: no row changes.
fn replay_changes_nothing(desk: &Desk, port: u16) {
    let reconciled = rows(desk);
    let since = Instant::now();
    let serve = desk.serve_on(port);
    desk.until_polled(&serve, since);
    let before = rows(desk);
    assert_polling_changed_nothing(&reconciled, &before);
    note_tombstones(desk);
    replay(desk);
    desk.settle(&serve);
    serve.stop();
    let after = rows(desk);
    for (table, before) in &before {
        let after = &after[table];
        for (id, (deleted, document)) in before {
            let (deleted_after, document_after) = &after[id];
            let moved = moved(document, document_after);
            assert!(moved.is_empty(), "{table} {id} (deleted: {deleted}): a replay changed {moved:?}");
            assert_eq!((deleted, document), (deleted_after, document_after), "{table} {id}");
        }
        assert_eq!(before.len(), after.len(), "{table}: a replay made rows");
    }
}

/// Polling after a reconcile brings only tombstones of rows that lived too shortly to be seen, and members
/// that only a search shows.
fn assert_polling_changed_nothing(before: &AllRows, after: &AllRows) {
    for (table, before) in before {
        let after = &after[table];
        for (id, (deleted, document)) in before {
            let (deleted_after, document_after) =
                after.get(id).unwrap_or_else(|| panic!("{table} {id}: lost"));
            assert_eq!(deleted_after, deleted, "{table} {id}: deleted");
            let moved = moved(document, document_after);
            assert!(moved.is_empty(), "{table} {id}: polling changed {moved:?}");
        }
        for (id, (deleted, _)) in after.iter().filter(|(id, _)| !before.contains_key(*id)) {
            assert!(deleted, "{table} {id}: polling brought it although the reconcile was complete");
        }
    }
}

/// Members that differ. A search shows members that the complete read lacks; those may come.
fn moved<'a>(before: &'a Value, after: &'a Value) -> Vec<(&'a str, &'a Value, &'a Value)> {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return Vec::new() };
    let after = |name: &str| after.get(name).unwrap_or(&Value::Null);
    let pairs = before.iter().map(|(name, before)| (name.as_str(), before, after(name)));
    pairs.filter(|(_, before, after)| before != after).collect()
}
