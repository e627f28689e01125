//! The registry: every table, in the order in which tables are read. A new one is a file in `tables/` and a
//! line in [`ALL`]; `docs/CONTRIBUTING.md` has the steps.

mod accounts;
mod agents;
mod archived_tickets;
mod article_translations;
mod articles;
mod business_hours;
mod calls;
mod channels;
mod contact_account_mapping;
mod contacts;
mod contracts;
mod custom_records;
mod departments;
mod events;
mod holiday_lists;
mod kb_categories;
mod kb_sections;
mod layout_rules;
mod layouts;
mod modules;
mod organization_fields;
mod organizations;
mod products;
mod profiles;
mod recycle_bin;
mod roles;
mod skills;
mod slas;
mod support_plans;
mod tasks;
mod team_members;
mod teams;
mod ticket_activities;
mod ticket_approvals;
mod ticket_attachments;
mod ticket_conversations;
mod ticket_history;
mod ticket_metrics;
mod ticket_tags;
mod ticket_time_entries;
mod tickets;
mod views;
mod webhooks;

use std::sync::OnceLock;

use crate::table::{Group, Table};

/// The group of every table.
const ALL_GROUP: &str = "all";

/// Every table. Small ones that others refer to come first, then group by group.
pub const ALL: &[&Table] = &[
    &departments::TABLE,
    &organization_fields::TABLE,
    &products::TABLE,
    &contracts::TABLE,
    &accounts::TABLE,
    &contacts::TABLE,
    &tickets::TABLE,
    &ticket_conversations::TABLE,
    &agents::TABLE,
    &teams::TABLE,
    &team_members::TABLE,
    &roles::TABLE,
    &profiles::TABLE,
    &archived_tickets::TABLE,
    &ticket_history::TABLE,
    &ticket_metrics::TABLE,
    &ticket_tags::TABLE,
    &ticket_attachments::TABLE,
    &ticket_time_entries::TABLE,
    &ticket_approvals::TABLE,
    &ticket_activities::TABLE,
    &tasks::TABLE,
    &calls::TABLE,
    &events::TABLE,
    &articles::TABLE,
    &article_translations::TABLE,
    &kb_categories::TABLE,
    &kb_sections::TABLE,
    &organizations::TABLE,
    &channels::TABLE,
    &skills::TABLE,
    &slas::TABLE,
    &support_plans::TABLE,
    &business_hours::TABLE,
    &holiday_lists::TABLE,
    &layouts::TABLE,
    &layout_rules::TABLE,
    &views::TABLE,
    &modules::TABLE,
    &custom_records::TABLE,
    &webhooks::TABLE,
    &recycle_bin::TABLE,
    &contact_account_mapping::TABLE,
];

/// Tables that a program adds to the connector, which it links as a library.
static ADDED: OnceLock<&'static [&'static Table]> = OnceLock::new();

/// Adds tables to [`ALL`], for the whole process, before its first connection. False when some were added.
pub fn add(tables: &'static [&'static Table]) -> bool {
    ADDED.set(tables).is_ok()
}

/// Every table: those in [`ALL`], then those that were added.
pub fn all() -> impl Iterator<Item = &'static Table> {
    ALL.iter().chain(ADDED.get().into_iter().copied().flatten()).copied()
}

/// The table of that name or alias.
pub fn find(name: &str) -> Option<&'static Table> {
    all().find(|table| is_named(table, name))
}

/// True when `name` is the table's name, or its alias.
pub(crate) fn is_named(table: &Table, name: &str) -> bool {
    table.name == name || (!table.alias.is_empty() && table.alias == name)
}

/// The tables that a name in `tables` of the configuration stands for: one, those of a group, or all.
pub(crate) fn named(name: &str) -> impl Iterator<Item = &'static Table> {
    all().filter(move |table| is_named(table, name) || table.group.name() == name || name == ALL_GROUP)
}

/// Every name that `tables` of the configuration may have: groups first.
pub(crate) fn selectors() -> Vec<&'static str> {
    let groups = Group::ALL.iter().map(|group| group.name()).chain([ALL_GROUP]);
    let names = all().flat_map(|table| [table.name, table.alias]);
    groups.chain(names).filter(|name| !name.is_empty()).collect()
}

