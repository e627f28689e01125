//! The members of a row's JSON: one scan that finds the values of columns, and the merge of partial rows.
//!
//! Values stay slices of the text, so that nothing is lost or rewritten. Knows neither columns' types nor
//! databases.

use std::collections::HashMap;
use std::fmt;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Which members of a row go to which slots: a tree of member names.
#[derive(Clone, Debug, Default)]
pub(super) struct MemberPaths {
    /// The names are the schema's; those of rows are only looked up, so that they cannot make it slow.
    index: HashMap<String, usize, FxBuildHasher>,
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    slots: Vec<usize>,
    children: Option<Box<MemberPaths>>,
}

impl MemberPaths {
    /// Slot `i` takes the value at `paths[i]`.
    pub(super) fn new<'a>(paths: impl Iterator<Item = &'a [String]>) -> Self {
        let mut root = Self::default();
        for (slot, path) in paths.enumerate() {
            root.add(path, slot);
        }
        root
    }

    fn add(&mut self, path: &[String], slot: usize) {
        let Some((first, rest)) = path.split_first() else { return };
        let next = self.nodes.len();
        let at = *self.index.entry(first.clone()).or_insert(next);
        if at == next {
            self.nodes.push(Node::default());
        }
        let Some(node) = self.nodes.get_mut(at) else { return };
        if rest.is_empty() {
            node.slots.push(slot);
        } else {
            node.children.get_or_insert_default().add(rest, slot);
        }
    }
}

/// Fills the slots from a row, which must be one JSON object. Slots whose member is missing become none.
///
/// Runs for every row: it allocates nothing, and skips members that no slot takes.
pub(super) fn scan<'de>(
    row: &'de str,
    paths: &MemberPaths,
    slots: &mut [Option<&'de str>],
) -> serde_json::Result<()> {
    slots.fill(None);
    scan_into(row, paths, slots)
}

fn scan_into<'de>(
    row: &'de str,
    paths: &MemberPaths,
    slots: &mut [Option<&'de str>],
) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_str(row);
    deserializer.deserialize_map(Scan { paths, slots })?;
    deserializer.end()
}

struct Scan<'p, 's, 'de> {
    paths: &'p MemberPaths,
    slots: &'s mut [Option<&'de str>],
}

impl<'de> Visitor<'de> for Scan<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(found) = map.next_key_seed(Find(&self.paths.index))? {
            let Some(node) = found.and_then(|at| self.paths.nodes.get(at)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let raw = map.next_value::<&RawValue>()?.get();
            for slot in &node.slots {
                if let Some(slot) = self.slots.get_mut(*slot) {
                    *slot = Some(raw);
                }
            }
            if let Some(children) = &node.children
                && raw.starts_with('{')
            {
                scan_into(raw, children, self.slots).map_err(A::Error::custom)?;
            }
        }
        Ok(())
    }
}

/// Looks a member's name up without copying it.
struct Find<'p>(&'p HashMap<String, usize, FxBuildHasher>);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        // As bytes: half of a surrogate pair is legal in a name, and no Unicode.
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Find<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(std::str::from_utf8(name).ok().and_then(|name| self.0.get(name).copied()))
    }
}

/// The row with the members of `partial` replaced or added; the others keep their text and their place.
pub(super) fn merge(row: &str, partial: &str) -> serde_json::Result<String> {
    let mut merged: IndexMap<String, &RawValue> = serde_json::from_str(row)?;
    merged.extend(serde_json::from_str::<IndexMap<String, &RawValue>>(partial)?);
    serde_json::to_string(&merged)
}

#[cfg(test)]
mod tests {
    use super::{MemberPaths, merge, scan};

    fn check(paths: &[&str], row: &str) -> Result<Vec<Option<String>>, String> {
        let paths: Vec<Vec<String>> =
            paths.iter().map(|path| path.split('/').map(str::to_owned).collect()).collect();
        let tree = MemberPaths::new(paths.iter().map(Vec::as_slice));
        let mut slots = vec![None; paths.len()];
        scan(row, &tree, &mut slots).map_err(|error| error.to_string())?;
        Ok(slots.into_iter().map(|slot| slot.map(str::to_owned)).collect())
    }

    #[test]
    fn members_are_found_at_any_depth_and_twice() {
        let row = r#"{"a": 1, "x": [true], "cf": {"cf_b": "é\"", "z": {}}, "c": {"d": null}}"#;
        let found = check(&["a", "cf/cf_b", "cf", "c/d", "missing", "a", "cf/a"], row);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            Ok(vec![
                some("1"),
                some(r#""é\"""#),
                some(r#"{"cf_b": "é\"", "z": {}}"#),
                some("null"),
                None,
                some("1"),
                None
            ])
        );
    }

    #[test]
    fn a_parent_that_is_no_object_leaves_its_children_empty() {
        assert_eq!(check(&["cf/a"], r#"{"cf": null}"#), Ok(vec![None]));
        assert_eq!(check(&["cf/a"], r#"{"cf": [{"a": 1}]}"#), Ok(vec![None]));
    }

    #[test]
    fn text_that_is_not_one_object_is_an_error_and_deep_nesting_is_not() {
        for row in ["", "[]", "1", "{", "{\"a\":}", "{} {}", "nonsense", "{\"a\":1"] {
            assert!(check(&["a"], row).is_err(), "{row}");
        }
        let deep = format!("{{\"x\":{}1{},\"a\":2}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(check(&["a"], &deep), Ok(vec![Some("2".into())]));
    }

    #[test]
    fn escaped_member_names_are_the_same_names() {
        assert_eq!(check(&["a/b"], r#"{"\u0061": {"b": 1}}"#), Ok(vec![Some("1".into())]));
        assert_eq!(check(&["a"], r#"{"\ud800": 1, "a": 2}"#), Ok(vec![Some("2".into())]));
    }

    #[test]
    fn a_partial_row_replaces_its_members_and_keeps_the_text_of_the_others() {
        let merged = merge(r#"{"a": 1.50, "b": {"x" : 1}}"#, r#"{"b":2,"c\n":[3]}"#);
        assert_eq!(merged.expect("merged"), r#"{"a":1.50,"b":2,"c\n":[3]}"#);
        assert!(merge("[]", "{}").is_err());
        assert!(merge("{}", "nope").is_err());
    }
}
