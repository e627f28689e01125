//! Every documented webhook event that a table declares: caused in the simulator, delivered by it, and
//! applied. The tables then equal the truth without a poll.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Map, Value, json};
use zoho_desk::webhook::{Delivery, Receipt};

use crate::portal::{Portal, sizes};
use crate::sink::Sink;
use crate::{Table, tables, truth};

/// How long a delivery on loopback may take.
const DELIVERY: Duration = Duration::from_secs(20);

/// An HTTP server that answers 200, with the deliveries that it received.
struct Hook {
    url: String,
    received: Receiver<Delivery>,
}

impl Hook {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let mut head = Vec::new();
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap_or_default() > 2 {
                    head.push(line.trim().to_owned());
                    line.clear();
                }
                let headers: Vec<(String, Vec<u8>)> = head
                    .iter()
                    .filter_map(|line| line.split_once(": "))
                    .map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes().to_vec()))
                    .collect();
                let length = headers.iter().find(|(name, _)| name == "content-length");
                let length = length.map_or(0, |(_, value)| String::from_utf8_lossy(value).parse().unwrap());
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                // Before the answer: the simulator counts a delivery as done when it is answered.
                if head.first().is_some_and(|line| line.starts_with("POST")) && length > 2 {
                    let delivery = Delivery { received_at_ms: 0, method: "POST".to_owned(), headers, body };
                    if sender.send(delivery).is_err() {
                        return;
                    }
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                reader.get_mut().write_all(answer).unwrap();
            }
        });
        Self { url, received }
    }
}

/// A portal with a registered webhook, and the tables as a sink holds them.
pub(crate) struct Setup {
    pub(crate) portal: Portal,
    hook: Hook,
    subscription: String,
    pub(crate) sinks: BTreeMap<String, Sink>,
    delivered: BTreeSet<String>,
    ignored: Vec<String>,
}

impl Setup {
    pub(crate) fn start(mut portal: Portal) -> Self {
        let hook = Hook::start();
        let mut connection = portal.connect();
        let subscription = connection.subscribe(&hook.url, &[], None).unwrap();
        portal.keep(&connection);
        let mut sinks = BTreeMap::new();
        for table in tables() {
            let mut sink = Sink::default();
            sink.read(&mut portal, &table.name, 10_000).unwrap();
            sinks.insert(table.name, sink);
        }
        let (delivered, ignored) = Default::default();
        Self { portal, hook, subscription, sinks, delivered, ignored }
    }

    /// Changes something, and applies the events that are delivered of it, except `without`.
    pub(crate) fn change(&mut self, mutation: Value, without: &[&str]) -> Value {
        let made = self.portal.simulator.mutate(mutation.clone());
        let made = made.unwrap_or_else(|error| panic!("{mutation}: {error}"));
        assert!(self.portal.simulator.wait_for_deliveries(DELIVERY), "{mutation}");
        while let Ok(mut delivery) = self.hook.received.try_recv() {
            let mut events: Vec<Value> = serde_json::from_slice(&delivery.body).unwrap();
            events.retain(|event| !without.contains(&event["eventType"].as_str().unwrap()));
            if events.is_empty() {
                continue;
            }
            self.delivered.extend(events.iter().map(|event| event["eventType"].as_str().unwrap().to_owned()));
            delivery.body = serde_json::to_vec(&events).unwrap();
            delivery.received_at_ms = self.portal.now_ms();
            let mut connection = self.portal.connect();
            let receipt = connection.receive(Some(&self.subscription), &[delivery]).remove(0);
            self.portal.keep(&connection);
            match receipt {
                Ok(Receipt { changes, ignored }) => {
                    self.ignored.extend(ignored);
                    for change in changes {
                        self.sinks.get_mut(change.table).unwrap().apply(change);
                    }
                }
                Err(error) => self.ignored.push(error.to_string()),
            }
        }
        made
    }

    /// Fails unless these tables equal the truth.
    fn check(&self, names: &[&str], when: &str) {
        for table in tables().iter().filter(|table| names.contains(&table.name.as_str())) {
            crate::check(&self.portal, &self.sinks[&table.name], table, when);
            // `crate::check` compares the members of the other tables.
            if table.is_core {
                self.compare(table, when);
            }
        }
    }

    fn compare(&self, table: &Table, when: &str) {
        let found = crate::read(&self.sinks[&table.name], table);
        for (key, expected) in truth(&self.portal, table) {
            let row = &found[&key];
            // A refetched row lacks members that only lists have; embedded records change without an event.
            let is_wrong = |(member, value): &(&String, &Value)| {
                !value.is_object() && row.get(*member).is_some_and(|found| found != *value)
            };
            let wrong: Map<String, Value> = expected
                .iter()
                .filter(is_wrong)
                .map(|(member, value)| (member.clone(), json!([value, row.get(member)])))
                .collect();
            assert!(wrong.is_empty(), "{}, {when}: {key}: {wrong:?}", table.name);
        }
    }

    fn table(&self, name: &str) -> Table {
        tables().into_iter().find(|known| known.name == name).unwrap()
    }

