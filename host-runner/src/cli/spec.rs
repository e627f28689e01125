//! `spec`: what the component says of itself, for people or as it is.

use clap::Args;
use serde_json::Value;

use super::Context;
use crate::describe::{Describe, is_secret};
use crate::error::Result;
use crate::exit::Exit;
use crate::report::columns;

pub(super) const HELP: &str = "\
Examples:
  host-runner spec --component connector.wasm
  host-runner spec --json | jq -r .authorization.scope_text   the scopes to paste
  host-runner spec --help-text zh-CN                          the component's own help";

#[derive(Args, Debug)]
pub(super) struct Spec {
    /// Print the component's own help in this language instead, for example `en`
    #[arg(long, value_name = "LANGUAGE")]
    help_text: Option<String>,
}

pub(super) async fn run(spec: &Spec, context: &Context) -> Result<Exit> {
    let describe = context.describe().await?;
    if let Some(language) = &spec.help_text {
        let help = describe.document.get("help");
        let text = help.and_then(|help| help.get(language)).and_then(Value::as_str);
        let text = text.ok_or_else(|| {
            let known: Vec<&str> = help
                .and_then(Value::as_object)
                .map(|help| help.keys().map(String::as_str).collect())
                .unwrap_or_default();
            crate::error::Error::usage(format!("help in `{language}`: the component has none"))
                .hint(format!("languages: {}", known.join(", ")))
        })?;
        context.printer.text(text);
    } else if context.printer.json {
        context.printer.value(&describe.document);
    } else {
        context.printer.text(&pretty(&describe));
    }
    Ok(Exit::Success)
}

fn pretty(describe: &Describe) -> String {
    let mut text = format!("{} {} ({})\n", describe.title, describe.version, describe.name);
    text.push_str(&format!("{}\n\nConfiguration\n", describe.summary));
    text.push_str(&columns(&configuration(describe), &[]));
    if let Some(scopes) = describe.authorization.get("scope_text").and_then(Value::as_str) {
        text.push_str(&format!("\nScopes\n{scopes}\n"));
    }
    if let Some(steps) = describe.authorization.get("steps").and_then(Value::as_str) {
        text.push_str(&format!("\nAuthorization\n{}\n", steps.trim_end()));
    }
    let tables = describe
        .tables
        .iter()
        .map(|table| vec![table.name.clone(), table.title.clone(), table.capabilities.join(", ")]);
    text.push_str(&format!("\nTables\n{}", columns(&tables.collect::<Vec<_>>(), &[])));
    if !describe.commands.is_empty() {
        let commands = describe.commands.iter();
        let rows: Vec<_> =
            commands.map(|command| vec![command.name.clone(), command.title.clone()]).collect();
        text.push_str(&format!("\nCommands\n{}", columns(&rows, &[])));
    }
    text
}

fn configuration(describe: &Describe) -> Vec<Vec<String>> {
    let required = |key: &str| {
        let list = describe.configuration.get("required").and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(|item| item == key))
    };
    describe
        .ordered_properties()
        .into_iter()
        .map(|(key, schema)| {
            let mut notes = Vec::new();
            if required(key) {
                notes.push("required".to_owned());
            }
            if is_secret(schema) {
                notes.push("secret".to_owned());
            }
            if let Some(default) = schema.get("default") {
                notes.push(format!("default {default}"));
            }
            let title = schema.get("title").and_then(Value::as_str).unwrap_or_default();
            vec![key.to_owned(), title.to_owned(), notes.join(", ")]
        })
        .collect()
}
