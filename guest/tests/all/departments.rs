//! `department_ids`: only tickets of the selected departments are read, and tickets moved out of them are
//! deleted.

use serde_json::{Value, json};
use zoho_desk::change::Operation;
use zoho_desk::reader::Batch;

use crate::desk::Desk;
use crate::setup::{LIMITS, connect, read_all, read_round};
use crate::signer::delivery;

fn selected() -> Value {
    json!({"department_ids": ["1", "3"]})
}

/// Ids with their operations.
fn operations(batch: &Batch) -> Vec<(String, Operation)> {
    let id = |key: &str| key.trim_matches(|c: char| !c.is_ascii_alphanumeric())[5..].to_owned();
    batch.changes.iter().map(|change| (id(&change.key), change.operation)).collect()
}

fn of(id: &str, operation: Operation) -> (String, Operation) {
    (id.to_owned(), operation)
}

#[test]
fn a_snapshot_holds_only_selected_departments_even_where_the_list_does_not_filter() {
    for ignore_departments in [false, true] {
        for ticket_detail in [false, true] {
            let desk = Desk::with_tickets(220);
            desk.set(|state| {
                state.ignore_departments = ignore_departments;
                (1..=220).filter(|id| id % 3 == 0).for_each(|id| state.move_to(id, 2));
            });
            let mut config = selected();
            config["ticket_detail"] = ticket_detail.into();
            let mut connection = connect(&desk, config);
            let small = zoho_desk::reader::Limits { max_changes: 40, ..LIMITS };
            let (rows, _) = read_all(&mut connection, "tickets", small);
            let mut ids: Vec<u32> =
                rows.iter().map(|row| row["id"].as_str().unwrap().parse().unwrap()).collect();
            ids.dedup();
            let expected: Vec<u32> = (1..=220).filter(|id| id % 3 != 0).collect();
            assert_eq!(ids, expected);
            desk.set(|state| assert!(state.asked.iter().any(|path| path.contains("departmentIds=1,3"))));
        }
    }
}

#[test]
fn tickets_moved_in_are_read_and_tickets_moved_out_are_deleted() {
    for ticket_detail in [true, false] {
        let desk = Desk::with_tickets(9);
        desk.set(|state| state.move_to(7, 2));
        let mut config = selected();
        config["ticket_detail"] = ticket_detail.into();
        let mut connection = connect(&desk, config);
        let (rows, cursor) = read_all(&mut connection, "tickets", LIMITS);
        assert_eq!(rows.len(), 8);
        desk.advance_ms(60_000);
        desk.set(|state| {
            state.move_to(4, 2);
            state.move_to(7, 3);
        });
        let moved_ms = desk.now_ms();
        desk.advance_ms(30_000);
        let batch = connection.read("tickets", Some(&cursor), LIMITS).unwrap();
        assert_eq!(operations(&batch), [of("4", Operation::Delete), of("7", Operation::Update)]);
        assert_eq!(batch.changes[0].as_of_ms, Some(moved_ms));
        assert!(batch.changes[0].before.is_none(), "its members belong to another department");
        let again = connection.read("tickets", Some(&batch.cursor), LIMITS).unwrap();
        assert!(again.changes.is_empty(), "both are known");
    }
}

#[test]
fn a_ticket_moved_between_search_and_detail_is_deleted() {
    let desk = Desk::with_tickets(9);
    let mut connection = connect(&desk, selected());
    let (_, cursor) = read_all(&mut connection, "tickets", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| {
        state.modify("5");
        state.late_departments = true;
        state.move_to(5, 2);
    });
    desk.advance_ms(30_000);
    let batch = connection.read("tickets", Some(&cursor), LIMITS).unwrap();
    assert_eq!(operations(&batch), [of("5", Operation::Delete)]);
}

