//! The live part of the demonstration: edits, deletes and restores tickets, and measures the time to their
//! rows.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::Runner;
use super::rows::Rows;
use crate::processes::Simulator;

/// Longest time for one row: many times the poll interval of webhooks, so that only a defect exceeds it.
const ROW_TIME_MAX: Duration = Duration::from_secs(20);

/// Tickets of each operation.
const TICKETS: usize = 12;

/// Starts `serve` with webhooks, changes tickets, and prints the time from each change to its row.
pub(super) fn show(runner: &Runner<'_>, rows: &Rows, simulator: &Simulator) -> Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = format!("127.0.0.1:{port}");
    println!("# live: webhooks and polling together");
    println!("$ host-runner serve -c demo.toml --listen {address} --subscribe --public-url http://{address}");
    let _server = Server::start(runner, &address)?;

    let ids = rows.live_tickets(TICKETS)?;
    for (name, operation, condition) in [
        ("edited", "update", "subject = 'edited while you watch'"),
        ("deleted", "moveToTrash", "_deleted"),
        ("restored", "restore", "not _deleted"),
    ] {
        let mut delays = Vec::new();
        for id in &ids {
            let mut mutation = json!({"op": operation, "table": "tickets", "id": id});
            if operation == "update" {
                mutation["values"] = json!({"subject": "edited while you watch"});
            }
            let posted = Instant::now();
            simulator.admin("POST", "mutate", &mutation)?;
            while !rows.ticket_is(id, condition)? {
                if posted.elapsed() > ROW_TIME_MAX {
                    bail!("ticket {id} was {name}, but its row did not change within {ROW_TIME_MAX:?}");
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            delays.push(posted.elapsed());
        }
        delays.sort();
        println!(
            "{:>2} tickets {name:<8}  the row followed after {:>4.0} ms (median), {:>4.0} ms (slowest)",
            delays.len(),
            delays[delays.len() / 2].as_secs_f64() * 1000.0,
            delays[delays.len() - 1].as_secs_f64() * 1000.0,
        );
    }
    println!();
    Ok(())
}

/// The process `serve`; dropping it kills the process.
struct Server(Child);

impl Server {
    /// Starts it and waits until the snapshot is complete and the webhooks are registered.
    fn start(runner: &Runner<'_>, address: &str) -> Result<Self> {
        let url = format!("http://{address}");
        let mut child = runner
            // The pages for operators take any free port: the simulator may have the next one.
            .command(&["serve", "--listen", address, "--admin", "127.0.0.1:0", "--subscribe"])
            .args(["--public-url", &url])
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", runner.program.display()))?;
        let stderr = child.stderr.take().context("`serve` has no stderr")?;
        let server = Self(child);
        let mut log = String::new();
        let mut lines = BufReader::new(stderr).lines();
        for line in lines.by_ref() {
            let line = line?;
            log.push_str(&line);
            log.push('\n');
            if line.contains("subscribed") {
                // Drains the pipe: a full one would block `serve`.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(server);
            }
        }
        bail!("`serve` stopped before it subscribed\n{log}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
