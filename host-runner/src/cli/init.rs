//! `init`: writes a commented connection file from the component's schema and the runner's table of keys.
//!
//! The component's words stay within their comment or their value: they add no line, no key and no reference.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Context;
use crate::boundary::line;
use crate::connection::is_name;
use crate::connection::keys::{DefaultValue, HonoredBy, KEYS, Key};
use crate::describe::{ConfigKey, Describe};
use crate::error::{Error, Result};
use crate::exit::Exit;

pub(super) const HELP: &str = "\
Examples:
  host-runner init                  print one
  host-runner init -o acme.toml     write one; its name becomes `acme`";

/// The name of a connection whose file has none that can be one.
const NAME: &str = "acme";
/// Columns of a comment, without its `# `.
const COMMENT_WIDTH: usize = 96;

#[derive(Args, Debug)]
pub(super) struct Init {
    /// File to write; default: stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(init: &Init, context: &Context) -> Result<Exit> {
    let describe = context.describe().await?;
    let Some(path) = &init.output else {
        let text = file(&describe, NAME);
        match context.printer.json {
            true => context.printer.value(&json!({ "connection_file": text })),
            false => context.printer.text(&text),
        }
        return Ok(Exit::Success);
    };
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = stem.filter(|stem| is_name(stem)).unwrap_or_else(|| NAME.to_owned());
    let text = file(&describe, &name);
    let mut options = OpenOptions::new();
    // It may come to hold secrets.
    options.write(true).truncate(true).mode(0o600);
    let options = if init.force { options.create(true) } else { options.create_new(true) };
    let failed = |error: std::io::Error| {
        let error_text = format!("{}: {error}", path.display());
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::usage(error_text).hint("choose another name, or overwrite it with --force")
            }
            std::io::ErrorKind::NotFound => Error::usage(error_text).hint("create its folder first"),
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
    let mut text = comment(&line(&format!("{} {}: {}", describe.title, describe.version, describe.summary)));
    text.push_str(
        "# ${NAME} takes a value from the environment; KEY_file = \"path\" takes it from a file.\n\
         # A key behind # shows its default or an example. Check the file with: host-runner check -c FILE\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section() != section {
            if section.is_empty() {
                text.push_str(&config(describe));
            }
            section = key.section();
            text.push_str(&format!("\n[{section}]\n"));
        }
        text.push_str(&runner_key(key, name));
    }
    text
}

/// A key of the runner, commented out unless it is required.
fn runner_key(key: &Key, name: &str) -> String {
    let (mark, value, note) = match key.default {
        DefaultValue::Required => ("", Value::from(name), String::new()),
        DefaultValue::Value(default) => ("# ", key.kind.value(default), String::new()),
        DefaultValue::Absent { means, example } => {
            ("# ", key.kind.value(example), format!(" Default: {means}."))
        }
    };
    let mut text = comment(key.text);
    let honored_by = match key.honored_by {
        HonoredBy::All => String::new(),
        some => format!(" Honored by: {}.", some.commands()),
    };
    text.push_str(&comment(&format!("Values: {}.{note}{honored_by}", key.kind.range())));
    text.push_str(&format!("{mark}{} = {}\n", key.short_name(), toml(&value)));
    format!("\n{text}")
}

/// `[config]`: the component's keys, by group.
fn config(describe: &Describe) -> String {
    let mut text = String::from("\n[config]\n");
    let mut group = "";
    for key in describe.keys() {
        if key.group() != group {
            group = key.group();
            text.push_str(&format!("\n# --- {} ---\n", line(group)));
        }
        text.push_str(&config_key(&describe.name, &key));
    }
    text
}

/// A key of the component, commented out unless it is required. A secret is a reference to the environment.
fn config_key(component: &str, key: &ConfigKey<'_>) -> String {
    let heading = match (key.title("en"), key.is_required) {
        ("", true) => "required".to_owned(),
        (title, true) => format!("{title} (required)"),
        (title, false) => title.to_owned(),
    };
    let mut text = String::from("\n");
    text.push_str(&comment(&heading));
    text.push_str(&comment(key.description("en")));
    if let Some(choices) = key.choices() {
        let choices: Vec<String> = choices.iter().map(toml).collect();
        text.push_str(&comment(&format!("One of: {}", choices.join(", "))));
    }
    let value = if key.is_secret() {
        format!("\"${{{}}}\"", variable(component, key.name))
    } else {
        toml(&key.example())
    };
    let mark = if key.is_required { "" } else { "# " };
    text.push_str(&format!("{mark}{} = {value}\n", bare_or_quoted(key.name)));
    text
}

/// Lines of a comment, wrapped; nothing for no text.
fn comment(text: &str) -> String {
    let lines = text.lines().flat_map(|text| wrapped(&line(text)));
    lines.map(|line| format!("{}\n", format!("# {line}").trim_end())).collect()
}

/// `some-connector`, `client_secret` → `SOME_CONNECTOR_CLIENT_SECRET`. Never the installation's key: a
/// connection file cannot take that.
fn variable(component: &str, key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("{component}_{key}").chars().map(plain).collect()
}

/// JSON as TOML on one line; `${` stands for itself.
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
        Value::String(text) => quoted(&text.replace("${", "$${")),
        other => other.to_string(),
    }
}

/// A TOML string. JSON has the same escapes, and leaves DEL and the control characters after it as they are.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in Value::from(text).to_string().chars() {
        if c.is_control() { quoted.push_str(&format!("\\u{:04X}", u32::from(c))) } else { quoted.push(c) }
    }
    quoted
}

