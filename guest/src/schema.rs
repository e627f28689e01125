//! The JSON Schema of a table's rows in either shape: documented columns, and the portal's custom fields.
//! Pure.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config::Shape;
use crate::flat;
use crate::table::{Table, Type};

/// One custom field as `GET /organizationFields` lists it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Field {
    pub(crate) api_name: Option<String>,
    pub(crate) display_label: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) is_custom_field: Option<Value>,
    pub(crate) allowed_values: Option<Vec<Value>>,
}

impl Field {
    fn is_custom(&self) -> bool {
        matches!(&self.is_custom_field, Some(Value::Bool(true)))
            || self.is_custom_field.as_ref().and_then(Value::as_str) == Some("true")
    }

    /// The key of a custom field in a row's `cf`; none for other fields.
    pub(crate) fn custom_key(&self) -> Option<String> {
        self.key().filter(|_| self.is_custom())
    }

    /// The key in a row's `cf`: `cf_` and the API name; some portals list the name with the prefix.
    fn key(&self) -> Option<String> {
        let name = self.api_name.as_deref().filter(|name| !name.is_empty())?;
        Some(if name.starts_with("cf_") { name.to_owned() } else { format!("cf_{name}") })
    }
}

/// The schema of `table` with the custom `fields` of its module.
pub(crate) fn of(table: &Table, fields: &[Field], shape: Shape) -> Value {
    let columns = match shape {
        Shape::Document => table.columns.iter().map(|column| (column.name.to_owned(), column.kind)).collect(),
        Shape::Flat => flat::columns(table),
    };
    let mut properties: Map<String, Value> =
        columns.into_iter().map(|(name, kind)| (name, documented(kind))).collect();
    for field in fields {
        let Some(key) = field.custom_key() else { continue };
        let mut property = custom(field);
        match shape {
            Shape::Document if properties.contains_key(&key) => continue,
            Shape::Document => {
                property["x-path"] = json!(format!("/cf/{key}"));
                properties.insert(key, property);
            }
            Shape::Flat => {
                let name = flat::custom_name(&key, |name| properties.contains_key(name)).into_owned();
                properties.insert(name, property);
            }
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "title": table.title,
        "properties": properties,
        "required": table.key,
        "additionalProperties": true,
    })
}

fn documented(kind: Type) -> Value {
    match kind {
        Type::Id => json!({"type": ["string", "null"], "x-type": "id"}),
        Type::Text => json!({"type": ["string", "null"]}),
        Type::Html => json!({"type": ["string", "null"], "contentMediaType": "text/html"}),
        Type::Integer => json!({"type": ["integer", "null"]}),
        Type::Number => json!({"type": ["number", "null"]}),
        Type::Boolean => json!({"type": ["boolean", "null"]}),
        Type::Time => json!({"type": ["string", "null"], "format": "date-time"}),
        Type::Date => json!({"type": ["string", "null"], "format": "date"}),
        Type::Object => json!({"type": ["object", "null"]}),
        Type::Array => json!({"type": ["array", "null"]}),
    }
}

/// A custom field's type (`zoho-desk-api.md` §4.8); its values arrive as strings or null (§3.3).
fn custom(field: &Field) -> Value {
    let kind = field.kind.as_deref().unwrap_or("Text").to_ascii_lowercase();
    let mut property = match kind.as_str() {
        "number" => documented(Type::Integer),
        "percent" | "decimal" | "currency" => documented(Type::Number),
        "boolean" => documented(Type::Boolean),
        "date" => documented(Type::Date),
        "datetime" => documented(Type::Time),
        "email" => json!({"type": ["string", "null"], "format": "email"}),
        "url" => json!({"type": ["string", "null"], "format": "uri"}),
        "lookup" => documented(Type::Id),
        _ => documented(Type::Text),
    };
    property["x-type"] = json!(kind);
    if let Some(label) = &field.display_label {
        property["title"] = json!(label);
    }
    // Not `enum`: only the layouts list all values, and rows keep values that were removed since.
    let values: Vec<&str> = field
        .allowed_values
        .iter()
        .flatten()
        .filter_map(|value| value.as_str().or_else(|| value.get("value").and_then(Value::as_str)))
        .collect();
    if !values.is_empty() {
        property["x-values"] = json!(values);
    }
    property
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;

    #[test]
    fn documented_columns_and_custom_fields_have_types_and_paths() {
        let fields: Vec<Field> = serde_json::from_str(
            r#"[{"apiName":"cf_severity","displayLabel":"Severity","type":"Picklist","isCustomField":true,
                 "allowedValues":[{"value":"Low"},{"value":"High"}]},
                {"apiName":"region","type":"Text","isCustomField":"true"},
                {"apiName":"cf_cost","type":"CURRENCY","isCustomField":true},
                {"apiName":"subject","type":"Text","isCustomField":false}]"#,
        )
        .unwrap();
        let schema = of(tables::find("tickets").unwrap(), &fields, Shape::Document);
        let property = |name: &str| &schema["properties"][name];
        assert_eq!(property("cf_severity")["x-path"], "/cf/cf_severity");
        assert_eq!(property("cf_severity")["x-values"], json!(["Low", "High"]));
        assert_eq!(property("cf_region")["type"], json!(["string", "null"]));
        assert_eq!(property("cf_cost")["type"], json!(["number", "null"]));
        assert_eq!(property("ticketNumber")["type"], json!(["integer", "null"]));
        assert_eq!(property("createdTime")["format"], "date-time");
        assert!(property("cf_subject").is_null());
        let flat = of(tables::find("tickets").unwrap(), &fields, Shape::Flat);
        let property = |name: &str| &flat["properties"][name];
        assert_eq!(property("cf_cost")["type"], json!(["number", "null"]));
        assert!(property("cf_cost")["x-path"].is_null() && property("cf").is_null());
        assert_eq!(property("contact__account__id")["x-type"], "id");
    }
}
