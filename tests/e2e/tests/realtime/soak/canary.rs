//! The check itself: without the repair it must see what was lost, with the repair it must not.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::plan::Plan;
use super::portal::{change, compare, open, reconcile_and_compare};

#[test]
fn without_the_repair_the_check_sees_what_was_lost() {
    let desk = open(&Plan::new(4_711), None);
    let serve = desk.live();
    // Without losses, tables with webhooks follow; the others are not changed here.
    desk.setup.simulator.set(|settings| settings.webhooks.drop = 0.5);
    let tables = ["tickets", "contacts", "accounts"];
    desk.mutate(serde_json::json!({"seed": 1, "count": 300, "tables": tables}));
    desk.settle(&serve);
    serve.stop();
    let dropped = desk.setup.simulator.stats()["webhooks"]["dropped"].as_u64();
    assert!(dropped > Some(50), "{dropped:?}");
    let found = catch_unwind(AssertUnwindSafe(|| compare(&desk, &BTreeMap::new())));
    let found = found.expect_err("half of the deliveries were dropped, and the check saw nothing");
    let said = found.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(said.contains("missing") || said.contains("not marked deleted"), "{said}");
    reconcile_and_compare(&desk);
}

#[test]
fn without_the_reconcile_rows_that_have_no_webhook_are_behind() {
    let desk = open(&Plan::new(4_712), None);
    let serve = desk.live();
    change(&desk, 1, 200);
    desk.settle(&serve);
    serve.stop();
    let found = catch_unwind(AssertUnwindSafe(|| compare(&desk, &BTreeMap::new())));
    assert!(found.is_err(), "products and contracts have no webhooks, and polling was not due");
    reconcile_and_compare(&desk);
}
