//! The table of events in `docs/WEBHOOKS.md`: every event that the API documents (`zoho-desk-api.md` §6.3),
//! with the tables that subscribe to it, or the reason why none does. Made here and compared.

use std::collections::BTreeSet;

use super::generated;
use crate::table::EventFilter;
use crate::tables;

const BEGIN: &str = "<!-- generated: events of zoho-desk -->\n";
const END: &str = "<!-- end generated -->\n";

/// Modules with events for each of these words.
const DOCUMENTED: &[(&str, &[&str])] = &[
    ("Ticket", &["Add", "Update", "Delete", "Thread_Add", "Comment_Add", "Comment_Update"]),
    ("Ticket_Comment_Attachment", &["Add", "Delete"]),
    ("Ticket_Attachment", &["Add", "Update", "Delete", "Trashed", "Restored"]),
    ("Ticket_Approval", &["Add", "Update"]),
    ("TimeEntry", &["Add", "Update", "Delete"]),
    ("Contact", &["Add", "Update", "Delete"]),
    ("Account", &["Add", "Update", "Delete"]),
    ("Department", &["Add", "Update"]),
    ("Agent", &["Add", "Update", "Delete", "Presence_Update", "Channel_Preference_Update"]),
    ("Task", &["Add", "Update", "Delete"]),
    ("Call", &["Add", "Update", "Delete"]),
    ("Event", &["Add", "Update", "Delete"]),
    ("Article", &["Add", "Update", "Delete", "Feedback_Add"]),
    ("Article_Translation", &["Add", "Update", "Delete"]),
    ("KBRootCategory", &["Add", "Update", "Delete"]),
    ("KBSection", &["Add", "Update", "Delete"]),
    ("IM", &["Message_Add", "Message_Status", "Session_Status"]),
];

/// Events that no table subscribes to, with the reason.
const LEFT_OUT: &[(&str, &str)] = &[
    ("Agent_Presence_Update", "not a member of an agent"),
    ("Agent_Channel_Preference_Update", "not a member of an agent"),
    ("IM_Message_Add", "the API has no list of instant messages"),
    ("IM_Message_Status", "the API has no list of instant messages"),
    ("IM_Session_Status", "the API has no list of instant messages"),
];

fn documented() -> impl Iterator<Item = String> {
    DOCUMENTED.iter().flat_map(|(module, words)| words.iter().map(move |word| format!("{module}_{word}")))
}

/// The declarations of an event, each with its table.
fn declared(name: &str) -> Vec<(&'static str, &'static EventFilter)> {
    let of = |table: &&'static crate::table::Table| {
        let event = table.events.iter().find(|event| event.name == name)?;
        Some((table.name, event))
    };
    tables::ALL.iter().filter_map(of).collect()
}

fn section() -> String {
    let mut text =
        String::from("\n| event | tables | `department_ids` | previous state |\n|---|---|---|---|\n");
    for name in documented() {
        let tables = declared(&name);
        let Some((_, event)) = tables.first() else {
            let reason = LEFT_OUT.iter().find(|(event, _)| *event == name).map_or("", |(_, reason)| reason);
            text.push_str(&format!("| `{name}` | none: {reason} | – | – |\n"));
            continue;
        };
        let names: Vec<String> = tables.iter().map(|(table, _)| format!("`{table}`")).collect();
        let department = if event.by_department { "by Zoho" } else { "by refetch" };
        let has_departments = tables.iter().any(|(name, _)| {
            let table = tables::find(name);
            table.is_some_and(|table| table.list.departments.is_some())
        });
        let department = if has_departments { department } else { "–" };
        let previous = if event.with_previous_state { "yes" } else { "–" };
        text.push_str(&format!("| `{name}` | {} | {department} | {previous} |\n", names.join(", ")));
    }
    text.push('\n');
    text
}

#[test]
fn every_documented_event_is_declared_or_left_out_for_a_reason() {
    let documented: BTreeSet<String> = documented().collect();
    let declared: BTreeSet<String> =
        tables::ALL.iter().flat_map(|table| table.events).map(|event| event.name.to_owned()).collect();
    let left_out: BTreeSet<String> = LEFT_OUT.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert!(declared.is_disjoint(&left_out));
    assert_eq!(documented, declared.union(&left_out).cloned().collect());
}

#[test]
fn the_page_of_webhooks_has_every_documented_event() {
    generated::compare("WEBHOOKS.md", BEGIN, Some(END), &section());
}
