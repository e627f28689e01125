//! A table that the connector does not have, in one declaration: the suite covers it like every other.

use zoho_desk::table::Type::{Boolean, Id, Object, Text, Time};
use zoho_desk::table::{Column, Group, List, Table, column, object};
use zoho_desk::tables;

const PERSON: &[Column] = &[
    column("id", Id),
    column("firstName", Text),
    column("lastName", Text),
    column("email", Text),
    column("photoURL", Text),
];

static ASSETS: Table = Table {
    name: "cm_assets",
    group: Group::Settings,
    title: "Assets",
    scopes: &["Desk.custommodule.READ"],
    list: List { path: "/api/v1/cm_assets", limit: 50, sort_by: Some("createdTime"), ..List::DEFAULT },
    columns: &[
        column("id", Id),
        column("name", Text),
        object("owner", PERSON),
        object("layout", &[column("id", Id), column("layoutName", Text)]),
        column("layoutId", Id),
        object("createdBy", PERSON),
        column("createdTime", Time),
        object("modifiedBy", PERSON),
        column("modifiedTime", Time),
        column("isPresence", Boolean),
        column("canEdit", Boolean),
        column("cf", Object),
    ],
    notes: "A custom module as a table of its own.",
    ..Table::DEFAULT
};

/// The tables that are added to the connector.
static MADE_UP: [&Table; 1] = [&ASSETS];

/// Adds the table, once.
pub(crate) fn declare() {
    tables::add(&MADE_UP);
}

#[test]
fn a_table_of_one_declaration_is_described_selected_and_read() {
    declare();
    assert!(crate::tables().iter().any(|table| table.name == ASSETS.name));
    assert_eq!(tables::find("cm_assets"), Some(&ASSETS));
    let mut portal = crate::portal::Portal::start(crate::portal::sizes(None));
    portal.tables = vec!["settings".to_owned()];
    let mut sink = crate::sink::Sink::default();
    sink.read(&mut portal, "cm_assets", 10).unwrap();
    assert_eq!(sink.rows.len(), 60);
}
