//! Rows as raw JSON: what is read off them, and how two answers about one record become one row. No tree is built. Pure.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

use crate::table::Kind;
use crate::time;

/// What the reader must know of a row.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub id: String,
    pub modified_time_ms: Option<u64>,
    /// In the recycle bin or gone.
    pub deleted: bool,
}

/// One row or change on its way to the host; the contract's `change`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub table: &'static str,
    pub operation: Operation,
    /// `{"id":"…"}`.
    pub key: String,
    pub before: Option<String>,
    pub after: Option<String>,
    /// `after` holds only the members to replace.
    pub partial: bool,
    pub source: ChangeSource,
    pub source_updated_at_ms: Option<u64>,
    pub as_of_ms: Option<u64>,
    pub id: String,
}

impl Change {
    /// The delete of a record; equal times give equal idempotency keys.
    pub fn delete(
        table: &'static str,
        id: &str,
        before: Option<String>,
        as_of_ms: Option<u64>,
        source: ChangeSource,
    ) -> Self {
        Self {
            table,
            operation: Operation::Delete,
            key: key(id),
            before,
            after: None,
            partial: false,
            source,
            source_updated_at_ms: None,
            as_of_ms,
            id: format!("{id}-deleted-{}", as_of_ms.unwrap_or(0)),
        }
    }
}

/// How a change was found; the contract's `change-source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeSource {
    Snapshot,
    Incremental,
    Webhook,
    Refetch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    Create,
    Update,
    Delete,
}

/// The members of a row that a head is made of; the rest is skipped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartialRow<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    modified_time: Option<&'a RawValue>,
    #[serde(borrow)]
    is_trashed: Option<&'a RawValue>,
    #[serde(borrow)]
    is_deleted: Option<&'a RawValue>,
    /// How the original connector's documentation spells it (`zoho-desk-api.md` §7).
    #[serde(borrow, rename = "IsDel")]
    is_del: Option<&'a RawValue>,
}

impl PartialRow<'_> {
    /// The head; none when there is no usable `id`.
    pub fn head(&self) -> Option<Head> {
        let id = unquoted(self.id?.get());
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_true = |value: Option<&RawValue>| value.is_some_and(|value| unquoted(value.get()) == "true");
        (!id.is_empty() && id.bytes().all(legal)).then(|| Head {
            id: id.to_owned(),
            modified_time_ms: self.modified_time.and_then(|value| time::parse(unquoted(value.get()))),
            deleted: is_true(self.is_trashed) || is_true(self.is_deleted) || is_true(self.is_del),
        })
    }
}

/// Reads a row's head; none when it has no usable `id`.
pub fn head(raw: &str) -> Option<Head> {
    serde_json::from_str::<PartialRow<'_>>(raw).ok()?.head()
}

/// The department a row is of, where it says so.
pub fn department(raw: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row<'a> {
        #[serde(borrow)]
        department_id: Option<&'a RawValue>,
    }
    let id = unquoted(serde_json::from_str::<Row<'_>>(raw).ok()?.department_id?.get());
    (!id.is_empty() && id != "null").then(|| id.to_owned())
}

/// A string's text without escapes, or any other value's text.
fn unquoted(raw: &str) -> &str {
    raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw)
}

