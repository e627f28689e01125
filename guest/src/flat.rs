//! The flat shape: the documented members of an object become members of the row, their names joined with
//! [`SEPARATOR`]; custom fields stand under their API names. Rows and schemas are both made from the
//! declared columns here. Pure; knows no calls.
//!
//! A change may hold only some members of a row, so each object that it holds gives all its columns: those
//! that the object lacks as null, and its undocumented members in one further member. A sink never keeps a
//! member that an object has lost.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::change::Change;
use crate::members::{Members, Writer};
use crate::table::{Column, Table, Type};

/// Joins the names of a path: legal in SQL without quotes, and in no documented name.
const SEPARATOR: &str = "__";

/// The last part of the name of an object's undocumented members, as one object.
const OTHER: &str = "other";

/// The member with the custom fields by API name.
const CUSTOM: &str = "cf";

/// The columns of a table in this shape, as documented: name and type.
pub(crate) fn columns(table: &Table) -> Vec<(String, Type)> {
    let mut columns = Vec::new();
    for column in table.columns.iter().filter(|column| !is_custom(table, column)) {
        add(column, column.name.to_owned(), &mut columns);
    }
    columns
}

fn add(column: &Column, name: String, columns: &mut Vec<(String, Type)>) {
    if column.members.is_empty() {
        return columns.push((name, column.kind));
    }
    for member in column.members {
        add(member, join(&name, member.name), columns);
    }
    columns.push((join(&name, OTHER), Type::Object));
}

/// True for the custom fields of a module whose fields can be listed; others have no columns, and stay JSON.
fn is_custom(table: &Table, column: &Column) -> bool {
    column.name == CUSTOM && table.fields_module.is_some()
}

fn join(path: &str, name: &str) -> String {
    format!("{path}{SEPARATOR}{name}")
}

/// The name of the custom field `key`: its API name, unless a documented column has it.
pub(crate) fn custom_name(key: &str, is_taken: impl Fn(&str) -> bool) -> Cow<'_, str> {
    let mut name = Cow::Borrowed(key);
    while is_taken(&name) {
        name = Cow::Owned(join(CUSTOM, &name));
    }
    name
}

/// The change with its rows in this shape. Its id differs from the id of the same row in another shape.
pub(crate) fn change(table: &Table, change: Change) -> Change {
    let flat = |row: Option<String>| row.map(|row| self::row(table, &row).unwrap_or(row));
    let id = if change.after.is_some() { format!("{}-flat", change.id) } else { change.id };
    Change { before: flat(change.before), after: flat(change.after), id, ..change }
}

/// The row in this shape; none when it is no object.
pub(crate) fn row(table: &Table, row: &str) -> Option<String> {
    let members = Members::parse(row)?;
    let declared = |name: &str| table.columns.iter().find(|column| column.name == name);
    let mut out = Out { writer: Writer::new(row.len() + row.len() / 2), names: BTreeSet::new() };
    let mut unknown = Vec::new();
    for (name, value) in members.iter() {
        match declared(name) {
            Some(column) if is_custom(table, column) => {}
            Some(column) => out.column(column, name.to_owned(), Some(value)),
            None => unknown.push((name, value)),
        }
    }
    let has_custom = table.columns.iter().any(|column| is_custom(table, column));
    if let Some(custom) = members.get(CUSTOM).filter(|_| has_custom).and_then(Members::parse) {
        let documented: BTreeSet<String> = columns(table).into_iter().map(|(name, _)| name).collect();
        for (key, value) in custom.iter() {
            let name = custom_name(key, |name| documented.contains(name) || out.names.contains(name));
            out.member(name.into_owned(), value);
        }
    }
    // A column comes first: what the API adds gives way.
    for (name, value) in unknown {
        let name = custom_name(name, |name| out.names.contains(name));
        out.member(name.into_owned(), value);
    }
    Some(out.writer.end())
}

/// The row being written, with the names that it has.
struct Out {
    writer: Writer,
    names: BTreeSet<String>,
}

impl Out {
    fn member(&mut self, name: String, value: &str) {
        self.writer.member(&name, value);
        self.names.insert(name);
    }

    /// Writes the columns of one member; `value` is none where an object lacks it.
    fn column(&mut self, column: &Column, name: String, value: Option<&str>) {
        if column.members.is_empty() {
            return self.member(name, value.unwrap_or("null"));
        }
        let members = value.and_then(Members::parse);
        for inner in column.members {
            let value = members.as_ref().and_then(|members| members.get(inner.name));
            self.column(inner, join(&name, inner.name), value);
        }
        let other = match (&members, value) {
            (Some(members), _) => undocumented(members, column.members),
            (None, value) => value.map(str::to_owned),
        };
        self.member(join(&name, OTHER), other.as_deref().unwrap_or("null"));
    }
}

