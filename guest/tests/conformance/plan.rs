//! The plan of a first read, compared with what the read costs at the simulator.

use desk_simulator::Sizes;
use serde_json::Value;
use zoho_desk::reader::Limits;

use crate::portal::{Portal, sizes};
use crate::tables;

/// The plan of all tables.
fn plan(portal: &mut Portal) -> Value {
    let mut connection = portal.connect();
    let plan = connection.command("plan", "{}").unwrap();
    let used = connection.take_usage();
    assert_eq!(plan["plan"]["calls"], used.requests);
    assert_eq!(plan["plan"]["credits"], used.credits_used);
    portal.keep(&connection);
    plan
}

/// Calls and credits of a first read.
fn read(portal: &mut Portal, table: &str) -> (u64, u64) {
    let limits = Limits { max_changes: 10_000, max_bytes: 64 << 20, max_ms: 600_000 };
    let (mut cursor, mut cost) = (None, (0, 0));
    loop {
        let mut connection = portal.connect();
        let batch = connection.read(table, cursor.as_deref(), limits).unwrap();
        let used = connection.take_usage();
        cost = (cost.0 + used.requests, cost.1 + used.credits_used);
        portal.keep(&connection);
        cursor = Some(batch.cursor);
        if batch.caught_up {
            return cost;
        }
    }
}

/// Fails unless the plan of every table is right within a twentieth and six calls. Where the source does not
/// count the rows: ten calls, and a quarter for children of tickets, which may have several pages.
fn check(sizes: Sizes) {
    // The plan has the prices of the document.
    let mut portal = Portal::as_documented(sizes);
    let plan = plan(&mut portal);
    for planned in plan["tables"].as_array().unwrap() {
        let table = planned["table"].as_str().unwrap();
        let number = |name: &str| planned[name].as_u64().unwrap();
        let (calls, credits) = read(&mut portal, table);
        let is_counted = !planned["rows"].is_null();
        let part = if planned["how"] == "a list for each of tickets" { 4 } else { 20 };
        let slack = if is_counted { 6 } else { 10 };
        let is_near = |name: &str, used: u64, slack: u64| {
            let planned_more = number(name) > used + used / part + slack;
            let used_more = used > number(name) + used / part + slack;
            !planned_more && (!used_more || planned["is_least"] == true)
        };
        assert!(
            is_near("calls", calls, slack) && is_near("credits", credits, 3 * slack),
            "{table}: {calls} calls, {credits} credits; planned {planned:#}"
        );
    }
    assert_eq!(plan["tables"].as_array().unwrap().len(), tables().len());
}

#[test]
fn the_plan_of_every_table_is_what_its_first_read_costs() {
    check(sizes(None));
    check(sizes(Some(0)));
    check(Sizes { tickets: 700, contacts: 450, accounts: 120, ..sizes(None) });
    check(Sizes { archived_tickets: 500, ..sizes(None) });
}

#[test]
fn the_plan_has_the_total_by_the_newer_and_by_the_older_prices() {
    // Their prices differ for pages behind row 2,000.
    let mut portal = Portal::as_documented(Sizes { tickets: 2_600, ..sizes(None) });
    portal.tables = vec!["tickets".to_owned()];
    portal.ticket_detail = false;
    let plan = plan(&mut portal);
    let discovery = plan["discovery"]["credits"].as_u64().unwrap();
    for (is_older, total) in [(false, &plan["total"]), (true, &plan["other_prices"])] {
        portal.simulator.set(|settings| settings.readings.older_prices = is_older);
        let (_, credits) = read(&mut portal, "tickets");
        let planned = total["credits"].as_u64().unwrap() - discovery;
        assert!(planned.abs_diff(credits) <= 9, "older: {is_older}: {credits} credits; {plan:#}");
    }
}
