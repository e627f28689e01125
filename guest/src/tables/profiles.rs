//! Profiles: `GET /profiles` (`zoho-desk-api.md`, appendix, in one answer; `Profile.json` of
//! zoho/zohodesk-oas, in pages of 250).

use crate::table::Type::{Boolean, Id, Object, Text};
use crate::table::{Column, Group, Incremental, List, Table, column};

pub(super) const TABLE: Table = Table {
    name: "profiles",
    group: Group::People,
    title: "Profiles",
    scopes: &["Desk.basic.READ"],
    list: List { path: "/api/v1/profiles", ..List::DEFAULT },
    incremental: Incremental::FullRefresh { every_ms: 6 * 60 * 60 * 1000 },
    columns: COLUMNS,
    notes: "One call. The newer description of the API has `default` in place of `isDefault`, and says that \
            members other than `id` and `name` must be asked for, by a parameter that the older one lacks: \
            it is not sent.",
    ..Table::DEFAULT
};

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("description", Text),
    column("type", Text),
    column("isDefault", Boolean),
    column("default", Boolean),
    column("isVisible", Boolean),
    column("permissions", Object),
];
