//! `department_ids`: tables that belong to departments have the rows of the selected ones alone, however they
//! were found; the others have all rows.

use serde_json::{Value, json};

use crate::events::Setup;
use crate::portal::{Portal, sizes};
use crate::{Rows, Table, tables, truth};

/// Where a row has its department.
enum Of {
    /// It is not of one.
    None,
    /// In `departmentId`.
    Row,
    /// In that of its ticket.
    Ticket,
}

fn department(table: &Table) -> Of {
    match table.name.as_str() {
        "tickets" | "archived_tickets" | "tasks" | "calls" | "events" => Of::Row,
        _ if table.parent.as_deref() == Some("tickets") => Of::Ticket,
        _ => Of::None,
    }
}

fn table(name: &str) -> Table {
    tables().into_iter().find(|table| table.name == name).unwrap()
}

/// The tickets of a department.
fn tickets(portal: &Portal, id: &str) -> Rows {
    let mut tickets = truth(portal, &table("tickets"));
    tickets.retain(|_, row| row["departmentId"] == id);
    tickets
}

/// Fails unless each of these tables has the rows of the department and no others.
fn check(setup: &Setup, id: &str, names: &[&str], when: &str) {
    let own = tickets(&setup.portal, id);
    for table in tables().into_iter().filter(|table| names.contains(&table.name.as_str())) {
        let mut expected = truth(&setup.portal, &table);
        expected.retain(|_, row| match department(&table) {
            Of::None => true,
            Of::Row => row["departmentId"] == id,
            Of::Ticket => own.contains_key(row["ticketId"].as_str().unwrap()),
        });
        let found = crate::read(&setup.sinks[&table.name], &table);
        let keys = |rows: &Rows| rows.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&found), keys(&expected), "{}, {when}", table.name);
        for (key, row) in expected.iter().filter(|_| !table.is_core) {
            for (member, value) in row {
                assert_eq!(found[key].get(member), Some(value), "{}, {when}: {key}: `{member}`", table.name);
            }
        }
    }
}

#[test]
fn rows_and_events_of_other_departments_stay_out_of_every_table() {
    let mut portal = Portal::start(sizes(None));
    let departments: Vec<String> = truth(&portal, &table("departments")).into_keys().collect();
    let own = departments[0].as_str();
    portal.department_ids = vec![own.to_owned()];
    let mut setup = Setup::start(portal);
    setup.portal.simulator.set(|settings| settings.webhooks.delete_with_record = true);
    let of_departments: Vec<String> = tables()
        .into_iter()
        .filter(|table| !matches!(department(table), Of::None))
        .map(|table| table.name)
        .collect();
    let all: Vec<&str> = of_departments.iter().map(String::as_str).collect();
    check(&setup, own, &all, "first");
    for department in &departments[..2] {
        let ticket = tickets(&setup.portal, department).into_keys().nth(1).unwrap();
        parts(&mut setup, own, &ticket);
        for name in ["tasks", "calls", "events"] {
            let rows = truth(&setup.portal, &table(name)).into_iter();
            let mut ids = rows.filter(|(_, row)| row["departmentId"] == department.as_str());
            let (id, other) = (ids.next().unwrap().0, ids.next().unwrap().0);
            drop(ids);
            let update = json!({"op": "update", "table": name, "id": id, "values": {"subject": "neu"}});
            setup.change(update, &[]);
            check(&setup, own, &[name], "changed");
            setup.change(json!({"op": "moveToTrash", "table": name, "id": other}), &[]);
            check(&setup, own, &[name], "deleted");
        }
    }
    let article = truth(&setup.portal, &table("articles")).into_keys().nth(3).unwrap();
    let values = json!({"availableLocaleTranslations": [{"locale": "de"}]});
    setup.change(
        json!({"op": "update", "table": "articles", "id": article, "values": values}),
        &["Article_Update"],
    );
    for (event, payload) in [
        ("Article_Translation_Add", json!({"id": "5", "articleId": article, "locale": "de"})),
        ("Article_Feedback_Add", json!({"id": "6", "articleId": article})),
    ] {
        setup.change(json!({"op": "emit", "event": event, "payload": payload}), &[]);
        check(&setup, own, &["articles"], event);
    }
    for name in &all {
        setup.sinks.get_mut(*name).unwrap().read(&mut setup.portal, name, 50).unwrap();
    }
    check(&setup, own, &["tickets", "ticket_attachments", "ticket_time_entries", "tasks"], "polled");
}

/// Adds, changes and deletes the parts of a ticket.
fn parts(setup: &mut Setup, own: &str, ticket: &str) {
    setup.change(json!({"op": "addThread", "ticket": ticket, "content": "a thread"}), &[]);
    let comment: Value =
        setup.change(json!({"op": "addComment", "ticket": ticket, "content": "a", "public": true}), &[]);
    let edit = json!({"op": "updateComment", "ticket": ticket, "id": comment["id"], "content": "b"});
    setup.change(edit, &[]);
    check(setup, own, &["ticket_conversations", "tickets"], "conversations");
    for (name, list, values) in [
        ("ticket_attachments", "attachments", json!({"name": "neu.pdf"})),
        ("ticket_time_entries", "timeEntry", json!({"hoursSpent": "7"})),
        ("ticket_approvals", "approvals", json!({"status": "Approved"})),
    ] {
        let added = setup.change(json!({"op": "addPart", "ticket": ticket, "list": list}), &[]);
        check(setup, own, &[name, "tickets"], "added");
        let part = |op: &str| json!({"op": op, "ticket": ticket, "list": list, "id": added["id"]});
        let mut update = part("updatePart");
        update["values"] = values;
        setup.change(update, &[]);
        check(setup, own, &[name, "tickets"], "changed");
        // Approvals are not deleted.
        if list != "approvals" {
            setup.change(part("deletePart"), &[]);
            check(setup, own, &[name, "tickets"], "deleted");
        }
    }
}
