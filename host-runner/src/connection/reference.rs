//! `docs/configuration.md`: its table of the runner's keys is made from [`super::keys`], and compared here.

use std::path::Path;

use super::keys::{DefaultValue, KEYS, Key};

/// Lines between which the table stands.
const BEGIN: &str = "<!-- begin generated: keys of the runner -->\n";
const END: &str = "<!-- end generated -->\n";

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
            text.push_str(&format!("\n### {heading}\n\n| key | default | values | honored by | meaning |\n"));
            text.push_str("|---|---|---|---|---|\n");
        }
        text.push_str(&row(key));
    }
    text.push('\n');
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
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = std::fs::read_to_string(&path).expect("docs/configuration.md");
    let (before, rest) = page.split_once(BEGIN).expect("the first marker");
    let (written, after) = rest.split_once(END).expect("the last marker");
    let made = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{made}{END}{after}")).expect("written");
    } else {
        assert!(
            written == made,
            "docs/configuration.md differs from the keys. This rewrites it: \
             UPDATE_DOCS=1 cargo test --release -p host-runner --lib the_page_lists\nIt should be:\n{made}"
        );
    }
}