/// The primary key of a row as text that is equal for equal rows.
pub fn key(id: &str) -> String {
    format!(r#"{{"id":"{id}"}}"#)
}

/// The idempotency key of a row in this very state.
pub fn change_id(id: &str, row: &str) -> String {
    format!("{id}-{:016x}", xxh3_64(row.as_bytes()))
}

/// The members of an object, in their order.
pub struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(64);
                while let Some(Key(key)) = map.next_key()? {
                    members.push((key, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The detail with what only the list row has: members it lacks, and members it has as null. Only members that `wanted`
/// names are taken from the list row.
pub fn overlay(detail: &str, listed: &str, wanted: impl Fn(&str) -> bool) -> Option<String> {
    let Members(detail_members) = serde_json::from_str(detail).ok()?;
    let Members(mut listed_members) = serde_json::from_str(listed).ok()?;
    listed_members.retain(|(name, _)| wanted(name));
    let in_list = |key: &str| listed_members.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
    let mut writer = Writer::new(detail.len() + listed.len() / 2);
    for (key, value) in &detail_members {
        let value = if value.get() == "null" { in_list(key).unwrap_or(value) } else { value };
        writer.member(key, value.get());
    }
    for (key, value) in &listed_members {
        if !detail_members.iter().any(|(name, _)| name == key) {
            writer.member(key, value.get());
        }
    }
    Some(writer.end())
}

/// The row with one member set, whether or not it had it.
pub fn with_member(row: &str, name: &str, value: &str) -> Option<String> {
    let Members(members) = serde_json::from_str(row).ok()?;
    let mut writer = Writer::new(row.len() + name.len() + value.len() + 8);
    for (key, old) in &members {
        if key != name {
            writer.member(key, old.get());
        }
    }
    writer.member(name, value);
    Some(writer.end())
}

/// The row of one child: what the API sent, its parent and its kind, and the copies its kind asks for.
pub fn as_child(row: &str, parent_key: &str, parent: &str, kind: &Kind) -> Option<String> {
    let Members(members) = serde_json::from_str(row).ok()?;
    let find = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| value.get());
    let mut writer = Writer::new(row.len() + 128);
    for (key, value) in &members {
        if key != parent_key && key != "kind" {
            writer.member(key, value.get());
        }
    }
    writer.member(parent_key, &format!("\"{parent}\""));
    writer.member("kind", &format!("\"{}\"", kind.name));
    for copy in kind.copies {
        if let (Some(value), None) = (find(copy.from), find(copy.to)) {
            let word = copy.words.iter().find(|(raw, _)| *raw == value).map(|(_, word)| *word);
            writer.member(copy.to, word.unwrap_or(value));
        }
    }
    Some(writer.end())
}

/// True when `member` counts at least one, or is not there to tell.
pub fn counts_some(row: &str, member: &str) -> bool {
    let Ok(Members(members)) = serde_json::from_str::<Members<'_>>(row) else { return true };
    let count = members.iter().find(|(key, _)| key == member).map(|(_, value)| unquoted(value.get()));
    count.is_none_or(|count| count.parse::<u64>() != Ok(0))
}

/// What `members` of a row count, as one text; none when it lacks one of them.
pub fn counts<'a>(row: &str, members: impl Iterator<Item = &'a str>) -> Option<String> {
    let Members(found) = serde_json::from_str(row).ok()?;
    let count = |member| found.iter().find(|(key, _)| key == member).map(|(_, value)| unquoted(value.get()));
    members.map(count).collect::<Option<Vec<&str>>>().map(|counts| counts.join(","))
}

/// A member that is a time.
pub fn moment(row: &str, name: &str) -> Option<u64> {
    member(row, name).and_then(|value| time::parse(unquoted(value.get())))
}

/// A member as it stands.
pub fn member<'a>(row: &'a str, name: &str) -> Option<&'a RawValue> {
    let Members(found) = serde_json::from_str(row).ok()?;
    found.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Writes one object from raw values.
struct Writer(String);

impl Writer {
    fn new(capacity: usize) -> Self {
        let mut text = String::with_capacity(capacity + 2);
        text.push('{');
        Self(text)
    }

    fn member(&mut self, key: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        let plain = key.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
        if plain {
            self.0.push('"');
            self.0.push_str(key);
            self.0.push('"');
        } else {
            self.0.push_str(&serde_json::to_string(key).unwrap_or_default());
        }
        self.0.push(':');
        self.0.push_str(value);
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_without_the_rest() {
        let head =
            head(r#"{"x":{"id":"no"},"id":"1329983000000425044","modifiedTime":"2026-11-22T17:25:10.042Z"}"#);
        assert_eq!(
            head.unwrap(),
            Head {
                id: "1329983000000425044".into(),
                modified_time_ms: Some(1_795_368_310_042),
                deleted: false
            }
        );
    }

    #[test]
    fn a_row_without_an_id_is_refused_and_a_numeric_one_kept() {
        for bad in [r#"{"name":"x"}"#, r#"{"id":null}"#, r#"{"id":{}}"#, "[]", "nonsense"] {
            assert_eq!(head(bad), None, "{bad}");
        }
        assert_eq!(
            head(r#"{"id":42,"isTrashed":"true"}"#).map(|head| (head.id, head.deleted)),
            Some(("42".into(), true))
        );
    }

    #[test]
    fn the_detail_wins_unless_it_has_null() {
        let row = overlay(
            r#"{"id":"1","subject":"new","contact":null,"cf":{"cf_a":"1"}}"#,
            r#"{"id":"1","subject":"old","contact":{"id":"9"},"isRead":true,"rank":1}"#,
            |name| name != "rank",
        );
        assert_eq!(
            row.unwrap(),
            r#"{"id":"1","subject":"new","contact":{"id":"9"},"cf":{"cf_a":"1"},"isRead":true}"#
        );
    }

    #[test]
    fn values_pass_through_untouched() {
        let row = with_member(r#"{"id":"1","n":1.50,"t":"\u0041\u2028"}"#, "module", r#""tickets""#).unwrap();
        assert_eq!(row, r#"{"id":"1","n":1.50,"t":"\u0041\u2028","module":"tickets"}"#);
    }

    #[test]
    fn a_change_id_depends_on_key_and_content_only() {
        assert_eq!(change_id("1", "{}"), change_id("1", "{}"));
        assert_ne!(change_id("1", "{}"), change_id("1", "{ }"));
    }
}
