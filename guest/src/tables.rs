//! The registry: every table, in the order in which tables are read. A new one is a file in `tables/` and a
//! line in [`ALL`]; `docs/CONTRIBUTING.md` has the steps.

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

/// The table of that name or alias.
pub fn find(name: &str) -> Option<&'static Table> {
    ALL.into_iter().find(|table| table.name == name || table.alias == name)
}

/// The table whose rows have the rows of `table` as children.
pub(crate) fn parent(table: &Table) -> Option<&'static Table> {
    find(table.children?.parent)
}

/// The names, for messages.
pub(crate) fn names() -> String {
    ALL.map(|table| table.name).join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::table::{Incremental, Type};

    #[test]
    fn every_file_is_a_registered_table_and_every_table_is_the_file_of_its_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tables");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let registered: BTreeSet<String> = ALL.iter().map(|table| format!("{}.rs", table.name)).collect();
        assert_eq!(files, registered);
    }

    #[test]
    fn names_and_aliases_are_distinct_and_each_finds_its_table() {
        let names: BTreeSet<_> = ALL.iter().flat_map(|table| [table.name, table.alias]).collect();
        assert_eq!(names.len(), ALL.len() * 2);
        for table in ALL {
            assert_eq!((find(table.name), find(table.alias)), (Some(table), Some(table)));
        }
    }

    #[test]
    fn every_table_declares_what_the_reader_and_people_need() {
        for table in ALL {
            let name = table.name;
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(!table.scopes.is_empty() && !table.notes.is_empty() && !table.title.is_empty(), "{name}");
            assert!(table.list.path.starts_with("/api/v1/"), "{name}");
            let is_paged = table.list.limit > 1;
            assert_ne!(is_paged, table.list.partitions.is_some(), "{name}: a list is paged or partitioned");
            let columns: BTreeSet<_> = table.columns.iter().map(|column| column.name).collect();
            assert_eq!(columns.len(), table.columns.len(), "{name}: a column is listed twice");
            let is_id = |column: &&crate::table::Column| column.name == "id" && column.kind == Type::Id;
            assert!(table.columns.iter().any(|column| is_id(&column)), "{name}: no column `id`");
        }
    }

    #[test]
    fn records_can_be_read_by_id_wherever_the_reader_does_so() {
        for table in ALL {
            let name = table.name;
            assert!(table.record.is_none_or(|path| path.contains("{id}")), "{name}");
            assert!(table.detail.is_none() || table.record.is_some(), "{name}: a detail without a path");
            assert!(
                table.events.is_empty() || table.record.is_some() || table.children.is_some(),
                "{name}: an event without proof could not be refetched"
            );
            let Some(children) = table.children else { continue };
            assert!(find(children.parent).is_some_and(|parent| parent.record.is_some()), "{name}");
            for kind in children.kinds {
                let is_whole = kind.list.contains("{parent}") && kind.limit > 1 && !kind.count.is_empty();
                let has_record = kind.record.contains("{parent}") && kind.record.contains("{id}");
                assert!(is_whole && has_record && !kind.event_prefix.is_empty(), "{name}: {kind:?}");
            }
        }
    }

    #[test]
    fn every_optional_parameter_is_sent() {
        for table in ALL {
            let sent = |parameter: &str| match parameter {
                "sortBy" => table.list.sort_by.is_some(),
                _ => table.list.query.iter().any(|(name, _)| *name == parameter),
            };
            let optional = table.list.optional_parameters;
            assert!(optional.iter().all(|parameter| sent(parameter)), "{}: {optional:?}", table.name);
        }
    }

    /// The modules that can be moved to the recycle bin, with the `type` they have there (`zoho-desk-api.md`
    /// §7).
    #[test]
    fn every_table_whose_records_the_recycle_bin_lists_names_its_module_there() {
        let modules = BTreeMap::from([
            ("accounts", "Accounts"),
            ("contacts", "Contacts"),
            ("contracts", "Contracts"),
            ("products", "Products"),
            ("tickets", "Tickets"),
        ]);
        for table in ALL {
            assert_eq!(table.recycle_bin, modules.get(table.name).copied(), "{}", table.name);
            if let Incremental::Search { .. } = table.incremental {
                let owner = table.children.and_then(|children| find(children.parent)).unwrap_or(table);
                assert!(owner.recycle_bin.is_some(), "{}: its deletes would not be found", table.name);
            }
        }
    }
}
