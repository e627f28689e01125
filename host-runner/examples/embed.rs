//! A pipeline that embeds the sandbox: describes, authorizes, checks, discovers, reads every table, and
//! receives a delivery. `embed COMPONENT CONFIG.json CODE ALLOWED-HOST:PORT [DELIVERY.json]`
//! Prints a line of JSON for each step and row. A real pipeline commits rows and cursor in one transaction.

use std::sync::{Arc, Mutex};

use host_runner::embed::{
    Change, Delivery, Embedded, Engine, Error, Limits, Operation, Result, Sandbox, SessionStore, Target,
};
use serde_json::{Value, json};

/// Calls at a time, of all connections of the engine.
const INSTANCES: u32 = 8;
const STUCK_BATCHES_MAX: u32 = 5; // In a row that may leave the cursor where it is, as in the runner.

/// Keeps the session in memory. A real pipeline stores it durably and in secret: a token may work only once.
#[derive(Default)]
struct Sessions(Mutex<Option<String>>);

impl SessionStore for Sessions {
    fn save(&self, session: Option<&str>) -> Result<()> {
        *self.0.lock().map_err(|_| Error::host("the store of sessions panicked"))? =
            session.map(str::to_owned);
        Ok(())
    }

    fn report_refused(&self, error: &Error) {
        eprintln!("warning: the session is too large; the one before is kept: {error}");
    }

    fn is_saved(&self) -> bool {
        true
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Err(error) = run(&arguments).await {
        eprintln!("error: {error}\n\nhint: {}", error.hint.as_deref().unwrap_or("see docs/embedding.md"));
        std::process::exit(1);
    }
}

async fn run(arguments: &[String]) -> Result<()> {
    let [component, config, code, allowed, delivery @ ..] = arguments else {
        return Err(Error::usage("COMPONENT CONFIG.json CODE ALLOWED-HOST:PORT [DELIVERY.json]"));
    };
    let file = |path: &str| std::fs::read(path).map_err(|error| Error::usage(format!("{path}: {error}")));
    let config = serde_json::from_slice(&file(config)?).map_err(|error| Error::usage(error.to_string()))?;
    let component = Engine::new(INSTANCES, None)?.load(component.as_ref())?;
    let describe = component.describe(&Limits::default()).await?;
    println!("{}", json!({"describe": {"name": describe.name, "version": describe.version}}));

    let mut connection = Embedded::new("example", config, Arc::new(Sessions::default()));
    connection.allow.extend(Target::parse(allowed));
    let mut sandbox = connection.open(&component).await?;
    sandbox.authorize(json!({"code": code}).to_string()).await?;
    println!("{}", json!({"check": sandbox.check(None).await?}));
    for table in sandbox.discover().await? {
        println!("{}", json!({"table": table.name, "primary_key": table.primary_key}));
        let rows = read(&mut sandbox, &table.name).await?;
        println!("{}", json!({"read": {"table": table.name, "rows": rows}}));
    }
    for path in delivery {
        let (method, path_with_query) = ("POST".to_owned(), "/".to_owned());
        let headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
        let delivery = Delivery { received_at_ms: 0, method, path_with_query, headers, body: file(path)? };
        for receipt in sandbox.receive(None, vec![delivery]).await? {
            receipt?.changes.iter().for_each(|change| println!("{}", json!({"change": line(change)})));
        }
    }
    Ok(())
}

/// Reads a table until it is caught up; returns the number of rows.
async fn read(sandbox: &mut Sandbox, table: &str) -> Result<usize> {
    let (mut rows, mut cursor, mut stuck) = (0, None, 0);
    loop {
        let batch = sandbox.read(table.to_owned(), cursor.clone()).await?;
        batch.changes.iter().for_each(|change| println!("{}", json!({"row": line(change)})));
        rows += batch.changes.len();
        if batch.caught_up {
            return Ok(rows);
        }
        stuck = (stuck + 1) * u32::from(batch.wait_ms.is_none() && cursor.as_ref() == Some(&batch.cursor));
        if stuck > STUCK_BATCHES_MAX {
            return Err(Error::data(format!("table `{table}`: the cursor does not move")));
        }
        tokio::time::sleep(std::time::Duration::from_millis(batch.wait_ms.unwrap_or_default())).await;
        cursor = Some(batch.cursor);
    }
}

fn line(change: &Change) -> Value {
    let document = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let after = change.after.as_deref().filter(|_| change.operation != Operation::Delete).map(document);
    json!({"table": change.table, "key": document(&change.key), "after": after})
}