#[test]
fn conversations_are_deleted_and_read_with_their_ticket() {
    let desk = Desk::with_tickets(9);
    desk.set(|state| state.move_to(7, 2));
    let mut connection = connect(&desk, selected());
    let (rows, cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    assert_eq!(rows.len(), 8);
    desk.advance_ms(60_000);
    desk.set(|state| {
        state.move_to(4, 2);
        state.move_to(7, 3);
        state.asked.clear();
    });
    desk.advance_ms(30_000);
    let batch = connection.read("ticket_conversations", Some(&cursor), LIMITS).unwrap();
    assert_eq!(operations(&batch), [of("t4", Operation::Delete), of("t7", Operation::Update)]);
    desk.set(|state| {
        assert!(
            state.asked.iter().all(|path| path != "/api/v1/tickets/4/threads/t4"),
            "the content of a deleted conversation is not read"
        );
    });
}

/// Lists of children that were asked for.
fn child_lists(desk: &Desk) -> usize {
    let mut count = 0;
    desk.set(|state| {
        count = state
            .asked
            .iter()
            .filter(|path| path.contains("/threads?") || path.contains("/comments?"))
            .count();
        state.asked.clear();
    });
    count
}

#[test]
fn changes_of_other_departments_cost_a_look_for_their_conversations_once() {
    let desk = Desk::with_tickets(200);
    desk.set(|state| (1..=150).for_each(|id| state.move_to(id, 2)));
    let mut connection = connect(&desk, selected());
    let (_, mut cursor) = read_all(&mut connection, "ticket_conversations", LIMITS);
    let mut lists = Vec::new();
    for _ in 0..4 {
        desk.advance_ms(60 * 60_000);
        desk.set(|state| (1..=150).for_each(|id| state.modify_at(id, 30_000)));
        child_lists(&desk);
        cursor = read_round(&mut connection, "ticket_conversations", &cursor).cursor;
        lists.push(child_lists(&desk));
    }
    assert!(lists[0] >= 150, "{lists:?}");
    assert_eq!(lists[1..], [0, 0, 0]);
    // One that was ours meanwhile is looked at again.
    for department in [1, 2] {
        desk.advance_ms(60 * 60_000);
        desk.set(|state| state.move_to(5, department));
        desk.advance_ms(30_000);
        let batch = read_round(&mut connection, "ticket_conversations", &cursor);
        let expected = if department == 1 { Operation::Update } else { Operation::Delete };
        assert_eq!(operations(&batch), [of("t5", expected)]);
        cursor = batch.cursor;
    }
}

#[test]
fn the_recycle_bin_deletes_no_ticket_of_another_department() {
    let desk = Desk::with_tickets(9);
    desk.set(|state| state.move_to(7, 2));
    let mut connection = connect(&desk, selected());
    let (_, cursor) = read_all(&mut connection, "tickets", LIMITS);
    desk.advance_ms(60_000);
    desk.set(|state| {
        state.delete("7");
        state.delete("8");
    });
    desk.advance_ms(3_600_000);
    let batch = connection.read("tickets", Some(&cursor), LIMITS).unwrap();
    assert_eq!(operations(&batch), [of("8", Operation::Delete)]);
}

#[test]
fn rows_without_a_department_and_tables_without_departments_are_selected() {
    let config = r#"{"organization_id":"1","client_id":"a","client_secret":"s","department_ids":["7"]}"#;
    let config = zoho_desk::config::Config::parse(config).unwrap();
    let table = |name| zoho_desk::tables::find(name).unwrap();
    for (name, row, expected) in [
        ("tickets", r#"{"id":"1","departmentId":"7"}"#, true),
        ("tickets", r#"{"id":"1","departmentId":7}"#, true),
        ("tickets", r#"{"id":"1","departmentId":"8"}"#, false),
        ("ticket_conversations", r#"{"id":"1","departmentId":"8"}"#, false),
        ("tickets", r#"{"id":"1","departmentId":null}"#, true),
        ("tickets", r#"{"id":"1"}"#, true),
        ("contracts", r#"{"id":"1","departmentId":"8"}"#, true),
    ] {
        assert_eq!(config.selects(table(name), row), expected, "{name} {row}");
    }
}

#[test]
fn a_count_is_the_sum_of_the_selected_departments() {
    let desk = Desk::with_tickets(4);
    desk.set(|state| state.counted = 5);
    let mut connection = connect(&desk, json!({"department_ids": ["1", "2"]}));
    assert_eq!(connection.count("tickets").unwrap(), Some(10));
    desk.set(|state| {
        for id in ["1", "2"] {
            let path = format!("/api/v1/ticketsCount?departmentId={id}");
            assert!(state.asked.contains(&path), "{:?}", state.asked);
        }
    });
}

#[test]
fn a_child_is_deleted_with_its_parent_and_one_of_another_department_is_none_of_ours() {
    for (status, department, expected) in [(404, 1, true), (200, 1, true), (200, 2, false), (403, 1, false)] {
        let desk = Desk::with_tickets(9);
        let mut connection =
            connect(&desk, json!({"department_ids": ["1"], "tables": ["ticket_attachments"]}));
        desk.set(|state| {
            state.move_to(4, department);
            if status != 200 {
                state.detail_status.insert("4".to_owned(), status);
            }
        });
        let event = json!({"eventType": "Ticket_Attachment_Delete", "orgId": "42",
            "payload": {"id": "77", "ticketId": "4"}});
        let receipt = connection.receive(None, &[delivery(desk.now_ms(), None, &event)]).remove(0).unwrap();
        let deleted: Vec<_> = receipt.changes.iter().map(|change| change.operation).collect();
        let expected: &[Operation] = if expected { &[Operation::Delete] } else { &[] };
        assert_eq!(deleted, expected, "{status}, department {department}");
    }
}
