//! `docs/configuration.md`: its table of this connector's keys is made from the schema, and compared here.

use serde_json::Value;

use super::{document, generated};

/// Lines between which the table stands.
const BEGIN: &str = "<!-- generated: keys of zoho-desk -->\n";
const END: &str = "<!-- end generated -->\n";

fn table() -> String {
    let mut text = String::from("\n| key | default | values | meaning |\n|---|---|---|---|\n");
    let configuration = &document()["configuration"];
    let required = configuration["required"].as_array().unwrap();
    for (name, schema) in configuration["properties"].as_object().unwrap() {
        let default = match schema.get("default") {
            _ if required.iter().any(|key| key == name) => "required".to_owned(),
            Some(default) => format!("`{default}`"),
            None => "–".to_owned(),
        };
        let words = |member: &str| schema[member].as_str().unwrap();
        let (title, description) = (words("title"), words("description"));
        text.push_str(&format!(
            "| `{name}` | {default} | {} | **{title}.** {description} |\n",
            values(schema)
        ));
    }
    text.push('\n');
    text
}

fn values(schema: &Value) -> String {
    let at_most = schema.get("maxItems").map(|max| format!(", at most {max}")).unwrap_or_default();
    match (schema["type"].as_str().unwrap(), schema.get("enum")) {
        (_, Some(Value::Array(choices))) => {
            choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ")
        }
        ("array", _) if schema["items"].get("enum").is_some() => "a list of tables and groups".to_owned(),
        ("array", _) => format!("a list of texts{at_most}"),
        ("boolean", _) => "`true`, `false`".to_owned(),
        ("integer", _) => format!("a number from 0 to {}", schema["maximum"]),
        _ if schema.get("format").is_some() => "a URL of scheme, host and port".to_owned(),
        _ if schema["pattern"] == "^[0-9]+$" => "digits".to_owned(),
        _ => "text".to_owned(),
    }
}

#[test]
fn the_page_lists_every_key_of_the_connector_as_it_is() {
    generated::compare("configuration.md", BEGIN, Some(END), &table());
}
