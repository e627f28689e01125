//! `department_ids` end to end: tickets that move in appear, tickets that move out leave, with their
//! conversations.

use serde_json::json;

use crate::compare::{Database, truth};
use crate::support::Setup;

/// Ids of rows, in order.
fn ids(setup: &Setup, sql: &str) -> Vec<String> {
    Database::open(&setup.path("out.db")).texts(sql)
}

/// Ids of the live tickets of a department, by the truth, in order.
fn tickets_of(setup: &Setup, department: &str) -> Vec<String> {
    let rows = truth(&setup.simulator, "tickets", true).into_iter();
    let mine = rows.filter(|(_, row)| row.as_ref().is_some_and(|row| row["departmentId"] == department));
    mine.map(|(id, _)| id).collect()
}

/// Ids of the conversations of these tickets, by the truth, in order.
fn conversations_of(setup: &Setup, tickets: &[String]) -> Vec<String> {
    let rows = truth(&setup.simulator, "ticket_conversations", true).into_iter();
    let is_mine = |ticket: &str| tickets.iter().any(|id| id == ticket);
    rows.filter(|(_, row)| row.as_ref().is_some_and(|row| row["ticketId"].as_str().is_some_and(is_mine)))
        .map(|(id, _)| id)
        .collect()
}

#[test]
fn only_chosen_departments_reach_the_target_and_moves_are_followed() {
    let setup = Setup::authorized(120);
    let departments: Vec<String> = truth(&setup.simulator, "departments", true).into_keys().collect();
    let [mine, other] = &departments[..2] else { panic!("{departments:?}") };
    setup.reconfigure(|file| {
        file.config("tables", r#"["tickets", "ticket_conversations"]"#)
            .config("department_ids", &format!("[{mine:?}]"))
    });
    setup.sync();
    let same = |when: &str| {
        let tickets = tickets_of(&setup, mine);
        assert!(tickets.len() > 2, "{when}: too few to tell");
        assert_eq!(ids(&setup, "SELECT id FROM tickets_live ORDER BY id"), tickets, "{when}");
        let conversations = ids(&setup, "SELECT id FROM ticket_conversations_live ORDER BY id");
        assert_eq!(conversations, conversations_of(&setup, &tickets), "{when}");
    };
    same("the first read");
    let (out, moved_in) = (tickets_of(&setup, mine), tickets_of(&setup, other));
    for (id, to) in [(&out[0], other), (&out[1], other), (&moved_in[0], mine)] {
        let values = json!({"departmentId": to});
        let moved =
            setup.simulator.mutate(json!({"op": "update", "table": "tickets", "id": id, "values": values}));
        moved.expect("a ticket that can be moved");
    }
    let foreign =
        json!({"op": "update", "table": "tickets", "id": moved_in[1], "values": {"subject": "not ours"}});
    setup.simulator.mutate(foreign).expect("a ticket of the other department");
    setup.sync();
    same("after moves");
    let leaked = "SELECT id FROM tickets WHERE _raw LIKE '%not ours%'";
    assert!(ids(&setup, leaked).is_empty(), "a ticket of another department leaves nothing but its id");
    setup.host(&["sync", "--full-refresh"]).exits(0);
    same("after a full read");
}
