//! One key of `[config]`, as the component's JSON Schema declares it.
//!
//! Pure. The annotations are those of `docs/CONTRACT.md`; a schema without them is as good.

use std::collections::HashSet;

use serde_json::Value;

use super::Describe;

/// Groups in the order in which a person needs them; others come last.
const GROUPS: [&str; 4] = ["basic", "reading", "realtime", "advanced"];

/// A key of `[config]`.
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey<'a> {
    /// As written in the file.
    pub name: &'a str,
    /// Whether `open` refuses a configuration without it.
    pub is_required: bool,
    schema: &'a Value,
}

impl Describe {
    /// The keys of `[config]`, by group and in the component's order.
    pub fn keys(&self) -> Vec<ConfigKey<'_>> {
        let properties = self.configuration.get("properties").and_then(Value::as_object);
        let required = self.configuration.get("required").and_then(Value::as_array);
        let required: HashSet<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
        let is_required = |name: &str| required.contains(name);
        let mut keys: Vec<ConfigKey<'_>> = properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| ConfigKey { name, is_required: is_required(name), schema })
            .collect();
        let rank = |key: &ConfigKey<'_>| {
            let group = GROUPS.iter().position(|known| *known == key.group()).unwrap_or(GROUPS.len());
            (group, key.schema.get("x-order").and_then(Value::as_f64).unwrap_or(f64::MAX))
        };
        keys.sort_by(|left, right| {
            let ((left_group, left_order), (right_group, right_order)) = (rank(left), rank(right));
            left_group
                .cmp(&right_group)
                .then(left_order.total_cmp(&right_order))
                .then(left.name.cmp(right.name))
        });
        keys
    }

    /// A key of `[config]`.
    pub fn key(&self, name: &str) -> Option<ConfigKey<'_>> {
        self.keys().into_iter().find(|key| key.name == name)
    }
}

impl<'a> ConfigKey<'a> {
    /// Whether its value must not be printed.
    pub fn is_secret(&self) -> bool {
        self.schema.get("writeOnly").and_then(Value::as_bool) == Some(true)
    }

    /// Keys that belong together have the same.
    pub fn group(&self) -> &'a str {
        self.schema.get("x-group").and_then(Value::as_str).unwrap_or("advanced")
    }

    /// A few words in a language, or in the component's own; empty if it has none.
    pub fn title(&self, language: &str) -> &'a str {
        self.words("title", language)
    }

    /// What the key does, like [`ConfigKey::title`].
    pub fn description(&self, language: &str) -> &'a str {
        self.words("description", language)
    }

    /// The value that holds when the key is left out.
    pub fn default(&self) -> Option<&'a Value> {
        self.schema.get("default").filter(|default| !default.is_null())
    }

    /// The only values it takes, if there are few.
    pub fn choices(&self) -> Option<&'a Vec<Value>> {
        self.schema.get("enum").and_then(Value::as_array)
    }

    /// A value to start from: the default, the first choice, or an empty one of the right type.
    pub fn example(&self) -> Value {
        let first_choice = || self.choices().and_then(|choices| choices.first());
        if let Some(value) = self.default().or_else(first_choice) {
            return value.clone();
        }
        match self.schema.get("type").and_then(Value::as_str) {
            Some("boolean") => Value::from(false),
            Some("integer" | "number") => self.schema.get("minimum").cloned().unwrap_or(Value::from(0)),
            Some("array") => Value::Array(Vec::new()),
            Some("object") => Value::Object(serde_json::Map::new()),
            _ => Value::from(""),
        }
    }

    fn words(&self, member: &str, language: &str) -> &'a str {
        let translated = || self.schema.get("x-i18n")?.get(language)?.get(member)?.as_str();
        let own = || self.schema.get(member)?.as_str();
        translated().or_else(own).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::describe::Describe;

    #[test]
    fn keys_come_by_group_then_order_then_name() {
        let document = json!({"name": "x", "configuration": {"required": ["b"], "properties": {
            "e": {}, "d": {"x-group": "other"}, "c": {"x-group": "reading"},
            "b": {"x-group": "basic", "x-order": 20}, "a": {"x-group": "basic", "x-order": 10}
        }}});
        let describe = Describe::parse(&document.to_string()).expect("a document");
        let keys = describe.keys();
        assert_eq!(keys.iter().map(|key| key.name).collect::<Vec<_>>(), ["a", "b", "c", "e", "d"]);
        assert_eq!(keys.iter().filter(|key| key.is_required).map(|key| key.name).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn words_are_in_the_language_asked_for_or_the_components_own() {
        let document = json!({"name": "x", "configuration": {"properties": {
            "a": {"title": "Color", "description": "Of it.", "x-i18n": {"zh-CN": {"title": "颜色"}}}
        }}});
        let describe = Describe::parse(&document.to_string()).expect("a document");
        let key = describe.key("a").expect("the key");
        assert_eq!((key.title("zh-CN"), key.title("fr"), key.title("en")), ("颜色", "Color", "Color"));
        assert_eq!(key.description("zh-CN"), "Of it.");
    }
}
