//! Tables of a PostgreSQL schema: copied into a SQLite file, as the checker of SQLite expects them, with
//! times as text and truth values as numbers; and as JSON.

use std::path::Path;

use rusqlite::Connection;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

/// Copies the tables, and their views as tables.
pub(crate) fn mirror(url: &str, schema: &str, tables: &[&str], path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut target = Connection::open(path).expect("a file");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connected");
        tokio::spawn(connection);
        for table in tables {
            for name in [(*table).to_owned(), format!("{table}_live")] {
                copy(&client, schema, &name, &mut target).await;
            }
        }
    });
}

/// The rows of a table that another program made, as JSON, times as text.
pub(crate) fn json_rows(url: &str, schema: &str, table: &str) -> Vec<serde_json::Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connected");
        tokio::spawn(connection);
        let table = format!("{schema}.\"{table}\"");
        let statement = client.prepare(&format!("SELECT * FROM {table}")).await.expect("a table");
        let columns = statement.columns().iter().map(|column| {
            let name = format!("\"{}\"", column.name());
            let zone = if *column.type_() == Type::TIMESTAMPTZ { " AT TIME ZONE 'UTC'" } else { "" };
            match *column.type_() {
                Type::TIMESTAMP | Type::TIMESTAMPTZ => {
                    format!("to_char({name}{zone}, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS {name}")
                }
                _ => name,
            }
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT to_jsonb(t)::text FROM (SELECT {columns} FROM {table}) t");
        let rows = client.query(&sql, &[]).await.expect("rows");
        rows.iter().map(|row| serde_json::from_str(row.get(0)).expect("JSON")).collect()
    })
}

async fn copy(client: &Client, schema: &str, name: &str, target: &mut Connection) {
    let statement = client.prepare(&format!("SELECT * FROM {schema}.\"{name}\"")).await.expect("a table");
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns = statement.columns();
    let selected = columns.iter().map(|column| {
        let name = quoted(column.name());
        match *column.type_() {
            Type::TIMESTAMPTZ => {
                format!("to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
            }
            Type::BOOL => format!("({name}::int)::text"),
            _ => format!("{name}::text"),
        }
    });
    let sql = format!("SELECT {} FROM {schema}.\"{name}\"", selected.collect::<Vec<_>>().join(", "));
    let rows = client.query(&sql, &[]).await.expect("rows");
    let definitions = columns.iter().map(|column| {
        let affinity = match *column.type_() {
            Type::INT8 | Type::BOOL => "INTEGER",
            Type::NUMERIC => "REAL",
            _ => "TEXT",
        };
        format!("{} {affinity}", quoted(column.name()))
    });
    let definitions: Vec<String> = definitions.collect();
    let tx = target.transaction().expect("a transaction");
    tx.execute_batch(&format!(
        "DROP TABLE IF EXISTS \"{name}\"; CREATE TABLE \"{name}\" ({})",
        definitions.join(", ")
    ))
    .expect("created");
    let marks = vec!["?"; columns.len()].join(", ");
    let mut insert = tx.prepare(&format!("INSERT INTO \"{name}\" VALUES ({marks})")).expect("prepared");
    for row in rows {
        let cells: Vec<Option<String>> = (0..columns.len()).map(|column| row.get(column)).collect();
        insert.execute(rusqlite::params_from_iter(cells)).expect("inserted");
    }
    drop(insert);
    tx.commit().expect("committed");
}
