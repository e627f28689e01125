//! `discover`: lists the tables of this account with their columns.

use serde_json::{Value, json};

use super::Context;
use crate::change::{Table, attribute};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::report::columns;
use crate::request::Request;

pub(super) const HELP: &str = "\
While `serve` has the connection, it starts to read new tables and columns at once.

Examples:
  host-runner discover -c acme.toml
  host-runner discover -c acme.toml --json | jq '.tables[0].schema.properties | keys'";

pub(super) async fn run(context: &Context) -> Result<Exit> {
    let connection = context.connection()?;
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
        let header = ["table", "group", "key", "columns", ""].map(str::to_owned).to_vec();
        let mut rows = vec![header];
        for (table, schema) in &tables {
            let count = schema.get("properties").and_then(Value::as_object).map_or(0, |p| p.len());
            let title = attribute(&table.attributes, "title").unwrap_or_default();
            rows.push(vec![
                table.name.clone(),
                attribute(&table.attributes, "group").unwrap_or_default().to_owned(),
                table.primary_key.join(", "),
                count.to_string(),
                title.to_owned(),
            ]);
        }
        context.printer.text(&columns(&rows, &[3]));
    }
    Ok(Exit::Success)
}