fn bare_or_quoted(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !key.is_empty() && key.bytes().all(bare) { key.to_owned() } else { quoted(key) }
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
    use crate::connection::Connection;
    use crate::connection::keys::KEYS;
    use crate::describe::Describe;
    use crate::sinks::KINDS;

    fn describe() -> Describe {
        let document = json!({
            "name": "some-connector", "title": "Some", "version": "1.0.0", "summary": "A \"source\"",
            "configuration": {
                "required": ["id", "secret"],
                "properties": {
                    "extra": {"title": "Extra", "x-group": "advanced", "type": "array", "default": ["a"]},
                    "secret": {"title": "Secret", "x-group": "basic", "x-order": 2, "writeOnly": true},
                    "id": {"title": "Id", "description": "The number\nof the account.", "x-group": "basic",
                           "x-order": 1, "type": "string"},
                    "mode": {"x-group": "reading", "enum": ["fast", "slow"], "type": "string"}
                }
            }
        });
        Describe::parse(&document.to_string()).expect("a document")
    }

    #[test]
    fn required_keys_are_set_secrets_are_references_and_other_keys_are_comments() {
        let text = file(&describe(), "acme");
        assert!(text.contains("\nname = \"acme\"\n"), "{text}");
        assert!(text.contains("\n# Id (required)\n# The number\n# of the account.\nid = \"\"\n"), "{text}");
        assert!(text.contains("\nsecret = \"${SOME_CONNECTOR_SECRET}\"\n"), "{text}");
        assert!(text.contains("\n# One of: \"fast\", \"slow\"\n# mode = \"fast\"\n"), "{text}");
        assert!(text.contains("\n# extra = [\"a\"]\n"), "{text}");
        assert!(text.contains("\n[batch]\n"), "{text}");
        assert!(
            text.contains(
                "\n# Values: 64KiB to 1GiB. Honored by: commands that read tables.\n# max_bytes = \"8MiB\"\n"
            ),
            "{text}"
        );
        let at = |needle: &str| text.find(needle).expect(needle);
        assert!(at("id = ") < at("secret = ") && at("secret = ") < at("mode = "), "{text}");
        let long = text.lines().find(|line| line.chars().count() > 110);
        assert_eq!(long, None);
    }

    #[test]
    fn the_words_of_a_component_add_no_key_and_no_reference() {
        let evil = "x ---\nstolen_file = \"/etc/passwd\"\r\u{1b}[2J\u{9b}2J\n# ---";
        let document = json!({
            "name": "host-runner", "title": evil, "version": evil, "summary": evil,
            "configuration": {"required": ["id", "key", "a\nb"], "properties": {
                "id": {"title": evil, "description": evil, "x-group": evil, "default": "${HOME}\u{9b}"},
                "key": {"writeOnly": true},
                "a\nb": {"default": {"c${HOME}": ["${HOME}"]}, "enum": ["${HOME}", evil]},
            }},
        });
        let text = file(&Describe::parse(&document.to_string()).expect("a document"), "acme");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("acme.toml");
        std::fs::write(&path, text.replace("${HOST_RUNNER_KEY}", "k")).expect("written");
        let connection = Connection::load(&path, &|_| None).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut keys: Vec<&String> = connection.config.keys().collect();
        keys.sort();
        assert_eq!(keys, ["a\nb", "id", "key"], "{text}");
        assert_eq!(connection.config["id"], "${HOME}\u{9b}");
        assert_eq!(connection.config["a\nb"], json!({"c${HOME}": ["${HOME}"]}));

        // The name of a variable that a component can choose is never that of the installation's key.
        std::fs::write(&path, &text).expect("written");
        let refused = Connection::load(&path, &|_| Some("stolen".to_owned())).expect_err("refused");
        assert!(refused.message.contains("config.key: HOST_RUNNER_KEY"), "{refused}");
    }

    #[test]
    fn the_file_is_accepted_as_it_is_and_with_every_comment_turned_into_a_key() {
        let text = file(&describe(), "acme");
        let is_key = |line: &str| {
            line.strip_prefix("# ").is_some_and(|rest| {
                rest.split_once(" = ").is_some_and(|(key, _)| !key.contains([' ', '$', '.']))
            })
        };
        let open: Vec<&str> = text.lines().map(|line| if is_key(line) { &line[2..] } else { line }).collect();
        let keys = open.iter().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
        assert_eq!(keys, KEYS.len() + 4, "every key of the runner, and the component's four");
        // The default kind of sink refuses the keys of other kinds.
        let is_of_another_kind = |line: &&str| {
            let key = line.split(" = ").next().unwrap_or_default();
            KINDS.iter().any(|kind| kind.own_keys.contains(&key)) && !KINDS[0].own_keys.contains(&key)
        };
        let open: Vec<&str> = open.into_iter().filter(|line| !is_of_another_kind(line)).collect();
        let folder = tempfile::tempdir().expect("a folder");
        for text in [open.join("\n"), text.clone()] {
            let path = folder.path().join("acme.toml");
            std::fs::write(&path, &text).expect("written");
            let environment = |name: &str| (name == "SOME_CONNECTOR_SECRET").then(|| "s".to_owned());
            let connection =
                Connection::load(&path, &environment).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!((connection.name.as_str(), connection.config["secret"].as_str()), ("acme", Some("s")));
        }
    }
}