/// The table whose rows have the rows of `table` as children.
pub(crate) fn parent(table: &Table) -> Option<&'static Table> {
    find(table.children?.parent)
}

/// The names of the tables of each group, for messages.
pub(crate) fn names() -> String {
    let of = |group: &Group| {
        let tables = all().filter(|table| table.group == *group).map(|table| table.name);
        let tables: Vec<&str> = tables.collect();
        format!("{} ({})", group.name(), tables.join(", "))
    };
    Group::ALL.iter().map(of).collect::<Vec<_>>().join("; ")
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
        let selectors = selectors();
        let names: BTreeSet<_> = selectors.iter().collect();
        assert_eq!(names.len(), selectors.len());
        for &table in ALL {
            assert_eq!(find(table.name), Some(table));
            assert!(table.alias.is_empty() || find(table.alias) == Some(table));
        }
    }

    #[test]
    fn every_table_declares_what_the_reader_and_people_need() {
        for table in ALL {
            let name = table.name;
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(!table.scopes.is_empty() && !table.notes.is_empty() && !table.title.is_empty(), "{name}");
            assert!(table.list.path.starts_with("/api/v1/"), "{name}");
            let has_place = table.list.path.contains("{parent}");
            let each = table.list.each;
            assert_eq!(has_place, each.is_some_and(|each| each.parameter.is_none()), "{name}: its parent");
            let columns: BTreeSet<_> = table.columns.iter().map(|column| column.name).collect();
            assert_eq!(columns.len(), table.columns.len(), "{name}: a column is listed twice");
            assert!(table.key.iter().all(|key| columns.contains(key)), "{name}: its key is no column");
            let is_id = |column: &&crate::table::Column| column.name == "id" && column.kind == Type::Id;
            assert!(table.key != ["id"] || table.columns.iter().any(|column| is_id(&column)), "{name}");
            let Some(each) = each else { continue };
            let parents = find(each.table).unwrap_or_else(|| panic!("{name}: no table {}", each.table));
            assert!(parents.list.each.is_none(), "{name}: lists of lists of lists are not read");
            let parameter = |table: &Table| table.list.partitions.map(|partitions| partitions.parameter);
            assert!(parameter(parents).is_none() || parameter(parents) == parameter(table), "{name}");
        }
    }

    /// Members that only an `include` or `featureFlags` gives (`zoho-desk-api.md`, appendix): a column would
    /// stay empty without it.
    #[test]
    fn a_member_that_must_be_asked_for_is_a_column_only_where_it_is() {
        for (name, member) in [
            ("products", "owner"),
            ("products", "departments"),
            ("recycle_bin", "deletedBy"),
            ("recycle_bin", "department"),
            ("ticket_attachments", "creator"),
            ("ticket_time_entries", "owner"),
            ("views", "createdBy"),
        ] {
            let table = find(name).unwrap();
            let is_asked_for = table.list.query.iter().any(|(_, value)| value.contains(member));
            let is_column = table.columns.iter().any(|column| column.name == member);
            assert_eq!(is_column, is_asked_for, "{name}: `{member}`");
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
                assert!(kind.list.contains("{parent}") && !kind.name.is_empty(), "{name}: {kind:?}");
                let has_record = kind.record.contains("{parent}") && kind.record.contains("{id}");
                assert!(has_record || kind.list_is_complete, "{name}: {kind:?}");
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
            ("tasks", "Tasks"),
            ("calls", "Calls"),
            ("events", "Events"),
        ]);
        for table in ALL {
            assert_eq!(table.recycle_bin, modules.get(table.name).copied(), "{}", table.name);
            if let Incremental::Search { .. } = table.incremental {
                let owner = table.children.and_then(|children| find(children.parent)).unwrap_or(table);
                let has_event = || table.events.iter().any(|event| event.name.ends_with("_Delete"));
                assert!(owner.recycle_bin.is_some() || has_event(), "{}: deletes are not found", table.name);
            }
        }
    }
}
