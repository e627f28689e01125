//! The rows of an answer in any of the forms that lists have, each with its identity. Pure.

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::api::Answer;
use crate::error::Result;
use crate::members::{Members, Writer};
use crate::row::{self, RowMeta};
use crate::table::{Identity, Rows};

/// The rows of a list, with their [`RowMeta`]. `parent` is the id of the row that the list belongs to.
pub(crate) fn of(
    answer: &Answer,
    rows: Rows,
    identity: Identity,
    parent: &str,
) -> Result<Vec<(RowMeta, String)>> {
    if rows == Rows::Member("data") && identity == Identity::Member("id") {
        let rows = answer.rows_with_meta()?.into_iter();
        return Ok(rows.map(|(meta, row)| (meta, row.to_owned())).collect());
    }
    let rows = match rows {
        Rows::Member(name) => answer.rows_in(name)?.into_iter().map(|row| row.get().to_owned()).collect(),
        Rows::One => answer.object()?.map(|row| row.get().to_owned()).into_iter().collect(),
        Rows::Tree(name) => {
            let mut rows = Vec::new();
            if let Some(root) = answer.object()? {
                flatten(root.get(), name, &mut rows);
            }
            rows
        }
    };
    rows.into_iter()
        .map(|row: String| match identity {
            Identity::Member(name) => Ok((row::meta_by(&row, name).ok_or_else(|| answer.no_id(name))?, row)),
            Identity::Parent => Ok((row::meta_of(&row, parent.to_owned()), row)),
            Identity::Content(members) => {
                let id = content_id(&row, members);
                let row = row::with_member(&row, "id", &format!("\"{id}\"")).unwrap_or_default();
                Ok((row::meta_of(&row, id), row))
            }
        })
        .collect()
}

/// Appends the objects in the arrays called `name`, outer ones first, each without its own array.
fn flatten(object: &str, name: &str, rows: &mut Vec<String>) {
    let Some(inner) = Members::parse(object).and_then(|members| members.get(name)) else { return };
    let inner: Vec<&serde_json::value::RawValue> = serde_json::from_str(inner).unwrap_or_default();
    for object in inner {
        rows.extend(row::without(object.get(), &[name]));
        flatten(object.get(), name, rows);
    }
}

/// The same text for rows that have equal values in these members, whatever the order of their keys.
fn content_id(row: &str, members: &[&str]) -> String {
    let found = Members::parse(row);
    let mut writer = Writer::new(row.len());
    for name in members {
        let value = found.as_ref().and_then(|found| found.get(name)).unwrap_or("null");
        writer.member(name, &sorted(value));
    }
    format!("{:032x}", xxh3_128(writer.end().as_bytes()))
}

/// JSON with the keys of every object in their order.
fn sorted(value: &str) -> String {
    let Ok(mut parsed) = serde_json::from_str::<Value>(value) else { return value.to_owned() };
    parsed.sort_all_objects();
    parsed.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::answer_of;
    use crate::error::Kind;

    fn ids(body: &str, rows: Rows, identity: Identity) -> Vec<String> {
        let answer = answer_of(200, body).unwrap();
        of(&answer, rows, identity, "7").unwrap().into_iter().map(|(meta, _)| meta.id).collect()
    }

    #[test]
    fn rows_are_found_in_every_form_of_an_answer() {
        let id = Identity::Member("id");
        assert_eq!(ids(r#"{"teams":[{"id":"1"},{"id":2}]}"#, Rows::Member("teams"), id), ["1", "2"]);
        assert_eq!(
            ids(r#"{"data":[{"code":"EMAIL"}]}"#, Rows::Member("data"), Identity::Member("code")),
            ["EMAIL"]
        );
        assert_eq!(ids(r#"{"responseCount":"3"}"#, Rows::One, Identity::Parent), ["7"]);
        let tree = r#"{"id":"1","children":[{"id":"2","children":[{"id":"3","children":[]}]},{"id":"4"}]}"#;
        assert_eq!(ids(tree, Rows::Tree("children"), id), ["2", "3", "4"]);
        // Which member `organizationModules` has is not documented (`zoho-desk-api.md`, appendix).
        assert_eq!(ids(r#"{"data":[{"id":"1"}]}"#, Rows::Member("modules"), id), ["1"]);
        assert!(ids("", Rows::Member("teams"), id).is_empty());
    }

    #[test]
    fn an_answer_without_its_rows_and_a_row_without_its_id_are_refused() {
        for (body, rows) in [
            (r#"{"rows":[]}"#, Rows::Member("teams")),
            (r#"{"teams":[{"name":"x"}]}"#, Rows::Member("teams")),
            (r#"{"teams":[{"id":"a/b"}]}"#, Rows::Member("teams")),
        ] {
            let answer = answer_of(200, body).unwrap();
            let error = of(&answer, rows, Identity::Member("id"), "7").unwrap_err();
            assert_eq!(error.kind, Kind::Data, "{body}");
        }
    }

    #[test]
    fn a_row_without_an_id_is_known_by_its_content_whatever_the_order_of_its_members() {
        let of = |row: &str| content_id(row, &["a", "b"]);
        assert_eq!(of(r#"{"a":{"x":1,"y":[2]},"b":"c"}"#), of(r#"{"b":"c","z":0,"a":{"y":[2],"x":1}}"#));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":2}"#));
        assert_eq!(of("{}").len(), 32);
    }
}
