//! JSON objects as ordered members with raw values: one reader and one writer. Values are copied byte by
//! byte, never parsed: numbers keep their digits, strings their escapes. Pure; knows no row.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Whether a member has its default: serde leaves such members out of what is kept.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The members of an object, in their order.
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// None when `object` is not a JSON object.
    pub(crate) fn parse(object: &'a str) -> Option<Self> {
        serde_json::from_str(object).ok()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names with raw values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (&**name, value.get()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                // Rows have 20 to 80 members; growing the vector is measurable.
                let mut members = Vec::with_capacity(64);
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Writes one object from raw values.
pub(crate) struct Writer(String);

impl Writer {
    /// `capacity` is the expected length of the object in bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        let mut text = String::with_capacity(capacity + 2);
        text.push('{');
        Self(text)
    }

    /// Appends a member; `value` is raw JSON.
    pub(crate) fn member(&mut self, name: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        let is_plain = name.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
        if is_plain {
            self.0.push('"');
            self.0.push_str(name);
            self.0.push('"');
        } else {
            self.0.push_str(&serde_json::to_string(name).unwrap_or_default());
        }
        self.0.push(':');
        self.0.push_str(value);
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// The text of a string without its quotes (escapes stay), or the raw text of any other value.
pub(crate) fn unquoted(raw: &str) -> &str {
    raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_copied_byte_by_byte_in_its_order() {
        let object = r#"{"z":1.50,"a":"\u0041","n\"ame":{"deep":[1, 2]}}"#;
        let mut writer = Writer::new(0);
        Members::parse(object).unwrap().iter().for_each(|(name, value)| writer.member(name, value));
        assert_eq!(writer.end(), object);
        assert_eq!(Writer::new(0).end(), "{}");
    }

    #[test]
    fn members_are_found_by_their_unescaped_names() {
        let members = Members::parse(r#"{"a":null,"\u0062":"x"}"#).unwrap();
        assert_eq!(
            (members.get("a"), members.get("b"), members.get("c")),
            (Some("null"), Some(r#""x""#), None)
        );
        assert!(members.has("a") && !members.has("c"));
    }

    #[test]
    fn only_an_object_has_members() {
        for other in ["[]", "1", "null", "nonsense", r#"{"a":1"#] {
            assert!(Members::parse(other).is_none(), "{other}");
        }
    }
}
