//! `discover`: lists the tables of this account, by group, with their columns; with `--diff`, the changes.

use clap::Args;
use serde_json::{Value, json};

use super::Context;
use crate::change::{Table, attribute};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::report::columns;
use crate::request::Request;
use crate::schema::changes::Schemas;
use crate::state::ConnectionStore;

pub(super) const HELP: &str = "\
While `serve` has the connection, it starts to read new tables and columns at once.

Examples:
  host-runner discover -c acme.toml
  host-runner discover -c acme.toml --diff    what changed since the last `sync` or `serve`
  host-runner discover -c acme.toml --json | jq '.tables[0].schema.properties | keys'";

#[derive(Args, Debug)]
pub(super) struct Discover {
    /// Print the changes since `sync` or `serve` discovered the tables last
    #[arg(long)]
    diff: bool,
}

pub(super) async fn run(discover: &Discover, context: &Context) -> Result<Exit> {
    let connection = context.connection()?;
    if discover.diff {
        // Before the request: a server keeps its discovery.
        let known = ConnectionStore::open(&context.paths, &connection.name)?.schemas()?;
        let tables: Vec<Table> = context.request(&connection, Request::Discover).await?;
        print_changes(context, &connection.name, known.as_ref(), &tables);
        return Ok(Exit::Success);
    }
    let tables: Vec<Table> = context.request(&connection, Request::Discover).await?;
    let tables: Vec<(Table, Value)> = tables
        .into_iter()
        .map(|table| {
            let schema = serde_json::from_str(&table.schema).map_err(|error| {
                Error::data(format!("table `{}`: its schema is not JSON: {error}", table.name))
            })?;
            Ok((table, schema))
        })
        .collect::<Result<_>>()?;
    if context.printer.json {
        let tables: Vec<Value> = tables
            .iter()
            .map(|(table, schema)| {
                let attributes: serde_json::Map<String, Value> =
                    table.attributes.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect();
                json!({
                    "name": table.name,
                    "primary_key": table.primary_key,
                    "attributes": attributes,
                    "schema": schema,
                })
            })
            .collect();
        context.printer.value(&json!({ "connection": connection.name, "tables": tables }));
    } else {
        context.printer.text(&pretty(&tables));
    }
    Ok(Exit::Success)
}

/// The tables by group, and below them the warnings, each once.
fn pretty(tables: &[(Table, Value)]) -> String {
    let mut rows = Vec::new();
    let mut warnings: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut group = None;
    for (table, schema) in tables {
        let own = attribute(&table.attributes, "group").unwrap_or_default();
        if group != Some(own) {
            group = Some(own);
            rows.push([own, "key", "columns"].map(str::to_owned).to_vec());
        }
        let count = schema.get("properties").and_then(Value::as_object).map_or(0, |p| p.len());
        rows.push(vec![format!("  {}", table.name), table.primary_key.join(", "), count.to_string()]);
        if let Some(warning) = attribute(&table.attributes, "warning") {
            match warnings.iter_mut().find(|(known, _)| *known == warning) {
                Some((_, tables)) => tables.push(&table.name),
                None => warnings.push((warning, vec![&table.name])),
            }
        }
    }
    let mut text = columns(&rows, &[2]);
    for (warning, tables) in warnings {
        text.push_str(&format!("\nwarning: {}: {warning}\n", tables.join(", ")));
    }
    text
}

fn print_changes(context: &Context, connection: &str, known: Option<&Schemas>, tables: &[Table]) {
    let found = Schemas::of(tables, known);
    let changes = known.map(|known| known.changes_to(&found));
    if context.printer.json {
        let first = changes.is_none();
        return context.printer.value(&json!({
            "connection": connection, "first": first, "changes": changes.unwrap_or_default()
        }));
    }
    let text = match changes {
        None => "nothing to compare with: `sync` and `serve` keep what they discover".to_owned(),
        Some(changes) if changes.is_empty() => "no change since the last discovery".to_owned(),
        Some(changes) => changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    context.printer.text(&text);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::pretty;
    use crate::change::Table;

    #[test]
    fn tables_are_listed_by_group_within_eighty_columns_and_a_warning_once() {
        let table = |name: &str, group: &str, warning: Option<&str>| {
            let mut attributes = vec![("group".to_owned(), group.to_owned())];
            attributes.extend(warning.map(|text| ("warning".to_owned(), text.to_owned())));
            let (name, primary_key, schema) = (name.to_owned(), vec!["id".to_owned()], String::new());
            let table = Table { name, primary_key, schema, schema_complete: warning.is_none(), attributes };
            (table, json!({"properties": {"id": {}, "a": {}}}))
        };
        let hidden = Some("fields are hidden");
        let text = pretty(&[
            table("tickets", "core", hidden),
            table("contacts", "core", hidden),
            table("agents", "people", None),
        ]);
        let expected = "\
core        key  columns
  tickets   id         2
  contacts  id         2
people      key  columns
  agents    id         2

warning: tickets, contacts: fields are hidden";
        assert_eq!(text.trim_end(), expected);
    }
}
