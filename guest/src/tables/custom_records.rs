//! Records of custom modules: `GET /{module}` of each (`Records.json` of zoho/zohodesk-oas).

use crate::embedded;
use crate::table::Type::{Boolean, Id, Object, Text, Time};
use crate::table::{Column, Each, Group, Incremental, List, Order, Table, column, object};

pub(super) const TABLE: Table = Table {
    name: "custom_records",
    group: Group::Settings,
    key: &["module", "id"],
    title: "Records of custom modules",
    scopes: &["Desk.custommodule.READ", "Desk.settings.READ"],
    list: List {
        path: "/api/v1/{parent}",
        limit: 50,
        first: 0,
        sort_by: Some("createdTime"),
        each: Some(Each {
            table: "modules",
            only: Some(("isCustomModule", "true")),
            id: "apiName",
            key: Some("module"),
            hides_rows: true,
            ..Each::DEFAULT
        }),
        ..List::DEFAULT
    },
    incremental: Incremental::Sorted { every_ms: 60 * 60 * 1000, order: Order::Newest },
    columns: COLUMNS,
    notes: "One call for the modules and one list call for each 49 records of a custom module; then, each \
            hour, one for the modules and one for each custom module, by modified time. Deletes are found by \
            the verification, every `verify_days`, which costs the list again: about 1,000 credits for \
            10,000 records, 9,000 for 50,000 and 60,000 for 100,000. `module` is the API name of the module.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("module", Text),
    column("id", Id),
    column("name", Text),
    object("owner", embedded::PERSON),
    object("department", embedded::NAMED),
    object("layout", embedded::LAYOUT),
    column("layoutId", Id),
    object("createdBy", embedded::PERSON),
    column("createdTime", Time),
    object("modifiedBy", embedded::PERSON),
    column("modifiedTime", Time),
    column("isPresence", Boolean),
    column("canEdit", Boolean),
    column("cf", Object),
];
