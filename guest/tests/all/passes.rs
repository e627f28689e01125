//! Complete passes through a scripted transport: when one begins, and what counts as complete.

use serde_json::json;

use crate::desk::Desk;
use crate::reading::{LIMITS, connect, read_all};

const HOUR_MS: u64 = 3_600_000;

#[test]
fn a_table_read_as_a_whole_is_not_read_again_before_its_time() {
    let desk = Desk::with_tickets(0);
    let mut connection = connect(&desk, json!({}));
    let (_, cursor) = read_all(&mut connection, "organization_fields", LIMITS);
    let calls = desk.calls();
    desk.advance_ms(HOUR_MS / 4);
    let mut again = connect(&desk, json!({})); // as after a restart
    let authorized = desk.calls() - calls;
    let early = again.read("organization_fields", Some(&cursor), LIMITS).unwrap();
    assert!(early.caught_up && early.changes.is_empty() && early.pass.is_none());
    assert_eq!((early.wait_ms, &early.cursor), (Some(HOUR_MS * 3 / 4), &cursor));
    assert_eq!(desk.calls(), calls + authorized, "nothing is asked");
    desk.advance_ms(HOUR_MS * 3 / 4 - 1000); // a host whose clock is a second fast
    let due = again.read("organization_fields", Some(&cursor), LIMITS).unwrap();
    assert!(!due.changes.is_empty() && due.pass.is_some());
    let from_now = again.cursor_at("organization_fields", desk.now_ms()).unwrap();
    assert!(again.read("organization_fields", Some(&from_now), LIMITS).unwrap().pass.is_some());
}
