//! Parts of tickets that a poll finds long after they were added: every one comes, and comes whole.

use desk_simulator::{Rule, RuleAnswer};
use serde_json::{Value, json};

use crate::portal::{Portal, sizes};
use crate::sink::Sink;
use crate::{AFTER_CHANGES, Table, check, read, tables, truth};

fn table(name: &str) -> Table {
    tables().into_iter().find(|table| table.name == name).unwrap()
}

/// The tables whose rows are listed ticket by ticket.
fn below_tickets() -> Vec<Table> {
    tables().into_iter().filter(|table| table.parent.as_deref() == Some("tickets")).collect()
}

/// The id of a ticket, and its update.
fn a_ticket(portal: &Portal) -> (String, Value) {
    let id = truth(portal, &table("tickets")).into_keys().nth(4).unwrap();
    let update = json!({"op": "update", "table": "tickets", "id": id, "values": {"subject": "changed"}});
    (id, update)
}

/// Reads each table into its sink.
fn read_all(portal: &mut Portal, sinks: &mut [(Table, Sink)]) {
    for (table, sink) in sinks {
        sink.read(portal, &table.name, 10_000).unwrap();
    }
}

/// The calls that answered to paths with this text.
fn calls(portal: &Portal, text: &str) -> usize {
    let is_it = |entry: &&Value| entry["url"].as_str().is_some_and(|url| url.contains(text));
    portal.simulator.log().iter().filter(is_it).count()
}

/// Fails unless every message has its content.
fn has_contents(portal: &Portal, sink: &Sink) {
    let (expected, found) =
        (truth(portal, &table("ticket_conversations")), read(sink, &table("ticket_conversations")));
    assert!(expected.keys().eq(found.keys()));
    for (id, row) in &expected {
        assert_eq!(found[id].get("content"), row.get("content"), "{id}");
    }
}

#[test]
fn a_message_is_whole_however_long_after_it_its_ticket_is_found() {
    let mut portal = Portal::start(sizes(Some(0)));
    portal.simulator.set(|settings| settings.thread_moves_modified_time = false);
    let mut sink = Sink::default();
    sink.read(&mut portal, "ticket_conversations", 10_000).unwrap();
    let (id, update) = a_ticket(&portal);
    portal.advance_hours(2);
    portal.mutate(json!({"op": "addThread", "ticket": id, "content": "a reply", "outgoing": true}));
    for _ in 0..3 {
        portal.advance_hours(24);
        sink.read(&mut portal, "ticket_conversations", 10_000).unwrap();
    }
    portal.mutate(update.clone());
    portal.advance_hours(1);
    sink.read(&mut portal, "ticket_conversations", 10_000).unwrap();
    has_contents(&portal, &sink);
    // Messages that were read are known from now on.
    let before = calls(&portal, "/threads/");
    portal.advance_hours(1);
    portal.mutate(update);
    portal.advance_hours(1);
    sink.read(&mut portal, "ticket_conversations", 10_000).unwrap();
    assert_eq!(calls(&portal, "/threads/"), before);
    has_contents(&portal, &sink);
}

#[test]
fn parts_that_the_index_showed_late_come_with_the_next_change_of_their_ticket() {
    let mut portal = Portal::start(sizes(Some(0)));
    portal.simulator.set(|settings| settings.search_lag_ms = 3_600_000);
    let mut sinks: Vec<(Table, Sink)> =
        below_tickets().into_iter().map(|table| (table, Sink::default())).collect();
    read_all(&mut portal, &mut sinks);
    let (id, update) = a_ticket(&portal);
    portal.advance_hours(1);
    portal.mutate(update.clone());
    portal.mutate(json!({"op": "addThread", "ticket": id, "content": "a reply", "outgoing": true}));
    for minutes in [5, 40, 40, 240] {
        portal.advance_minutes(minutes);
        read_all(&mut portal, &mut sinks);
    }
    portal.mutate(update);
    portal.advance_minutes(70);
    for (table, sink) in &mut sinks {
        sink.read(&mut portal, &table.name, 10_000).unwrap();
        portal.advance_minutes(30);
        sink.read(&mut portal, &table.name, 10_000).unwrap();
        check(&portal, sink, table, AFTER_CHANGES);
    }
    let of = |name: &str| &sinks.iter().find(|(table, _)| table.name == name).unwrap().1;
    has_contents(&portal, of("ticket_conversations"));
}

