//! Following by search through a scripted transport: what is asked, what becomes a delete, and where it ends.

use serde_json::json;
use zoho_desk::row::Operation;

use crate::desk::Desk;
use crate::reading::{LIMITS, connect, read_all};

#[test]
fn a_delete_found_by_404_is_dated_by_the_sources_clock_and_differs_from_the_next() {
    let desk = Desk::with_tickets(9);
    desk.set(|state| state.ahead_ms = 600_000);
    let mut connection = connect(&desk, json!({}));
    let (_, mut cursor) = read_all(&mut connection, "tickets", LIMITS);
    let mut ids = Vec::new();
    for _ in 0..2 {
        desk.advance_ms(60_000);
        desk.set(|state| {
            state.modify("5");
            state.detail_status.insert("5".to_owned(), 404);
        });
        desk.advance_ms(10_000);
        let batch = connection.read("tickets", Some(&cursor), LIMITS).unwrap();
        let [change] = &batch.changes[..] else { panic!("{:?}", batch.changes) };
        assert_eq!(change.operation, Operation::Delete);
        assert_eq!(change.as_of_ms, Some((desk.now_ms() + 600_000) / 1000 * 1000 - 1000));
        ids.push(change.id.clone());
        cursor = batch.cursor;
    }
    assert_ne!(ids[0], ids[1]);
}
