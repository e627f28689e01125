//! `docs/tables.md`: made from `host-runner spec --json`, and compared here.

use std::fmt::Write as _;

use serde_json::Value;

use crate::support::{binaries, spec};

const COMMAND: &str = "UPDATE_DOCS=1 cargo test --release --workspace the_page";

fn texts(list: &Value, between: &str) -> String {
    let texts = list.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text"));
    let texts: Vec<String> = texts.map(|text| format!("`{text}`")).collect();
    if texts.is_empty() { "–".to_owned() } else { texts.join(between) }
}

fn page() -> String {
    let mut page = format!(
        "# Tables\n\n<!-- generated: {COMMAND} -->\n\n\
         In the order in which tables are read: how an incremental read finds changes, and the events of\n\
         a webhook. `docs/limitations.md` has what a table may not show.\n\n\
         | table | Zoho's name | changes | events | scopes | notes |\n|---|---|---|---|---|---|\n"
    );
    for table in spec()["tables"].as_array().expect("tables") {
        let text = |member: &str| table[member].as_str().expect("a text").to_owned();
        let _infallible = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | {} |",
            text("name"),
            texts(&table["aliases"], ", "),
            text("incremental"),
            texts(&table["events"], " "),
            texts(&table["scopes"], " "),
            text("notes"),
        );
    }
    page
}

#[test]
fn the_page_of_tables_is_the_description_of_the_connector() {
    let path = binaries::workspace().join("docs/tables.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).expect("docs/tables.md");
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/tables.md differs from `spec`. To rewrite it: {COMMAND}\n\n{page}");
}
