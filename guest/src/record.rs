//! The state of a record by the answer to its detail, and the row of that detail: one decision for
//! polling and for webhooks. Pure.

use serde_json::value::RawValue;

use crate::api::Answer;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::members::{Members, Writer};
use crate::row::{self, RowMeta};
use crate::table::Table;

/// A record as its detail shows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// It exists, in a selected department.
    Present { meta: RowMeta, detail: &'a str },
    /// In the recycle bin, with its last state.
    Trashed { detail: &'a str },
    /// Of a department that is not selected: its members stay out.
    Foreign,
    /// The API does not know it.
    Missing,
    /// This user may not see it, or, where [`Table::hides_deleted`], it is deleted.
    Hidden,
}

/// Judges the answer to the detail of `id`; an error when the answer says nothing about the record.
pub(crate) fn judge<'a>(
    config: &Config,
    table: &Table,
    id: &str,
    answer: &'a Result<Answer>,
) -> Result<Record<'a>> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.is_missing() => return Ok(Record::Missing),
        Err(error) if error.is_hidden() => return Ok(Record::Hidden),
        Err(error) => return Err(error.clone()),
    };
    let detail = answer.object()?.map_or("{}", RawValue::get);
    let meta = row::meta_by(detail, table.id_member()).filter(|meta| meta.id == *id).ok_or_else(|| {
        Error::new(Kind::Data, format!("`{}` {id}: the detail is of another record", table.name))
            .hint("this is no answer of Zoho Desk: check `desk_url`")
    })?;
    Ok(if meta.deleted {
        Record::Trashed { detail }
    } else if config.selects(table, detail) {
        Record::Present { meta, detail }
    } else {
        Record::Foreign
    })
}

/// The row of a detail. The members of the table's `list_only_fields` are from `listed`, the list or search
/// row, or from a detail that was requested with `include`: both ways give the same text. None when either is
/// no object.
pub(crate) fn row(table: &Table, detail: &str, listed: Option<&str>) -> Option<String> {
    let list_only = table.detail.map_or(&[][..], |detail| detail.list_only_fields);
    let members = Members::parse(detail)?;
    let listed = listed.map_or(Some(None), |listed| Members::parse(listed).map(Some))?;
    let mut writer = Writer::new(detail.len() + 256);
    for (name, value) in members.iter().filter(|(name, _)| !list_only.contains(name)) {
        writer.member(name, value);
    }
    for name in list_only {
        let of_list = listed.as_ref().and_then(|listed| listed.get(name));
        let of_detail = members.get(name).filter(|value| *value != "null");
        if let Some(value) = of_detail.or(of_list).or_else(|| members.get(name)) {
            writer.member(name, value);
        }
    }
    Some(writer.end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::answer_of;
    use crate::tables;

    fn config() -> Config {
        Config::parse(
            r#"{"organization_id":"1","client_id":"id","client_secret":"s","department_ids":["1"]}"#,
        )
        .unwrap()
    }

    #[test]
    fn each_answer_about_a_record_has_one_meaning() {
        let table = tables::find("tickets").unwrap();
        let name = |status, body: &str| match judge(&config(), table, "7", &answer_of(status, body)) {
            Ok(Record::Present { .. }) => "present".to_owned(),
            Ok(other) => format!("{other:?}").split(' ').next().unwrap().to_lowercase(),
            Err(error) => format!("{:?}", error.kind),
        };
        for (status, body, expected) in [
            (200, r#"{"id":"7","departmentId":"1"}"#, "present"),
            (200, r#"{"id":"7","departmentId":"2"}"#, "foreign"),
            (200, r#"{"id":"7","departmentId":"2","isTrashed":true}"#, "trashed"),
            (200, r#"{"id":"8"}"#, "Data"),
            (200, "", "Data"),
            (404, r#"{"errorCode":"URL_NOT_FOUND"}"#, "missing"),
            (404, r#"{"errorCode":"PROXY"}"#, "NotFound"),
            (404, "<html>maintenance</html>", "NotFound"),
            (404, "", "NotFound"),
            (403, r#"{"errorCode":"FORBIDDEN"}"#, "hidden"),
            (403, r#"{"errorCode":"UNAUTHORIZED"}"#, "hidden"),
            (403, r#"{"errorCode":"SCOPE_MISMATCH"}"#, "Permission"),
            (500, "", "Unavailable"),
        ] {
            assert_eq!(name(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_row_is_the_same_from_a_detail_with_include_and_from_a_detail_and_its_search_row() {
        let table = tables::find("tickets").unwrap();
        let with_include = r#"{"contact":{"id":"9"},"id":"7","isRead":true,"subject":"s","team":null}"#;
        let detail = r#"{"id":"7","subject":"s","contact":null,"team":null}"#;
        let searched = r#"{"id":"7","isRead":true,"contact":{"id":"9"},"team":null,"rank":1}"#;
        let row = row(table, with_include, None).unwrap();
        assert_eq!(super::row(table, detail, Some(searched)), Some(row.clone()));
        assert_eq!(row, r#"{"id":"7","subject":"s","contact":{"id":"9"},"team":null,"isRead":true}"#);
        assert_eq!(super::row(table, "[]", None), None);
    }
}