    fn ids(&self, table: &str) -> Vec<String> {
        truth(&self.portal, &self.table(table)).into_keys().collect()
    }
}

/// Created, changed, deleted: for modules that have records.
const MODULES: [(&str, &str, &str); 11] = [
    ("tickets", "tickets", "subject"),
    ("contacts", "contacts", "lastName"),
    ("accounts", "accounts", "accountName"),
    ("agents", "agents", "name"),
    ("departments", "departments", "name"),
    ("tasks", "tasks", "subject"),
    ("calls", "calls", "subject"),
    ("events", "events", "subject"),
    ("articles", "articles", "title"),
    ("kb_categories", "kbRootCategories", "name"),
    ("kb_sections", "kbSections", "name"),
];

fn modules(setup: &mut Setup) {
    for (table, url, title) in MODULES {
        let ids = setup.ids(table);
        setup.change(json!({"op": "create", "table": url, "values": {}}), &[]);
        setup.check(&[table], "created");
        setup.change(json!({"op": "update", "table": url, "id": ids[0], "values": {title: "neu 🎈"}}), &[]);
        setup.check(&[table], "changed");
        // Departments are never deleted.
        if table != "departments" {
            let op = if ["tickets", "tasks", "calls", "events", "contacts", "accounts"].contains(&table) {
                "moveToTrash"
            } else {
                "purge"
            };
            setup.change(json!({"op": op, "table": url, "id": ids[1]}), &[]);
            setup.check(&[table], "deleted");
            if op == "moveToTrash" {
                setup.change(json!({"op": "restore", "table": url, "id": ids[1]}), &[]);
                setup.check(&[table], "restored");
            }
        }
    }
}

/// Attachments, time entries and approvals; true where payloads of deletes name the ticket.
fn parts(setup: &mut Setup, delete_names_ticket: bool) {
    let ticket = setup.ids("tickets")[3].clone();
    for (table, list, values) in [
        ("ticket_attachments", "attachments", json!({"name": "neu.pdf"})),
        ("ticket_time_entries", "timeEntry", json!({"hoursSpent": "7"})),
        ("ticket_approvals", "approvals", json!({"status": "Approved"})),
    ] {
        let both = [table, "tickets"];
        let added = setup.change(json!({"op": "addPart", "ticket": ticket, "list": list}), &[]);
        setup.check(&both, "part added");
        let id = &added["id"];
        setup.change(
            json!({"op": "updatePart", "ticket": ticket, "list": list, "id": id, "values": values}),
            &[],
        );
        setup.check(&both, "part changed");
        // Approvals are not deleted.
        if list == "approvals" {
            continue;
        }
        setup.change(json!({"op": "deletePart", "ticket": ticket, "list": list, "id": id}), &[]);
        if delete_names_ticket {
            setup.check(&both, "part deleted");
        } else {
            assert!(setup.ignored.pop().unwrap().contains("names no record"), "{list}");
            let found = crate::read(&setup.sinks[table], tables().iter().find(|t| t.name == table).unwrap());
            assert!(found.contains_key(id.as_str().unwrap()), "{list}: the next snapshot finds it");
            let mut again = Sink::default();
            again.read(&mut setup.portal, table, 10_000).unwrap();
            setup.sinks.insert(table.to_owned(), again);
            setup.check(&[table], "read again");
        }
    }
}

fn trashed_attachments(setup: &mut Setup) {
    let ticket = setup.ids("tickets")[5].clone();
    let added = setup.change(json!({"op": "addPart", "ticket": ticket, "list": "attachments"}), &[]);
    let trash = json!({
        "op": "deletePart", "ticket": ticket, "list": "attachments", "id": added["id"], "event": "Trashed"
    });
    setup.change(trash, &[]);
    setup.check(&["ticket_attachments"], "trashed");
    let restore = json!({
        "op": "addPart", "ticket": ticket, "list": "attachments", "event": "Restored",
        "values": {"id": added["id"]}
    });
    setup.change(restore, &[]);
    setup.check(&["ticket_attachments"], "restored");
}

fn conversations(setup: &mut Setup) {
    let ticket = setup.ids("tickets")[7].clone();
    let both = ["ticket_conversations", "tickets"];
    setup.change(json!({"op": "addThread", "ticket": ticket, "content": "a thread"}), &[]);
    setup.check(&both, "thread added");
    let comment =
        setup.change(json!({"op": "addComment", "ticket": ticket, "content": "a", "public": true}), &[]);
    setup.check(&both, "comment added");
    let edit = json!({"op": "updateComment", "ticket": ticket, "id": comment["id"], "content": "b"});
    setup.change(edit.clone(), &[]);
    setup.check(&both, "comment changed");
    for event in ["Ticket_Comment_Attachment_Add", "Ticket_Comment_Attachment_Delete"] {
        let mut edit = edit.clone();
        edit["content"] = json!(event);
        setup.change(edit, &["Ticket_Comment_Update", "Ticket_Update"]);
        let payload = json!({"id": "77", "ticketId": ticket, "commentId": comment["id"]});
        setup.change(json!({"op": "emit", "event": event, "payload": payload}), &[]);
        setup.check(&both, event);
    }
}

