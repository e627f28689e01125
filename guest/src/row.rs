//! Rows as raw JSON: the members that the reader uses, and the merge of two answers about one record. No tree
//! is built. Pure.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::members::{Members, Writer, unquoted};
use crate::table::{ChildKind, Children};
use crate::time;

/// The members of a row that the reader uses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RowMeta {
    pub(crate) id: String,
    pub(crate) modified_time_ms: Option<u64>,
    /// In the recycle bin or deleted.
    pub(crate) deleted: bool,
}

/// The members for [`RowMeta`]; serde skips the others without storing them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartialRow<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    modified_time: Option<&'a RawValue>,
    #[serde(borrow)]
    is_trashed: Option<&'a RawValue>,
    #[serde(borrow)]
    is_deleted: Option<&'a RawValue>,
    /// The spelling in the original connector's documentation (`zoho-desk-api.md` §7).
    #[serde(borrow, rename = "IsDel")]
    is_del: Option<&'a RawValue>,
    /// False for a record of a custom module in the recycle bin (`NewRecords.json` of zoho/zohodesk-oas).
    #[serde(borrow)]
    is_presence: Option<&'a RawValue>,
}

impl PartialRow<'_> {
    /// None when there is no usable `id`.
    pub(crate) fn meta(&self) -> Option<RowMeta> {
        let id = unquoted(self.id?.get());
        is_usable(id).then(|| self.with_id(id.to_owned()))
    }

    fn with_id(&self, id: String) -> RowMeta {
        let is =
            |value: Option<&RawValue>, text: &str| value.is_some_and(|value| unquoted(value.get()) == text);
        let is_true = |value| is(value, "true");
        RowMeta {
            id,
            modified_time_ms: self.modified_time.and_then(|value| time::parse(unquoted(value.get()))),
            deleted: is_true(self.is_trashed)
                || is_true(self.is_deleted)
                || is_true(self.is_del)
                || is(self.is_presence, "false"),
        }
    }
}

/// True for a text that can be an id: part of a path and of a key.
fn is_usable(id: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !id.is_empty() && id.bytes().all(is_legal)
}

/// The meta of a row whose identity is `member`; none when it has no usable value there.
pub(crate) fn meta_by(row: &str, member: &str) -> Option<RowMeta> {
    text(row, member).filter(|id| is_usable(id) && id != "null").map(|id| meta_of(row, id))
}

/// A path with members of a row for their names in braces. The row is data of the portal's users:
/// only letters, digits, `-` and `_` are taken.
pub(crate) fn filled(path: &str, row: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut parts = path.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        filled.extend(text(row, name).unwrap_or_default().chars().filter(is_plain));
        filled.push_str(rest);
    }
    filled
}

/// The meta of a row with this id.
pub(crate) fn meta_of(row: &str, id: String) -> RowMeta {
    match serde_json::from_str::<PartialRow<'_>>(row) {
        Ok(partial) => partial.with_id(id),
        Err(_) => RowMeta { id, modified_time_ms: None, deleted: false },
    }
}

/// None when the row has no usable `id`.
pub(crate) fn meta(row: &str) -> Option<RowMeta> {
    serde_json::from_str::<PartialRow<'_>>(row).ok()?.meta()
}

/// The department of a row, where it names one.
pub(crate) fn department(row: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row<'a> {
        #[serde(borrow)]
        department_id: Option<&'a RawValue>,
    }
    let id = unquoted(serde_json::from_str::<Row<'_>>(row).ok()?.department_id?.get());
    (!id.is_empty() && id != "null").then(|| id.to_owned())
}

