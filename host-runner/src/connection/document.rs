//! A connection file as JSON values, with the line of every key and `${NAME}` replaced from the environment.
//!
//! Collects problems instead of stopping at the first. Knows nothing of what the keys mean.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::policy_file::PolicyFile;
use crate::error::{Error, Result};

/// Where the variables of a file come from.
#[derive(Clone, Copy)]
pub(super) struct Environment<'a> {
    /// Looks up a variable.
    pub(super) lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Says which ones the file may read.
    pub(super) policy: Option<&'a PolicyFile>,
}

/// Names closer than this to an unknown one are suggested, by the Jaro similarity; as `clap` does for flags.
const SIMILARITY_MIN: f64 = 0.7;

/// A file whose syntax is right.
pub(super) struct Document<'a> {
    path: &'a Path,
    /// Values by key, tables nested. Null where the environment lacks a variable.
    pub(super) values: Map<String, Value>,
    /// Lines by dotted key.
    lines: HashMap<String, usize>,
    problems: Vec<Problem>,
    /// The values that `${NAME}` brought into `[config]`.
    pub(super) referenced: Vec<String>,
}

/// One thing that is wrong, at one key.
struct Problem {
    line: usize,
    what: String,
    hint: Option<String>,
}

impl<'a> Document<'a> {
    /// Parses a text. An error of syntax is the only one reported then.
    pub(super) fn parse(path: &'a Path, text: &str, environment: Environment<'_>) -> Result<Self> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = line_of(text, error.span().unwrap_or_default());
            Error::configuration(format!("{}:{line}: not TOML: {}", path.display(), error.message()))
                .hint("text goes in quotes, sections in [brackets]; `init` writes a file to start from")
        })?;
        Ok(Self::of(path, text, table.get_ref(), environment))
    }

    /// Parses the sound part of a text, for its `name` alone. None if the text before the name is broken,
    /// because the name may then be half of another one.
    pub(super) fn parse_for_name(path: &'a Path, text: &str, environment: Environment<'_>) -> Option<Self> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let end = table.get_ref().get("name")?.span().end;
        let is_sound = errors.iter().all(|error| error.span().is_some_and(|span| span.start > end));
        is_sound.then(|| Self::of(path, text, table.get_ref(), environment))
    }

    fn of(path: &'a Path, text: &str, table: &DeTable<'_>, environment: Environment<'_>) -> Self {
        let (lines, problems, referenced) = (HashMap::new(), Vec::new(), Vec::new());
        let mut document = Self { path, values: Map::new(), lines, problems, referenced };
        document.values = Reader { text, environment, document: &mut document }.table("", table);
        document
    }

    /// The value of a dotted key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let mut parts = key.split('.');
        let first = self.values.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    /// The keys of a section, with their lines.
    pub(super) fn lines_of(&self, section: &str) -> impl Iterator<Item = (&str, usize)> {
        let prefix = format!("{section}.");
        self.lines.iter().filter_map(move |(key, line)| Some((key.strip_prefix(&prefix)?, *line)))
    }

    /// Sets a key of a section.
    pub(super) fn set(&mut self, key: &str, value: Value) {
        let Some((section, short)) = key.split_once('.') else { return };
        let section = self.values.entry(section).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(members) = section {
            members.insert(short.to_owned(), value);
        }
    }

    /// Notes a problem at a dotted key; at the first line if the file does not have the key.
    pub(super) fn problem(&mut self, key: &str, what: impl std::fmt::Display, hint: Option<String>) {
        let line = self.lines.get(key).copied().unwrap_or(1);
        self.problems.push(Problem { line, what: format!("{key}: {what}"), hint });
    }

    /// One error that names every problem, in the order of lines.
    pub(super) fn finish(&mut self) -> Result<()> {
        let path = self.path.display();
        self.problems.sort_by_key(|problem| problem.line);
        match self.problems.as_slice() {
            [] => Ok(()),
            [Problem { line, what, hint }] => {
                let error = Error::configuration(format!("{path}:{line}: {what}"));
                Err(Error { hint: hint.clone(), ..error })
            }
            many => {
                let mut message = format!("{path}: {} problems", many.len());
                for Problem { line, what, hint } in many {
                    message.push_str(&format!("\n  {path}:{line}: {what}"));
                    if let Some(hint) = hint {
                        message.push_str(&format!("; {hint}"));
                    }
                }
                Err(Error::configuration(message)
                    .hint("`host-runner init` writes a file in which every key is explained"))
            }
        }
    }
}

