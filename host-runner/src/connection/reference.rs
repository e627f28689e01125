//! `docs/configuration.md`: its tables of the runner's keys and of the policy file are made from
//! [`super::keys`] and [`super::policy_file`], and compared here.

use super::keys::{DefaultValue, KEYS, Key};
use super::policy_file::{LISTS, is_limit};
use crate::generated;

fn table() -> String {
    let mut text = String::new();
    let mut section = None;
    for key in KEYS {
        if section != Some(key.section()) {
            section = Some(key.section());
            let heading = if key.section().is_empty() {
                "At the top".to_owned()
            } else {
                format!("`[{}]`", key.section())
            };
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&format!("### {heading}\n\n| key | default | values | honored by | meaning |\n"));
            text.push_str("|---|---|---|---|---|\n");
        }
        text.push_str(&row(key));
    }
    text
}

fn row(key: &Key) -> String {
    let default = match key.default {
        DefaultValue::Required => "required".to_owned(),
        DefaultValue::Value(text) => format!("`{}`", key.kind.value(text)),
        DefaultValue::Absent { means, .. } => means.to_owned(),
    };
    format!(
        "| `{}` | {default} | {} | {} | {} |\n",
        key.short_name(),
        key.kind.range(),
        key.honored_by.commands(),
        key.text
    )
}

fn policy_table() -> String {
    let mut text = String::from("| key | without it | values | meaning |\n|---|---|---|---|\n");
    for key in LISTS {
        let DefaultValue::Absent { means, .. } = key.default else { continue };
        text.push_str(&format!("| `{}` | {means} | {} | {} |\n", key.name, key.kind.range(), key.text));
    }
    let limits: Vec<String> =
        KEYS.iter().filter(|key| is_limit(key)).map(|key| format!("`{}`", key.name)).collect();
    let any = "any value";
    let meaning = "The greatest value that a connection may have; a default above it is lowered.";
    text.push_str(&format!("| {} | {any} | as in a connection file | {meaning} |\n", limits.join(", ")));
    text
}

#[test]
fn the_page_lists_every_key_of_the_runner_as_it_is() {
    generated::compare("configuration.md", "keys of the runner", &table());
}

#[test]
fn the_page_lists_every_key_of_a_policy_file_as_it_is() {
    generated::compare("configuration.md", "keys of a policy file", &policy_table());
}
