//! A TOML file read into spanned values, so that every complaint names `path:line` and key.
//!
//! Knows nothing of what the keys mean; [`crate::connection`] does.

use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Result};

/// One file, for messages and substitution.
pub(crate) struct File<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
    /// Looks up an environment variable.
    pub(crate) environment: &'a dyn Fn(&str) -> Option<String>,
}

/// A table of a file with the dotted name it has there.
pub(crate) struct Section<'a> {
    pub(crate) file: &'a File<'a>,
    pub(crate) name: String,
    pub(crate) table: &'a DeTable<'a>,
}

/// A value with its dotted name.
pub(crate) struct Entry<'a> {
    pub(crate) file: &'a File<'a>,
    pub(crate) name: String,
    pub(crate) value: &'a Spanned<DeValue<'a>>,
}

impl File<'_> {
    /// An error at a place of the file.
    pub(crate) fn error(&self, span: Range<usize>, what: impl std::fmt::Display) -> Error {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Error::configuration(format!("{}:{line}: {what}", self.path.display()))
    }

    /// A string with `${NAME}` replaced; `$${` stands for `${`.
    fn substitute(&self, name: &str, span: Range<usize>, text: &str) -> Result<String> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at);
            let after = after.get(2..).unwrap_or_default();
            if let Some(escaped) = before.strip_suffix('$') {
                result.push_str(escaped);
                result.push_str("${");
                rest = after;
                continue;
            }
            result.push_str(before);
            let Some((variable, tail)) = after.split_once('}') else {
                return Err(self
                    .error(span, format!("{name}: `${{` without `}}`"))
                    .hint("write ${NAME}, or $${ for the two characters themselves"));
            };
            let value = (self.environment)(variable).ok_or_else(|| {
                self.error(span.clone(), format!("{name}: environment variable {variable} is not set"))
                    .hint(format!("set it: export {variable}=…"))
            })?;
            result.push_str(&value);
            rest = tail;
        }
        result.push_str(rest);
        Ok(result)
    }
}

impl<'a> Section<'a> {
    /// Refuses keys that are not known, with the nearest that is.
    pub(crate) fn only(&self, known: &[&str]) -> Result<()> {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let complaint = format!("{}: unknown key", self.dotted(name));
                let hint = match nearest(name, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known keys: {}", known.join(", ")),
                };
                return Err(self.file.error(key.span(), complaint).hint(hint));
            }
        }
        Ok(())
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Entry<'a>> {
        let value = self.table.get(key)?;
        Some(Entry { file: self.file, name: self.dotted(key), value })
    }

    /// All entries, by key.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, Entry<'a>)> {
        self.table.iter().map(|(key, value)| {
            let key = key.get_ref().as_ref();
            (key, Entry { file: self.file, name: self.dotted(key), value })
        })
    }

    fn dotted(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

impl<'a> Entry<'a> {
    /// An error at this value.
    pub(crate) fn error(&self, what: impl std::fmt::Display) -> Error {
        self.file.error(self.value.span(), format!("{}: {what}", self.name))
    }

    /// A text, with its references replaced.
    pub(crate) fn text(&self) -> Result<String> {
        match self.value.get_ref().as_str() {
            Some(text) => self.file.substitute(&self.name, self.value.span(), text),
            None => Err(self.error("a text in quotes is needed")),
        }
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&self) -> Result<u64> {
        let number = self.value.get_ref().as_integer();
        let number = number.and_then(|i| u64::from_str_radix(i.as_str(), i.radix()).ok());
        number.ok_or_else(|| self.error("a whole number is needed"))
    }

    /// A list of texts.
    pub(crate) fn texts(&self) -> Result<Vec<String>> {
        let Some(items) = self.value.get_ref().as_array() else {
            return Err(self.error("a list of texts is needed"));
        };
        items.iter().map(|value| self.item(value).text()).collect()
    }

    /// A table within the file.
    pub(crate) fn section(&self) -> Result<Section<'a>> {
        match self.value.get_ref().as_table() {
            Some(table) => Ok(Section { file: self.file, name: self.name.clone(), table }),
            None => Err(self.error(format!("a table is needed: [{}]", self.name))),
        }
    }

    /// The value as JSON, with references replaced.
    pub(crate) fn json(&self) -> Result<Value> {
        Ok(match self.value.get_ref() {
            DeValue::String(_) => Value::from(self.text()?),
            DeValue::Boolean(value) => Value::from(*value),
            DeValue::Integer(value) => i64::from_str_radix(value.as_str(), value.radix())
                .map(Value::from)
                .map_err(|_| self.error("the number is too large"))?,
            DeValue::Float(value) => value
                .as_str()
                .parse::<f64>()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .map(Value::Number)
                .ok_or_else(|| self.error("a finite number is needed"))?,
            DeValue::Datetime(value) => Value::from(value.to_string()),
            DeValue::Array(items) => {
                let items: Result<Vec<Value>> = items.iter().map(|value| self.item(value).json()).collect();
                Value::from(items?)
            }
            DeValue::Table(_) => {
                let mut members = Map::new();
                for (key, entry) in self.section()?.entries() {
                    members.insert(key.to_owned(), entry.json()?);
                }
                Value::Object(members)
            }
        })
    }

    fn item(&self, value: &'a Spanned<DeValue<'a>>) -> Entry<'a> {
        Entry { file: self.file, name: self.name.clone(), value }
    }
}

/// The known word closest to what was typed, if it is close.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|candidate| (distance(word, candidate), *candidate));
    let (best, candidate) = scored.min()?;
    (best <= 2.max(word.len() / 3)).then_some(candidate)
}

/// Edits between two words.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_word_is_suggested_only_when_near() {
        assert_eq!(nearest("conection", &["connection", "sink"]), Some("connection"));
        assert_eq!(nearest("limit", &["limits", "sink"]), Some("limits"));
        assert_eq!(nearest("wholly different", &["limits", "sink"]), None);
    }
}