/// Turns TOML into JSON.
struct Reader<'r, 'd> {
    text: &'r str,
    environment: Environment<'r>,
    document: &'r mut Document<'d>,
}

impl Reader<'_, '_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) -> Map<String, Value> {
        let mut members = Map::new();
        for (key, value) in table {
            let name = if prefix.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{prefix}.{}", key.get_ref())
            };
            self.document.lines.insert(name.clone(), line_of(self.text, key.span()));
            members.insert(key.get_ref().to_string(), self.value(&name, value.get_ref()));
        }
        members
    }

    fn value(&mut self, name: &str, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => self.substituted(name, text).map_or(Value::Null, Value::from),
            DeValue::Boolean(value) => Value::from(*value),
            DeValue::Integer(value) => match i64::from_str_radix(value.as_str(), value.radix()) {
                Ok(number) => Value::from(number),
                Err(_) => self.unusable(name, "the number is too large"),
            },
            DeValue::Float(value) => {
                let number = value.as_str().parse::<f64>().ok().and_then(Number::from_f64);
                number.map_or_else(|| self.unusable(name, "a finite number is required"), Value::Number)
            }
            DeValue::Datetime(value) => Value::from(value.to_string()),
            DeValue::Array(items) => items.iter().map(|item| self.value(name, item.get_ref())).collect(),
            DeValue::Table(table) => Value::Object(self.table(name, table)),
        }
    }

    fn unusable(&mut self, name: &str, what: &str) -> Value {
        self.document.problem(name, what, None);
        Value::Null
    }

    /// A text with `${NAME}` replaced; `$${` stands for `${`. None, and a problem, if a variable is not set.
    fn substituted(&mut self, name: &str, text: &str) -> Option<String> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(escaped) = before.strip_suffix('$') {
                result.push_str(escaped);
                result.push_str("${");
                rest = after;
                continue;
            }
            result.push_str(before);
            let Some((variable, tail)) = after.split_once('}') else {
                let hint = "write ${NAME}, or $${ for the two characters themselves";
                self.document.problem(name, "`${` without `}`", Some(hint.to_owned()));
                return None;
            };
            if variable == crate::key::VARIABLE {
                let what = format!("{variable} seals every connection, and belongs to none");
                self.document.problem(name, what, Some("take the value from another variable".to_owned()));
                return None;
            }
            if self.environment.policy.is_some_and(|policy| !policy.admits_variable(variable)) {
                let what = format!("the policy lets no connection file read {variable}");
                let hint = "whoever runs this program decides which variables it lists";
                self.document.problem(name, what, Some(hint.to_owned()));
                return None;
            }
            let Some(value) = (self.environment.lookup)(variable) else {
                let what = format!("environment variable {variable} is not set");
                self.document.problem(name, what, Some(format!("set it: export {variable}=…")));
                return None;
            };
            result.push_str(&value);
            if name.starts_with("config.") {
                self.document.referenced.push(value);
            }
            rest = tail;
        }
        result.push_str(rest);
        Some(result)
    }
}

/// The known name most similar to an unknown one, if it is similar enough to be a typing error.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|candidate| (strsim::jaro(name, candidate), candidate));
    let best = scored.max_by(|(left, _), (right, _)| left.total_cmp(right));
    best.filter(|(score, _)| *score > SIMILARITY_MIN).map(|(_, candidate)| candidate)
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    let before = text.get(..span.start).unwrap_or(text);
    before.bytes().filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_a_similar_name_is_suggested() {
        assert_eq!(nearest("conection", ["connection", "sink"]), Some("connection"));
        assert_eq!(nearest("max_row", ["max_bytes", "max_rows", "max_time"]), Some("max_rows"));
        assert_eq!(nearest("wholly different", ["batch", "sink"]), None);
        assert_eq!(nearest("x", []), None);
    }
}
