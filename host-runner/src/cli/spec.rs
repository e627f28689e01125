//! `spec`: prints the component's own description: configuration, scopes, tables, commands, help.

use clap::Args;
use serde_json::{Value, json};

use super::Context;
use crate::describe::{ConfigKey, Describe, TableInfo};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::report::{columns, thousands};

pub(super) const HELP: &str = "\
Examples:
  host-runner spec --component connector.wasm
  host-runner spec --json | jq -r .authorization.scope_text   the scopes to paste
  host-runner spec --docs --lang zh-CN                        the component's help, in Chinese";

#[derive(Args, Debug)]
pub(super) struct Spec {
    /// Print the component's help instead
    #[arg(long)]
    docs: bool,
    /// Language of titles and of --docs, where the component has it
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    lang: String,
}

pub(super) async fn run(spec: &Spec, context: &Context) -> Result<Exit> {
    let describe = context.describe().await?;
    if spec.docs {
        let text = help(&describe, &spec.lang)?;
        match context.printer.json {
            true => context.printer.value(&json!({ "language": spec.lang, "help": text })),
            false => context.printer.text(text),
        }
    } else if context.printer.json {
        context.printer.value(&describe.document);
    } else {
        context.printer.text(&pretty(&describe, &spec.lang));
    }
    Ok(Exit::Success)
}

fn help<'a>(describe: &'a Describe, language: &str) -> Result<&'a str> {
    let texts = describe.document.get("help").and_then(Value::as_object);
    let text = texts.and_then(|texts| texts.get(language)?.as_str());
    text.ok_or_else(|| {
        let known: Vec<&str> = texts.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        Error::usage(format!("help in `{language}`: the component has none"))
            .hint(format!("languages: {}", known.join(", ")))
    })
}

fn pretty(describe: &Describe, language: &str) -> String {
    let mut text = format!("{} {} ({})\n", describe.title, describe.version, describe.name);
    text.push_str(&format!("{}\n\nConfiguration, under [config]\n", describe.summary));
    let keys: Vec<_> = describe.keys().iter().map(|key| row(key, language)).collect();
    text.push_str(&columns(&keys, &[]));
    if let Some(scopes) = describe.authorization.get("scope_text").and_then(Value::as_str) {
        text.push_str(&format!("\nScopes\n{scopes}\n"));
    }
    let groups = describe.authorization.get("group_scope_text").and_then(Value::as_object);
    let more = groups.into_iter().flatten().filter_map(|(group, scopes)| {
        let scopes = scopes.as_str().filter(|scopes| !scopes.is_empty())?;
        Some(vec![format!("and for {group}"), scopes.to_owned()])
    });
    text.push_str(&columns(&more.collect::<Vec<_>>(), &[]));
    if let Some(steps) = describe.authorization.get("steps").and_then(Value::as_str) {
        text.push_str(&format!("\nAuthorization\n{}\n", steps.trim_end()));
    }
    for group in groups_of(describe) {
        let of: Vec<_> = describe.tables.iter().filter(|table| table.group == group).collect();
        let credits = |credits: u64| format!("{} credits", thousands(credits));
        let row = |table: &&TableInfo| {
            let credits = table.first_read_credits.map(credits).unwrap_or_default();
            vec![table.name.clone(), table.title.clone(), table.capabilities.join(", "), credits]
        };
        let rows: Vec<_> = of.iter().map(row).collect();
        let name = if group.is_empty() { String::new() } else { format!(": {group}") };
        let all = of.iter().filter_map(|table| table.first_read_credits).reduce(u64::saturating_add);
        let all = all.map(|all| format!(" ({} for a first read of 1,000 rows of each)", credits(all)));
        text.push_str(&format!("\nTables{name}{}\n{}", all.unwrap_or_default(), columns(&rows, &[3])));
    }
    if !describe.commands.is_empty() {
        let commands = describe.commands.iter();
        let rows: Vec<_> =
            commands.map(|command| vec![command.name.clone(), command.title.clone()]).collect();
        text.push_str(&format!("\nCommands\n{}", columns(&rows, &[])));
    }
    text
}

/// The groups of the tables, in their order.
fn groups_of(describe: &Describe) -> Vec<&str> {
    let mut groups: Vec<&str> = Vec::new();
    for table in &describe.tables {
        if !groups.contains(&table.group.as_str()) {
            groups.push(&table.group);
        }
    }
    groups
}

/// Name, group, title, and what a value must be.
fn row(key: &ConfigKey<'_>, language: &str) -> Vec<String> {
    let mut notes = Vec::new();
    if key.is_required {
        notes.push("required".to_owned());
    }
    if key.is_secret() {
        notes.push("secret".to_owned());
    }
    if let Some(default) = key.default() {
        notes.push(format!("default {default}"));
    }
    if let Some(choices) = key.choices() {
        let choices: Vec<String> = choices.iter().map(ToString::to_string).collect();
        notes.push(format!("one of {}", choices.join(", ")));
    }
    vec![key.name.to_owned(), key.group().to_owned(), key.title(language).to_owned(), notes.join("; ")]
}