/// The detail, with the members that only the list row has: members the detail lacks, and members it has as
/// null. Only members for which `wanted` is true are taken from the list row.
pub(crate) fn overlay(detail: &str, listed: &str, wanted: impl Fn(&str) -> bool) -> Option<String> {
    let detail_members = Members::parse(detail)?;
    let listed_members = Members::parse(listed)?;
    let mut writer = Writer::new(detail.len() + listed.len() / 2);
    for (name, value) in detail_members.iter() {
        let other = if value == "null" && wanted(name) { listed_members.get(name) } else { None };
        writer.member(name, other.unwrap_or(value));
    }
    for (name, value) in listed_members.iter() {
        if wanted(name) && !detail_members.has(name) {
            writer.member(name, value);
        }
    }
    Some(writer.end())
}

/// The row with `name` set to the raw `value`, as its last member.
pub(crate) fn with_member(row: &str, name: &str, value: &str) -> Option<String> {
    let mut writer = Writer::new(row.len() + name.len() + value.len() + 8);
    for (known, value) in Members::parse(row)?.iter() {
        if known != name {
            writer.member(known, value);
        }
    }
    writer.member(name, value);
    Some(writer.end())
}

/// The row without the members `names`; none when it is no object.
pub(crate) fn without(row: &str, names: &[&str]) -> Option<String> {
    let mut writer = Writer::new(row.len());
    for (name, value) in Members::parse(row)?.iter().filter(|(name, _)| !names.contains(name)) {
        writer.member(name, value);
    }
    Some(writer.end())
}

/// The row of one child: the API's members, its parent's id, its kind where there are several, and the
/// members its kind maps.
pub(crate) fn as_child(row: &str, children: &Children, parent: &str, kind: &ChildKind) -> Option<String> {
    let (parent_key, is_mixed) = (children.parent_key, children.kinds.len() > 1);
    let members = Members::parse(row)?;
    let mut writer = Writer::new(row.len() + 128);
    for (name, value) in members.iter() {
        if name != parent_key && (name != "kind" || !is_mixed) {
            writer.member(name, value);
        }
    }
    writer.member(parent_key, &format!("\"{parent}\""));
    if is_mixed {
        writer.member("kind", &format!("\"{}\"", kind.name));
    }
    for mapping in kind.mappings {
        if let (Some(value), None) = (members.get(mapping.from), members.get(mapping.to)) {
            let other = mapping.values.iter().find(|(raw, _)| *raw == value).map(|(_, other)| *other);
            writer.member(mapping.to, other.unwrap_or(value));
        }
    }
    Some(writer.end())
}

/// False when the row's counter `member` is zero; a row without the counter may have some.
pub(crate) fn may_have(row: &str, member: &str) -> bool {
    let count = Members::parse(row).and_then(|members| members.get(member));
    count.is_none_or(|count| unquoted(count).parse::<u64>() != Ok(0))
}

/// The row with only the members `names`.
pub(crate) fn only<'a>(row: &str, names: impl Iterator<Item = &'a str>) -> String {
    let mut writer = Writer::new(64);
    if let Some(members) = Members::parse(row) {
        for name in names {
            members.get(name).into_iter().for_each(|value| writer.member(name, value));
        }
    }
    writer.end()
}

/// The number in the row's member; none when it has none.
pub(crate) fn number(row: &str, member: &str) -> Option<usize> {
    unquoted(Members::parse(row)?.get(member)?).parse().ok()
}

/// The text in the row's member.
pub(crate) fn text(row: &str, member: &str) -> Option<String> {
    Some(unquoted(Members::parse(row)?.get(member)?).to_owned())
}

/// The values of the row's counters `members` as one text; none when it lacks one of them.
pub(crate) fn counts<'a>(row: &str, members: impl Iterator<Item = &'a str>) -> Option<String> {
    let found = Members::parse(row)?;
    let counts: Option<Vec<&str>> = members.map(|member| found.get(member).map(unquoted)).collect();
    counts.map(|counts| counts.join(","))
}