/// The members that are not among `columns`, as an object; none when there are none.
fn undocumented(members: &Members<'_>, columns: &[Column]) -> Option<String> {
    let is_unknown = |name: &str| columns.iter().all(|column| column.name != name);
    let mut writer = Writer::new(64);
    let mut unknown = members.iter().filter(|(name, _)| is_unknown(name)).peekable();
    unknown.peek()?;
    unknown.for_each(|(name, value)| writer.member(name, value));
    Some(writer.end())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::change::{ChangeSource, Operation};
    use crate::row::RowMeta;
    use crate::table::{column, object};
    use crate::tables;

    const PERSON: &[Column] = &[column("id", Type::Id), object("account", &[column("id", Type::Id)])];
    const COLUMNS: &[Column] = &[
        column("id", Type::Id),
        object("contact", PERSON),
        column("tags", Type::Array),
        column("customFields", Type::Object),
        column("cf", Type::Object),
    ];
    const TABLE: Table = Table { columns: COLUMNS, fields_module: Some("tickets"), ..Table::DEFAULT };

    fn flat(row: Value) -> Value {
        serde_json::from_str(&super::row(&TABLE, &row.to_string()).unwrap()).unwrap()
    }

    #[test]
    fn documented_members_of_objects_become_columns_and_arrays_stay() {
        let row = json!({
            "id": "1", "contact": {"id": "2", "account": {"id": "3"}}, "tags": [{"a": 1}],
            "customFields": {"A label": "x"}, "cf": {"cf_a": "x"}
        });
        let expected = json!({
            "id": "1", "contact__id": "2", "contact__account__id": "3", "contact__account__other": null,
            "contact__other": null, "tags": [{"a": 1}], "customFields": {"A label": "x"}, "cf_a": "x"
        });
        assert_eq!(flat(row), expected);
        let columns: Vec<String> = columns(&TABLE).into_iter().map(|(name, _)| name).collect();
        let names: Vec<&String> = expected.as_object().unwrap().keys().collect();
        assert!(names.iter().all(|name| *name == "cf_a" || columns.contains(name)), "{columns:?}");
        assert_eq!(columns.len(), names.len() - 1);
    }

    /// A partial change replaces the members it has, and no others.
    #[test]
    fn an_object_gives_all_its_columns_and_a_member_that_is_left_out_gives_none() {
        for (row, expected) in [
            (json!({"id": "1"}), json!({"id": "1"})),
            (
                json!({"contact": null}),
                json!({
                    "contact__id": null, "contact__account__id": null, "contact__account__other": null,
                    "contact__other": null
                }),
            ),
            (
                json!({"contact": {"id": "2", "new": {"x": 1}, "account": 7}}),
                json!({
                    "contact__id": "2", "contact__account__id": null, "contact__account__other": 7,
                    "contact__other": {"new": {"x": 1}}
                }),
            ),
            (json!({"cf": null}), json!({})),
        ] {
            assert_eq!(flat(row.clone()), expected, "{row}");
        }
    }

    #[test]
    fn names_that_clash_differ_whatever_the_order_of_the_members() {
        let expected = json!({
            "id": "1", "contact__id": "2", "contact__account__id": null, "contact__account__other": null,
            "contact__other": null, "cf__contact__id": "3", "cf__id": "4", "cf__cf__contact__id": "5",
            "new": {"a": 1}
        });
        for row in [
            r#"{"id":"1","contact":{"id":"2"},"cf":{"contact__id":"3","id":"4"},"contact__id":"5",
                "new":{"a":1}}"#,
            r#"{"contact__id":"5","new":{"a":1},"cf":{"id":"4","contact__id":"3"},"contact":{"id":"2"},
                "id":"1"}"#,
        ] {
            let found: Value = serde_json::from_str(&super::row(&TABLE, row).unwrap()).unwrap();
            assert_eq!(found, expected, "{row}");
        }
    }

    #[test]
    fn documented_names_are_distinct_in_every_table() {
        for table in tables::ALL {
            let columns = columns(table);
            let names: BTreeSet<&String> = columns.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), columns.len(), "{}", table.name);
            let has_separator = |column: &Column| column.name.contains(SEPARATOR);
            assert!(!table.columns.iter().any(has_separator), "{}", table.name);
        }
    }

    #[test]
    fn a_change_has_other_ids_in_each_shape_and_a_delete_the_same() {
        let meta = RowMeta { id: "1".to_owned(), modified_time_ms: None, deleted: false };
        let row = r#"{"id":"1"}"#.to_owned();
        let document =
            Change::of_row(tables::ALL[0], Operation::Update, &meta, row, None, ChangeSource::Webhook);
        assert_ne!(change(&TABLE, document.clone()).id, document.id);
        let delete = Change::delete(
            tables::ALL[0],
            "1",
            Some(r#"{"contact":null}"#.to_owned()),
            Some(5),
            ChangeSource::Refetch,
        );
        let flat = change(&TABLE, delete.clone());
        assert_eq!(flat.id, delete.id);
        assert!(flat.before.unwrap().starts_with(r#"{"contact__id":null"#));
    }
}