fn articles(setup: &mut Setup) {
    let id = setup.ids("articles")[3].clone();
    let others: &[&str] = &["Article_Update"];
    for (event, payload) in [
        ("Article_Translation_Add", json!({"id": "5", "articleId": id, "locale": "fr"})),
        ("Article_Translation_Update", json!({"id": id, "translationId": "5", "locale": "fr"})),
        ("Article_Translation_Delete", json!({"id": "5", "articleId": id})),
        ("Article_Feedback_Add", json!({"id": "6", "articleId": id})),
    ] {
        let values = json!({"availableLocaleTranslations": [{"locale": event}]});
        setup.change(json!({"op": "update", "table": "articles", "id": id, "values": values}), others);
        setup.change(json!({"op": "emit", "event": event, "payload": payload}), &[]);
        setup.check(&["articles"], event);
    }
}

/// A new text of an article in a language, of which the event has the locale.
fn translations(setup: &mut Setup) {
    let id = setup.ids("articles")[4].clone();
    let others: &[&str] = &["Article_Update"];
    for (event, payload, locales) in [
        ("Article_Translation_Add", json!({"id": "5", "articleId": id, "locale": "it"}), &["en", "it"]),
        (
            "Article_Translation_Update",
            json!({"id": id, "translationId": "5", "locale": "en"}),
            &["en", "it"],
        ),
    ] {
        let entries: Vec<Value> = locales.iter().map(|locale| json!({"locale": locale})).collect();
        let values = json!({"availableLocaleTranslations": entries, "summary": event});
        setup.change(json!({"op": "update", "table": "articles", "id": id, "values": values}), others);
        setup.change(json!({"op": "emit", "event": event, "payload": payload}), &[]);
        let expected = truth(&setup.portal, &setup.table("article_translations"));
        let found = crate::read(&setup.sinks["article_translations"], &setup.table("article_translations"));
        let key = expected.iter().find(|(_, row)| row["id"] == *id && row["locale"] == payload["locale"]);
        let (key, row) = key.expect("the translation");
        assert_eq!(found[key]["summary"], row["summary"], "{event}");
        assert_eq!(found[key]["answer"], row["answer"], "{event}");
    }
}

#[test]
fn every_declared_event_reaches_its_table_without_a_poll() {
    let mut setup = Setup::start(Portal::start(sizes(None)));
    setup.portal.simulator.set(|settings| settings.webhooks.delete_with_record = true);
    // First: the conversations of new and deleted tickets come with a poll.
    conversations(&mut setup);
    parts(&mut setup, true);
    trashed_attachments(&mut setup);
    articles(&mut setup);
    translations(&mut setup);
    modules(&mut setup);
    let document = zoho_desk::describe::document();
    let declared: BTreeSet<String> = document["tables"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|table| table["events"].as_array().unwrap())
        .map(|event| event.as_str().unwrap().to_owned())
        .collect();
    let missing: Vec<&String> = declared.difference(&setup.delivered).collect();
    assert!(missing.is_empty(), "not tried: {missing:?}");
    assert_eq!(setup.ignored, [""; 0], "ignored");
}

/// The form of a delete's payload is not documented (`zoho-desk-api.md` §6.4).
#[test]
fn a_delete_with_its_id_alone_is_applied_where_the_id_is_enough() {
    let mut setup = Setup::start(Portal::start(sizes(None)));
    modules(&mut setup);
    parts(&mut setup, false);
}

#[test]
fn attachments_are_found_whichever_number_their_list_starts_from() {
    for from_zero in [false, true] {
        let mut setup = Setup::start(Portal::start(sizes(None)));
        setup.portal.simulator.set(|settings| {
            settings.readings.children_from_zero = from_zero;
            settings.webhooks.delete_with_record = true;
        });
        let first = crate::read(&setup.sinks["ticket_attachments"], &setup.table("ticket_attachments"));
        for (id, row) in first.into_iter().take(5) {
            let update = json!({
                "op": "updatePart", "ticket": row["ticketId"], "list": "attachments", "id": id,
                "values": {"name": "neu.pdf"}
            });
            setup.change(update, &[]);
        }
        setup.check(&["ticket_attachments"], "changed");
        parts(&mut setup, true);
        trashed_attachments(&mut setup);
        assert_eq!(setup.ignored, [""; 0], "ignored");
    }
}

#[test]
fn flat_rows_of_events_are_those_of_a_poll() {
    let mut portal = Portal::start(sizes(None));
    portal.shape = "flat";
    let mut setup = Setup::start(portal);
    for (table, url, title) in [("tasks", "tasks", "subject"), ("articles", "articles", "title")] {
        let id = setup.ids(table)[0].clone();
        setup.change(json!({"op": "update", "table": url, "id": id, "values": {title: "neu"}}), &[]);
        let mut polled = Sink::default();
        polled.read(&mut setup.portal, table, 10_000).unwrap();
        assert!(setup.sinks[table].rows == polled.rows, "{table}");
    }
}
