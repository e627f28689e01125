//! `init`: a commented connection file, made from the component's own schema.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Context;
use crate::describe::{Describe, group_of, is_secret};
use crate::error::{Error, Result};
use crate::exit::Exit;

pub(super) const HELP: &str = "\
Examples:
  host-runner init                  print one
  host-runner init -o acme.toml     write one; its name becomes `acme`";

/// Comments are wrapped to be read beside code.
const COMMENT_WIDTH: usize = 96;

#[derive(Args, Debug)]
pub(super) struct Init {
    /// Where to write it; default: stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the file
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(init: &Init, context: &Context) -> Result<Exit> {
    let describe = context.describe().await?;
    let Some(path) = &init.output else {
        context.printer.raw(&file(&describe, "acme"));
        return Ok(Exit::Success);
    };
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let text = file(&describe, stem.as_deref().unwrap_or("acme"));
    let mut options = OpenOptions::new();
    options.write(true).truncate(true);
    let options = if init.force { options.create(true) } else { options.create_new(true) };
    let failed = |error: std::io::Error| {
        let error_text = format!("{}: {error}", path.display());
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::usage(error_text).hint("choose another name, or overwrite it with --force")
            }
            _ => Error::usage(error_text),
        }
    };
    let mut output = options.open(path).map_err(failed)?;
    output.write_all(text.as_bytes()).map_err(failed)?;
    if context.printer.json {
        context.printer.value(&json!({ "written": path }));
    } else {
        context.printer.note(&format!("written: {}", path.display()));
        context.printer.note(&format!("next: fill it in, then: host-runner check -c {}", path.display()));
    }
    Ok(Exit::Success)
}

fn file(describe: &Describe, name: &str) -> String {
    let mut text = format!("# {} {}: {}\n", describe.title, describe.version, describe.summary);
    text.push_str(
        "# ${NAME} takes a value from the environment; KEY_file = \"path\" takes it from a file.\n",
    );
    text.push_str("# Check it with: host-runner check -c FILE\n\n");
    text.push_str(&format!("name = {}\n", toml(&Value::from(name))));
    text.push_str("# component = \"connector.wasm\"\n\n[config]\n");
    let required = describe.configuration.get("required").and_then(Value::as_array);
    let mut last_group = "";
    for (key, schema) in describe.ordered_properties() {
        if group_of(schema) != last_group {
            last_group = group_of(schema);
            text.push_str(&format!("\n# --- {last_group} ---\n"));
        }
        let is_required = required.is_some_and(|list| list.iter().any(|item| item == key));
        text.push_str(&property(describe, key, schema, is_required));
    }
    text.push_str(&format!(
        "\n[sink]\n# sqlite: a database file; jsonl: a folder of JSON lines\nkind = \"sqlite\"\npath = {}\n\
         # deletes = \"hard\"  # remove rows that are gone; default: keep them, marked in _deleted\n\n\
         [limits]\n# memory_mib = 256\n# call_timeout_s = 120\n# max_changes = 2000\n# wait_max_s = 300\n\n\
         [egress]\n# The component reaches the hosts it declares, over https. Exceptions, by exact host and port:\n\
         # allow = [\"127.0.0.1:8080\"]\n# ca_file = \"ca.pem\"\n",
        toml(&Value::from(format!("{name}.db")))
    ));
    text
}

fn property(describe: &Describe, key: &str, schema: &Value, required: bool) -> String {
    let field = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut text = String::from("\n");
    let heading = match (field("title"), required) {
        ("", true) => "required".to_owned(),
        ("", false) => String::new(),
        (title, true) => format!("{title} (required)"),
        (title, false) => title.to_owned(),
    };
    for paragraph in [heading.as_str(), field("description")] {
        for line in paragraph.lines().flat_map(wrapped) {
            text.push_str(format!("# {line}").trim_end());
            text.push('\n');
        }
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values.iter().map(toml).collect();
        for line in wrapped(&format!("One of: {}", values.join(", "))) {
            text.push_str(&format!("# {line}\n"));
        }
    }
    let value = if is_secret(schema) {
        toml(&Value::from(format!("${{{}}}", variable(&describe.name, key))))
    } else {
        toml(&placeholder(schema))
    };
    let mark = if required { "" } else { "# " };
    text.push_str(&format!("{mark}{} = {value}\n", bare_or_quoted(key)));
    text
}

/// A value to start from: the default, the first choice, or an empty one of the right type.
fn placeholder(schema: &Value) -> Value {
    if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
        return default.clone();
    }
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("boolean") => json!(false),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(0)),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!(""),
    }
}

/// `some-connector`, `client_secret` → `SOME_CONNECTOR_CLIENT_SECRET`.
fn variable(component: &str, key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("{component}_{key}").chars().map(plain).collect()
}

/// JSON as TOML writes it on one line.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) => {
            let pairs = members.iter().map(|(key, item)| format!("{} = {}", bare_or_quoted(key), toml(item)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Null => "\"\"".to_owned(),
        Value::String(text) => {
            // JSON's escapes are TOML's, but for the character DEL, which TOML wants escaped.
            Value::from(text.as_str()).to_string().replace('\u{7f}', "\\u007F")
        }
        other => other.to_string(),
    }
}

fn bare_or_quoted(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !key.is_empty() && key.bytes().all(bare) { key.to_owned() } else { toml(&Value::from(key)) }
}

fn wrapped(line: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > COMMENT_WIDTH {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::file;
    use crate::describe::Describe;

    fn describe() -> Describe {
        let document = json!({
            "name": "some-connector", "title": "Some", "version": "1.0.0", "summary": "A \"source\"",
            "configuration": {
                "required": ["id", "secret"],
                "properties": {
                    "extra": {"title": "Extra", "x-group": "advanced", "x-order": 1, "type": "array", "default": ["a"]},
                    "secret": {"title": "Secret", "x-group": "basic", "x-order": 2, "writeOnly": true},
                    "id": {"title": "Id", "description": "The number\nof the account.", "x-group": "basic", "x-order": 1, "type": "string"},
                    "mode": {"x-group": "reading", "enum": ["fast", "slow"], "type": "string"}
                }
            }
        });
        Describe::parse(&document.to_string()).expect("a document")
    }

    #[test]
    fn required_keys_are_open_secrets_are_references_and_the_rest_is_commented() {
        let text = file(&describe(), "acme");
        assert!(text.contains("\n# Id (required)\n# The number\n# of the account.\nid = \"\"\n"), "{text}");
        assert!(text.contains("\nsecret = \"${SOME_CONNECTOR_SECRET}\"\n"), "{text}");
        assert!(text.contains("\n# One of: \"fast\", \"slow\"\n# mode = \"fast\"\n"), "{text}");
        assert!(text.contains("\n# extra = [\"a\"]\n"), "{text}");
        let at = |needle: &str| text.find(needle).expect(needle);
        assert!(at("id = ") < at("secret = ") && at("secret = ") < at("mode = "), "{text}");
    }

    #[test]
    fn what_is_written_can_be_read_even_with_everything_uncommented() {
        let text = file(&describe(), "acme");
        toml::de::DeTable::parse(&text).expect("TOML");
        let key_value = |line: &&str| {
            line.strip_prefix("# ").is_some_and(|rest| rest.contains(" = ") && !rest.contains("${NAME}"))
        };
        let open: Vec<&str> =
            text.lines().map(|line| if key_value(&line) { &line[2..] } else { line }).collect();
        toml::de::DeTable::parse(&open.join("\n")).expect("TOML when uncommented");
    }
}
