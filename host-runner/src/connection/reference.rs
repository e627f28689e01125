//! `docs/configuration.md`: its table of the runner's keys is made from [`super::keys`], and compared here.

use super::keys::{DefaultValue, KEYS, Key};
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

#[test]
fn the_page_lists_every_key_of_the_runner_as_it_is() {
    generated::compare("configuration.md", "keys of the runner", &table());
}
