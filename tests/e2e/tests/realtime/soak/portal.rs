//! The portal of a soak: its size, its faults, and the comparison at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use desk_simulator::{FaultSettings, Options, Settings, Sizes, WebhookSettings};
use serde_json::{Value, json};

use super::plan::Plan;
use crate::compare::{Truth, check_sqlite, truth_of_all};
use crate::desk::Desk;
use crate::support::tables;

/// Tables that random mutations touch, some more often than others.
const TOUCHED: [&str; 9] = [
    "tickets",
    "tickets",
    "tickets",
    "ticket_conversations",
    "contacts",
    "accounts",
    "products",
    "contracts",
    "departments",
];

/// Rows of a small batch: fewer than a page of the source has.
const BATCH: u64 = 50;

/// Of the rows in PostgreSQL.
const SCHEMA: &str = "demo";

/// Answers are dated by whole seconds, less one: a full refresh within the same two seconds as a change may
/// rightly lose against its webhook.
const REST: Duration = Duration::from_secs(5);

/// A portal of a few hundred rows, slow enough to be changed while it is read; its rows go to SQLite, or to
/// this database.
pub(super) fn open(plan: &Plan, database: Option<&str>) -> Desk {
    let Plan { seed, is_in_small_batches, .. } = *plan;
    let sizes = Sizes {
        tickets: 160,
        trashed_tickets: 6,
        products: 25,
        contracts: 12,
        contacts: 50,
        accounts: 20,
        conversations_max: 3,
        ..Sizes::default()
    };
    let settings = Settings { latency_ms: 1, search_lag_ms: 40, ..Settings::default() };
    let options = Options { seed, sizes, settings, ..Options::default() };
    let mut desk = Desk::with(options, |file| {
        let file = if is_in_small_batches { file.set("batch.max_rows", BATCH) } else { file };
        match database {
            None => file,
            // The server is away for a second: the runner waits no longer, so that the next step meets it.
            Some(url) => file.postgres(url, SCHEMA).set("retry.max_wait", "\"200ms\""),
        }
    });
    if let Some(url) = database {
        desk.rows = desk.rows.copied_from(url, SCHEMA);
    }
    desk
}

/// Faults of the API and of the webhooks, from now on.
pub(super) fn set_faults(desk: &Desk, plan: &Plan) {
    let seed = plan.seed;
    // One request in a hundred: each costs the runner a wait.
    let faults = FaultSettings {
        invalid_token: 0.000_5,
        too_many_requests: 0.002,
        threshold_exceeded: 0.0,
        internal_error: 0.001,
        bad_gateway: 0.001,
        dropped: 0.001,
        truncated: 0.001,
        malformed: 0.000_3,
        slow: 0.01,
        slow_ms_max: 20,
        in_a_row_max: 1,
        ..FaultSettings::seeded(seed)
    };
    let webhooks = WebhookSettings {
        seed,
        duplicate: 0.1,
        drop: 0.1,
        delay: 0.05,
        delay_ms_max: 8,
        batch: 0.2,
        batch_max: 40,
        delete_as_update: plan.delete_as_update,
        event_time_iso: plan.event_time_iso,
        signature_in_milliseconds: plan.signature_in_milliseconds,
        ..WebhookSettings::default()
    };
    desk.setup.simulator.set(|settings| {
        settings.faults = faults;
        settings.webhooks = webhooks;
    });
}

/// No more faults.
pub(super) fn clear_faults(desk: &Desk) {
    desk.setup.simulator.set(|settings| *settings = Settings::default());
}

/// So many random changes, the same for the same seed, a millisecond apart: nothing could order two changes
/// of one record within one.
pub(super) fn change(desk: &Desk, seed: u64, count: u64) {
    for number in 0..count {
        desk.mutate(json!({"seed": seed * 1_000 + number, "count": 1, "tables": TOUCHED}));
        desk.setup.simulator.advance(Duration::from_millis(1));
    }
}

/// Reads everything once more and compares; rows that the target had must still be there, deleted or not.
pub(super) fn reconcile_and_compare(desk: &Desk) -> u64 {
    desk.setup.simulator.advance(REST);
    let known = known(desk);
    desk.setup.host(&["sync", "--full-refresh"]).exits(0);
    compare(desk, &known);
    let dead = |table: &str| desk.rows.number(&format!("SELECT count(*) FROM {table} WHERE _deleted"));
    tables().iter().filter_map(|table| dead(table)).map(i64::unsigned_abs).sum()
}

/// The target against the truth of now.
pub(super) fn compare(desk: &Desk, known: &BTreeMap<&str, Truth>) {
    desk.rows.refresh();
    check_sqlite(&desk.setup, &truth_of_all(&desk.setup.simulator), known);
}

/// Ids in the target.
pub(super) fn known(desk: &Desk) -> BTreeMap<&'static str, Truth> {
    desk.rows.refresh();
    let ids = |table: &str| {
        let ids = desk.rows.dump(&format!("SELECT id FROM {table}"));
        let id = |row: &String| row.chars().filter(char::is_ascii_digit).collect::<String>();
        ids.iter().map(|row| (id(row), Some(serde_json::Map::default()))).collect()
    };
    tables().iter().map(|table| (*table, ids(table))).collect()
}

/// A count of the simulator's report.
pub(super) fn stat(stats: &Value, pointer: &str) -> u64 {
    stats.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}
