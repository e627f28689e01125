//! A table that the connector does not have, in one declaration: the suite covers it like every other.

use zoho_desk::table::Type::{Id, Object, Text, Time};
use zoho_desk::table::{Group, List, Table, column};
use zoho_desk::tables;

static ASSETS: Table = Table {
    name: "cm_assets",
    group: Group::Settings,
    title: "Assets",
    scopes: &["Desk.custommodule.READ"],
    list: List { path: "/api/v1/cm_assets", limit: 50, sort_by: Some("createdTime"), ..List::DEFAULT },
    columns: &[
        column("id", Id),
        column("name", Text),
        column("ownerId", Id),
        column("departmentId", Id),
        column("createdTime", Time),
        column("modifiedTime", Time),
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