#[test]
fn parts_that_the_index_showed_late_are_found_by_the_second_search() {
    let mut portal = Portal::start(sizes(Some(0)));
    let mut sinks: Vec<(Table, Sink)> =
        below_tickets().into_iter().map(|table| (table, Sink::default())).collect();
    read_all(&mut portal, &mut sinks);
    let (id, update) = a_ticket(&portal);
    portal.advance_hours(1);
    // A ticket that is found in time, and one that is not.
    let other = truth(&portal, &table("tickets")).into_keys().next().unwrap();
    portal.mutate(json!({"op": "update", "table": "tickets", "id": other, "values": {"subject": "in time"}}));
    portal.simulator.set(|settings| settings.search_lag_ms = 3 * 3_600_000);
    portal.mutate(update);
    portal.mutate(json!({"op": "addThread", "ticket": id, "content": "a reply", "outgoing": true}));
    for part in ["attachments", "timeEntry", "approvals"] {
        portal.mutate(json!({"op": "addPart", "ticket": id, "list": part, "event": "Add", "values": {}}));
    }
    for hours in [1, 1, 1, 1, 24] {
        portal.advance_hours(hours);
        read_all(&mut portal, &mut sinks);
    }
    portal.advance_hours(7 * 24);
    let lists = calls(&portal, &format!("/tickets/{other}/"));
    for (table, sink) in &mut sinks {
        // The poll after a week, and the next one, which searches the week again.
        for _ in 0..2 {
            sink.read(&mut portal, &table.name, 10_000).unwrap();
        }
        check(&portal, sink, table, "searched twice");
    }
    assert_eq!(calls(&portal, &format!("/tickets/{other}/")), lists, "its parts were read since it changed");
    let of = |name: &str| &sinks.iter().find(|(table, _)| table.name == name).unwrap().1;
    has_contents(&portal, of("ticket_conversations"));
}

#[test]
fn parts_of_a_list_that_was_given_up_come_with_the_next_change_of_their_ticket() {
    let mut portal = Portal::start(sizes(Some(0)));
    let mut sink = Sink::default();
    sink.read(&mut portal, "ticket_history", 10_000).unwrap();
    let (id, update) = a_ticket(&portal);
    let other = truth(&portal, &table("tickets")).into_keys().next().unwrap();
    portal.simulator.add_rule(Rule {
        path: format!("/tickets/{id}/History"),
        answer: RuleAnswer::Status(500),
        ..Rule::default()
    });
    portal.advance_hours(2);
    portal.mutate(update.clone());
    portal.mutate(json!({"op": "update", "table": "tickets", "id": other, "values": {"subject": "x"}}));
    crate::read_through_failures(&mut portal, &mut sink, "ticket_history");
    assert!(sink.warnings.iter().any(|text| text.contains("are skipped")), "{:?}", sink.warnings);
    portal.simulator.heal();
    portal.advance_hours(5);
    sink.read(&mut portal, "ticket_history", 10_000).unwrap();
    portal.mutate(update);
    portal.advance_hours(1);
    sink.read(&mut portal, "ticket_history", 10_000).unwrap();
    check(&portal, &sink, &table("ticket_history"), AFTER_CHANGES);
}

/// The table of each list below a ticket whose rows can be deleted, and the list's name in URLs.
const LISTS: [(&str, &str); 4] = [
    ("ticket_attachments", "attachments"),
    ("ticket_time_entries", "timeEntry"),
    ("ticket_approvals", "approvals"),
    ("ticket_tags", "tags"),
];

/// Modifies the ticket, and polls each table: it then equals the truth.
fn poll_and_check(portal: &mut Portal, sinks: &mut [(Table, Sink)], update: &Value, when: &str) {
    portal.mutate(update.clone());
    portal.advance_hours(1);
    for (table, sink) in sinks {
        sink.read(portal, &table.name, 3).unwrap();
        check(portal, sink, table, when);
    }
}

