//! The registry: every table, in the order in which they are read. Adding one is a file below and a line here.

mod accounts;
mod contacts;
mod contracts;
mod departments;
mod organization_fields;
mod products;
mod ticket_conversations;
mod tickets;

use crate::table::Table;

/// Every table. Small ones that others refer to come first.
pub const ALL: [&Table; 8] = [
    &departments::TABLE,
    &organization_fields::TABLE,
    &products::TABLE,
    &contracts::TABLE,
    &accounts::TABLE,
    &contacts::TABLE,
    &tickets::TABLE,
    &ticket_conversations::TABLE,
];

/// The table of that name or original name.
pub fn find(name: &str) -> Option<&'static Table> {
    ALL.into_iter().find(|table| table.name == name || table.alias == name)
}

/// The names, for messages.
pub fn names() -> String {
    ALL.map(|table| table.name).join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::table::Type;

    /// What every table must be, so that one reader serves all.
    #[test]
    fn every_table_has_the_shape() {
        for table in ALL {
            let name = table.name;
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(table.list.path.starts_with("/api/v1/"), "{name}");
            assert!(!table.scopes.is_empty() && !table.notes.is_empty() && !table.title.is_empty(), "{name}");
            assert!(
                table.columns.iter().any(|column| column.name == "id" && column.kind == Type::Id),
                "{name}"
            );
            let distinct: BTreeSet<_> = table.columns.iter().map(|column| column.name).collect();
            assert_eq!(distinct.len(), table.columns.len(), "{name}: a column is listed twice");
            assert!(table.record.is_none_or(|path| path.contains("{id}")), "{name}");
            assert!(table.detail.is_none() || table.record.is_some(), "{name}");
            assert!(
                table.events.is_empty() || table.record.is_some() || table.children.is_some(),
                "{name}: an event that is not proved could not be read again"
            );
            for kind in table.children.iter().flat_map(|children| children.kinds) {
                assert!(
                    kind.list.contains("{parent}") && kind.record.contains("{id}"),
                    "{name} {}",
                    kind.name
                );
            }
            assert!(
                table.list.optional.iter().all(|optional| {
                    *optional == "sortBy"
                        || table.list.query.iter().any(|(parameter, _)| parameter == optional)
                }),
                "{name}: an optional parameter is never sent"
            );
        }
    }

    #[test]
    fn names_and_aliases_are_distinct() {
        let names: BTreeSet<_> = ALL.iter().flat_map(|table| [table.name, table.alias]).collect();
        assert_eq!(names.len(), ALL.len() * 2);
    }
}
