//! `check`: tests hosts, credentials, permissions and webhooks.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::change::{CheckItem, Outcome};
use crate::check;
use crate::egress;
use crate::error::{Kind, Result};
use crate::exit::Exit;
use crate::report::columns;
use crate::request::Request;
use crate::state::ConnectionStore;
use crate::webhook_url::{self, PublicUrl};

pub(super) const HELP: &str = "\
While `serve` has the connection, `serve` runs the tests, with the connection file as it last loaded it. \
Exits with 0 when nothing failed, with 11 when the egress policy refused a request, else with the code of \
the first failure (8 where the component gives none).

Examples:
  host-runner check -c acme.toml
  host-runner check -c acme.toml --public-url https://hooks.example.com
  host-runner check -c acme.toml --json | jq '.items[] | select(.outcome == \"failed\")'";

#[derive(Args, Debug)]
pub(super) struct Check {
    /// Also request the webhook URL under this public URL, from this machine
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

pub(super) async fn run(check: &Check, context: &Context) -> Result<Exit> {
    let connection = context.connection()?;
    let public = check.public_url.as_deref().map(PublicUrl::parse).transpose()?;
    let mut items: Vec<CheckItem> = context.request(&connection, Request::Check).await?;
    if let Some(public) = &public {
        let secret = ConnectionStore::open(&context.paths, &connection.name)?.webhook_url().secret()?;
        let url = webhook_url::url(public, &connection.name, &secret);
        items.push(check::public_url(&egress::probe(&url, connection.ca_file.as_deref()).await?));
    }
    let exit = exit(&items);
    if context.printer.json {
        context.printer.value(&json!({
            "connection": connection.name,
            "exit": exit as u8,
            "items": items,
        }));
    } else {
        context.printer.text(&pretty(&items));
    }
    Ok(exit)
}

/// The code of the first failure; a request that the egress policy refused explains the failures before it.
fn exit(items: &[CheckItem]) -> Exit {
    let mut failed = items.iter().filter(|item| item.outcome == Outcome::Failed);
    if failed.clone().any(|item| item.name == "egress") {
        return Exit::Sandbox;
    }
    match failed.next() {
        None => Exit::Success,
        Some(item) => Exit::from(item.kind.unwrap_or(Kind::Unavailable)),
    }
}

/// The items in lines. Those of one sort, for example tables, that did not fail and say the same are one.
fn pretty(items: &[CheckItem]) -> String {
    let mut rows = Vec::new();
    let mut folded: Vec<(&CheckItem, Vec<&str>)> = Vec::new();
    for item in items {
        match folded.iter_mut().find(|(first, _)| is_alike(first, item)) {
            Some((_, names)) => names.push(sort_and_name(item).1),
            None => folded.push((item, vec![sort_and_name(item).1])),
        }
    }
    for (item, names) in folded {
        let word = match item.outcome {
            Outcome::Passed => "ok",
            Outcome::Warning => "warning",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "skipped",
        };
        let mut row = |word: &str, name: &str, text: String| {
            rows.push(vec![word.to_owned(), name.to_owned(), text]);
        };
        if names.len() == 1 {
            row(word, &item.name, item.message.clone());
        } else {
            row(word, &format!("{} {}s", names.len(), sort_and_name(item).0), item.message.clone());
            lines(&names).into_iter().for_each(|line| row("", "", line));
        }
        if let Some(hint) = item.hint.as_ref().filter(|_| item.outcome != Outcome::Passed) {
            row("", "", format!("hint: {hint}"));
        }
    }
    columns(&rows, &[])
}

/// Whether two items differ in nothing but the name of their thing.
fn is_alike(first: &CheckItem, other: &CheckItem) -> bool {
    let ((sort, name), (other_sort, other_name)) = (sort_and_name(first), sort_and_name(other));
    sort == other_sort
        && !name.is_empty()
        && !other_name.is_empty()
        && first.outcome != Outcome::Failed
        && (first.outcome, &first.message, &first.hint) == (other.outcome, &other.message, &other.hint)
}

/// `table`, `tickets` for `table tickets`: the sort of thing that an item is about, and its name.
fn sort_and_name(item: &CheckItem) -> (&str, &str) {
    item.name.split_once(' ').unwrap_or((&item.name, ""))
}

/// Names with commas, in lines that leave room for the columns before them in a terminal of 80.
fn lines(names: &[&str]) -> Vec<String> {
    const LINE_CHARACTERS: usize = 44;
    let mut lines = vec![String::new()];
    for (index, name) in names.iter().enumerate() {
        let comma = if index + 1 < names.len() { "," } else { "" };
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(&format!("{name}{comma}")),
            Some(line) if line.chars().count() + name.chars().count() + 2 <= LINE_CHARACTERS => {
                line.push_str(&format!(" {name}{comma}"));
            }
            _ => lines.push(format!("{name}{comma}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{CheckItem, Outcome, pretty};

    #[test]
    fn tables_that_say_the_same_are_one_item_and_failures_stay_apart() {
        let item = |name: &str, outcome, message: &str| CheckItem {
            name: name.to_owned(),
            outcome,
            message: message.to_owned(),
            hint: None,
            kind: None,
        };
        let items = [
            item("token", Outcome::Passed, "accepted"),
            item("table organization_fields", Outcome::Passed, "readable"),
            item("table ticket_conversations", Outcome::Passed, "readable"),
            item("table tickets", Outcome::Failed, "no"),
            item("table contacts", Outcome::Failed, "no"),
            item("table accounts", Outcome::Passed, "readable"),
            item("webhooks", Outcome::Passed, "accepted"),
        ];
        let expected = "\
ok      token           accepted
ok      3 tables        readable
                        organization_fields, ticket_conversations,
                        accounts
FAILED  table tickets   no
FAILED  table contacts  no
ok      webhooks        accepted
";
        assert_eq!(pretty(&items), expected);
    }
}
