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

/// How changes are found, and how often where that is fixed.
fn changes(table: &Value) -> String {
    let how = table["incremental"].as_str().expect("a text");
    match table["refresh_ms"].as_u64().map(|ms| ms / 3_600_000) {
        Some(hours) if hours % 24 == 0 => format!("{how}, {} d", hours / 24),
        Some(hours) => format!("{how}, {hours} h"),
        None => how.to_owned(),
    }
}

/// The purpose of a group of tables.
fn purpose(group: &str) -> &'static str {
    match group {
        "core" => "Read unless `tables` says otherwise.",
        "people" => "The people who work in the portal.",
        "tickets+" => {
            "Parts of tickets other than their conversations: a call for each ticket and table at least."
        }
        "activities" => "Tasks, calls and events.",
        "knowledge" => "The knowledge base.",
        "settings" => "How the portal is set up. Not every edition has all of it.",
        _ => "",
    }
}

/// The expected credits of a first read of a group.
fn credits_of(group: &str) -> u64 {
    let tables = spec()["tables"].as_array().expect("tables").iter();
    tables
        .filter(|table| table["group"] == group)
        .map(|table| table["first_read_credits"].as_u64().expect("credits"))
        .sum()
}

/// Data that the API does not give, with the reason.
const MISSING: &str = "
## Not read

| data | reason |
|---|---|
| bytes of attachments of threads and comments | `ticket_conversations` lists them with `href`; a table of these files would read every thread again: 7,000 credits for 1,000 tickets |
| ratings of customers | the API has percentages on contacts and accounts, and no list of ratings |
| a list of all threads, comments, attachments, time entries, history | the API lists them ticket by ticket |
| a list of service level agreements | the API lists them account by account: `slas` |
| time entries of tasks, and of agents without a ticket | read ticket by ticket |
| archived tickets beyond 5,000 of a department | the API ends the list there; a warning says so |
| deletes of tags, and of attachments and time entries without webhooks | not listed: the next change of the ticket shows them |
| deleted articles, without webhooks | their recycle bin is not listed: the daily verification finds them |
| description, custom fields and parts of archived tickets | the API lists archived tickets without them, and does not say whether it has their parts; a full refresh of a table of parts marks those of archived tickets deleted |
";

/// The first lines of the sections that the connector's own test makes (`guest/src/describe/original.rs`).
const COLUMNS: &str = "<!-- generated: columns of zoho-desk -->";

fn page() -> String {
    let mut page = format!(
        "# Tables\n\n<!-- generated: {COMMAND} -->\n\n\
         In the order in which tables are read, by group: `tables` takes names of tables and of groups, and\n\
         `all`. A table that came with a group is skipped where the grant, the user or the edition does not\n\
         allow it, and `check` names the scopes to add. `docs/limitations.md` has what a \
         table may not show.\n"
    );
    page.push_str(
        "\n*credits*: expected of a first read of 1,000 rows; for parts of tickets, of 1,000 tickets with\n\
         four threads each, of which two in five have a comment; for a list for each account or contact, of\n\
         1,000 lists, and for each row of another table, of ten. `sync --plan` computes it for an account.\n\
         A full refresh costs as much each time; *changes* says how often it comes.\n",
    );
    let mut group = String::new();
    for table in spec()["tables"].as_array().expect("tables") {
        let text = |member: &str| table[member].as_str().expect("a text").to_owned();
        if text("group") != group {
            group = text("group");
            let _infallible = writeln!(
                page,
                "\n## {group}\n\n{}\nAll of them: {} credits.\n\n\
                 | table | Zoho's name | key | below | changes | credits | events | scopes | notes |\n\
                 |---|---|---|---|---|---:|---|---|---|",
                purpose(&group),
                credits_of(&group),
            );
        }
        let below = table["parent"].as_str().map_or_else(|| "–".to_owned(), |parent| format!("`{parent}`"));
        let _infallible = writeln!(
            page,
            "| `{}` | {} | {} | {below} | {} | {} | {} | {} | {} |",
            text("name"),
            texts(&table["aliases"], ", "),
            texts(&table["primary_key"], ", "),
            changes(table),
            table["first_read_credits"],
            texts(&table["events"], " "),
            texts(&table["scopes"], " "),
            text("notes"),
        );
    }
    page + MISSING
}

#[test]
fn the_page_of_tables_is_the_description_of_the_connector() {
    let path = binaries::workspace().join("docs/tables.md");
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let columns = written.find(COLUMNS).map_or("", |at| written.get(at..).unwrap_or_default());
    let page = format!("{}\n{columns}", page());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).expect("docs/tables.md");
        return;
    }
    assert!(written == page, "docs/tables.md differs from `spec`. To rewrite it: {COMMAND}\n\n{page}");
}