/// The time in a member of the row.
pub(crate) fn time(row: &str, name: &str) -> Option<u64> {
    time::parse(unquoted(Members::parse(row)?.get(name)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Mapping;

    #[test]
    fn id_modified_time_and_delete_flags_are_read_from_the_top_level_only() {
        let row = r#"{"x":{"id":"no","isDeleted":true},"id":"1329983000000425044",
            "modifiedTime":"2026-11-22T17:25:10.042Z"}"#;
        let expected = RowMeta {
            id: "1329983000000425044".into(),
            modified_time_ms: Some(1_795_368_310_042),
            deleted: false,
        };
        assert_eq!(meta(row), Some(expected));
    }

    #[test]
    fn a_row_without_a_usable_id_has_no_meta() {
        for bad in [
            r#"{"name":"x"}"#,
            r#"{"id":null}"#,
            r#"{"id":{}}"#,
            r#"{"id":"a/b"}"#,
            r#"{"id":""}"#,
            "[]",
            "nonsense",
        ] {
            assert_eq!(meta(bad), None, "{bad}");
        }
    }

    #[test]
    fn ids_may_be_numbers_and_flags_may_be_strings() {
        let read = |row| meta(row).map(|meta| (meta.id, meta.deleted));
        assert_eq!(read(r#"{"id":42,"isTrashed":"true"}"#), Some(("42".into(), true)));
        assert_eq!(read(r#"{"id":42,"isTrashed":"false"}"#), Some(("42".into(), false)));
        assert_eq!(read(r#"{"id":42,"isPresence":false}"#), Some(("42".into(), true)));
        assert_eq!(read(r#"{"id":42,"isPresence":true}"#), Some(("42".into(), false)));
    }

    #[test]
    fn the_detail_wins_unless_it_has_null() {
        let row = overlay(
            r#"{"id":"1","subject":"new","contact":null,"rating":null,"cf":{"cf_a":"1"}}"#,
            r#"{"id":"1","subject":"old","contact":{"id":"9"},"isRead":true,"rating":1,"rank":1}"#,
            |name| name != "rank" && name != "rating",
        );
        assert_eq!(
            row.unwrap(),
            r#"{"id":"1","subject":"new","contact":{"id":"9"},"rating":null,"cf":{"cf_a":"1"},"isRead":true}"#
        );
    }

    #[test]
    fn a_set_member_replaces_the_old_one_and_other_values_pass_through_untouched() {
        let row = r#"{"id":"1","n":1.50,"module":1,"t":"\u0041\u2028"}"#;
        assert_eq!(
            with_member(row, "module", r#""tickets""#).unwrap(),
            r#"{"id":"1","n":1.50,"t":"\u0041\u2028","module":"tickets"}"#
        );
    }

    #[test]
    fn a_child_gets_its_parent_its_kind_and_mapped_members_that_it_lacks() {
        let visibility = Mapping { from: "isPublic", to: "visibility", values: &[("true", "\"public\"")] };
        let author = Mapping { from: "commenter", to: "author", values: &[] };
        let mappings = Box::leak(Box::new([visibility, author]));
        let kind = ChildKind { name: "comment", mappings, ..ChildKind::DEFAULT };
        let kinds = Box::leak(Box::new([kind, ChildKind::DEFAULT]));
        let children = Children { parent: "", parent_key: "ticketId", kinds, together: None };
        let row = r#"{"id":"7","isPublic":true,"commenter":{},"author":1}"#;
        let child = as_child(row, &children, "5", &kind).unwrap();
        let added = r#","ticketId":"5","kind":"comment","visibility":"public"}"#;
        assert_eq!(child, format!("{}{added}", row.strip_suffix('}').unwrap()));
    }

    #[test]
    fn only_a_counter_of_zero_rules_children_out() {
        for (row, expected) in [
            (r#"{"threadCount":"0"}"#, false),
            (r#"{"threadCount":0}"#, false),
            (r#"{"threadCount":"2"}"#, true),
            (r#"{"threadCount":null}"#, true),
            ("{}", true),
        ] {
            assert_eq!(may_have(row, "threadCount"), expected, "{row}");
        }
    }
}
