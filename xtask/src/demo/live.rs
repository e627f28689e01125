//! The live part of the demonstration: tickets are edited, deleted and restored, and their rows follow.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::processes::Simulator;

/// How long a row may take to follow before the demonstration gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What `serve` runs with.
pub(super) struct Serve<'a> {
    pub(super) program: &'a Path,
    pub(super) connection: &'a Path,
    pub(super) data: &'a Path,
    pub(super) database: &'a Path,
}

/// Starts `serve` with webhooks, changes tickets, and says how long each row took. Leaves nothing running.
pub(super) fn show(serve: &Serve<'_>, simulator: &Simulator) -> Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = format!("127.0.0.1:{port}");
    println!("# live: webhooks and polling together");
    println!("$ host-runner serve -c demo.toml --listen {address} --subscribe --public-url http://{address}");
    let _running = Running::start(serve, &address)?;

    let database = Connection::open_with_flags(serve.database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    database.busy_timeout(Duration::from_secs(5))?;
    let ids: Vec<String> = database
        .prepare("select id from tickets where not _deleted order by id limit 12")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let see = |sql: &str, id: &str| -> Result<bool> {
        Ok(database.query_row(sql, [id], |row| row.get::<_, bool>(0)).unwrap_or(false))
    };

    for (what, change, sql) in [
        ("edited", "update", "select subject = 'edited while you watch' from tickets where id = ?1"),
        ("deleted", "moveToTrash", "select _deleted from tickets where id = ?1"),
        ("restored", "restore", "select not _deleted from tickets where id = ?1"),
    ] {
        let mut delays = Vec::new();
        for id in &ids {
            let mut mutation = json!({"op": change, "table": "tickets", "id": id});
            if change == "update" {
                mutation["values"] = json!({"subject": "edited while you watch"});
            }
            let asked = Instant::now();
            post(simulator.authority(), "/_admin/mutate", &mutation)?;
            while !see(sql, id)? {
                if asked.elapsed() > PATIENCE {
                    bail!("ticket {id} was {what} and its row did not follow within {PATIENCE:?}");
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            delays.push(asked.elapsed());
        }
        delays.sort();
        println!(
            "{:>2} tickets {what:<8}  the row followed after {:>4.0} ms (median), {:>4.0} ms (slowest)",
            delays.len(),
            delays[delays.len() / 2].as_secs_f64() * 1000.0,
            delays[delays.len() - 1].as_secs_f64() * 1000.0,
        );
    }
    println!();
    Ok(())
}

/// `serve`, until dropped.
struct Running(Child);

impl Running {
    /// Starts it and waits until it has read everything once and its webhooks are registered.
    fn start(serve: &Serve<'_>, address: &str) -> Result<Self> {
        let mut child = Command::new(serve.program)
            .args(["serve", "--listen", address, "--subscribe", "--public-url", &format!("http://{address}")])
            .arg("--connection")
            .arg(serve.connection)
            .arg("--data")
            .arg(serve.data)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", serve.program.display()))?;
        let stderr = child.stderr.take().context("no stderr")?;
        let running = Self(child);
        let mut said = String::new();
        let mut lines = BufReader::new(stderr).lines();
        for line in lines.by_ref() {
            let line = line?;
            said.push_str(&line);
            said.push('\n');
            if line.contains("subscribed") {
                // What it says later is read and forgotten, so that it never waits for us.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(running);
            }
        }
        bail!("`serve` ended:\n{said}")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// POSTs JSON to the simulator.
fn post(authority: &str, path: &str, body: &Value) -> Result<()> {
    let body = body.to_string();
    let mut stream = TcpStream::connect(authority)?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { bail!("{path}: {answer}") }
}