#[test]
fn parts_that_are_deleted_and_restored_follow_the_next_change_of_their_ticket() {
    let mut portal = Portal::start(sizes(Some(0)));
    let mut sinks: Vec<(Table, Sink)> =
        below_tickets().into_iter().map(|table| (table, Sink::default())).collect();
    read_all(&mut portal, &mut sinks);
    let (ticket, update) = a_ticket(&portal);
    let before = |table: &str, portal: &Portal| {
        let rows = truth(portal, &self::table(table)).into_values();
        let of_ticket = rows.filter(|row| row["ticketId"] == *ticket);
        of_ticket.map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    portal.advance_hours(1);
    for (_, list) in LISTS {
        for _ in 0..2 {
            portal.mutate(
                json!({"op": "addPart", "ticket": ticket, "list": list, "event": "Add", "values": {}}),
            );
        }
    }
    let comment = portal
        .simulator
        .mutate(json!({"op": "addComment", "ticket": ticket, "content": "a", "public": true}))
        .unwrap();
    poll_and_check(&mut portal, &mut sinks, &update, "added");
    let all: Vec<(&str, Vec<String>)> =
        LISTS.iter().map(|(table, list)| (*list, before(table, &portal))).collect();
    let delete = |portal: &Portal, list: &str, id: &String| {
        portal.mutate(json!({"op": "deletePart", "ticket": ticket, "list": list, "id": id}));
    };
    // One of several, all others, and one that comes back.
    all.iter().for_each(|(list, ids)| delete(&portal, list, &ids[0]));
    portal.mutate(json!({"op": "deleteComment", "ticket": ticket, "id": comment["id"]}));
    poll_and_check(&mut portal, &mut sinks, &update, "one deleted");
    all.iter().for_each(|(list, ids)| ids[1..].iter().for_each(|id| delete(&portal, list, id)));
    let lists = |portal: &Portal| LISTS.map(|(_, list)| calls(portal, &format!("/tickets/{ticket}/{list}")));
    let read = lists(&portal);
    poll_and_check(&mut portal, &mut sinks, &update, "all deleted");
    assert_eq!(lists(&portal), read, "the counter says that there are none");
    for (list, ids) in &all {
        let values = json!({"id": ids[0]});
        portal.mutate(
            json!({"op": "addPart", "ticket": ticket, "list": list, "event": "Restored", "values": values}),
        );
    }
    poll_and_check(&mut portal, &mut sinks, &update, "restored");
}

#[test]
fn an_activity_that_was_deleted_stays_because_no_counter_proves_that_it_is_not_hidden() {
    let mut portal = Portal::start(sizes(Some(60)));
    let (activities, tasks) = (table("ticket_activities"), table("tasks"));
    let mut sink = Sink::default();
    sink.read(&mut portal, "ticket_activities", 10_000).unwrap();
    let (ticket, update) = a_ticket(&portal);
    portal.advance_hours(1);
    for _ in 0..2 {
        portal.mutate(json!({"op": "create", "table": "tasks", "values": {"ticketId": ticket}}));
    }
    let mut sinks = [(activities, sink)];
    poll_and_check(&mut portal, &mut sinks, &update, "added");
    let of_ticket = |portal: &Portal| {
        let rows = truth(portal, &tasks).into_iter().filter(|(_, row)| row["ticketId"] == *ticket);
        rows.map(|(id, _)| id).collect::<Vec<_>>()
    };
    let ids = of_ticket(&portal);
    assert!(ids.len() >= 2);
    portal.mutate(json!({"op": "moveToTrash", "table": "tasks", "id": ids[0]}));
    portal.mutate(update);
    portal.advance_hours(1);
    let [(_, sink)] = &mut sinks;
    sink.read(&mut portal, "ticket_activities", 3).unwrap();
    assert!(sink.rows.keys().any(|key| key.contains(&ids[0])));
}

#[test]
fn no_answer_to_the_lists_of_a_ticket_but_the_right_one_deletes_a_part() {
    for status in [204, 400, 403, 404, 422, 500] {
        let mut portal = Portal::start(sizes(Some(0)));
        let (ticket, update) = a_ticket(&portal);
        for (_, list) in LISTS {
            portal.mutate(
                json!({"op": "addPart", "ticket": ticket, "list": list, "event": "Add", "values": {}}),
            );
        }
        portal.mutate(json!({"op": "addComment", "ticket": ticket, "content": "a", "public": true}));
        let mut sinks: Vec<(Table, Sink)> =
            below_tickets().into_iter().map(|table| (table, Sink::default())).collect();
        read_all(&mut portal, &mut sinks);
        let path = format!("/tickets/{ticket}/*");
        portal.simulator.add_rule(Rule { path, answer: RuleAnswer::Status(status), ..Rule::default() });
        portal.advance_hours(1);
        portal.mutate(update);
        portal.advance_hours(1);
        for (table, sink) in &mut sinks {
            let before = sink.rows.len();
            // Some refusals end the read each time.
            for _ in 0..6 {
                drop(sink.read(&mut portal, &table.name, 10_000));
                portal.advance_hours(1);
            }
            assert!(sink.rows.len() >= before, "{} of {status}: {:?}", table.name, sink.warnings);
        }
    }
}
