//! The demonstration: the first ten minutes of a new user, against the bundled simulator.

mod live;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::processes::{CODE, Simulator, connection_file, connection_file_with};
use crate::tools;

/// The schema of the rows in PostgreSQL.
const SCHEMA: &str = "zoho_desk_demo";

/// Starts the simulator, authorizes, checks, discovers, syncs twice and serves. Stops all processes.
///
/// With a URL the rows go to PostgreSQL. The live part is left out then: it looks for its rows in SQLite.
pub(crate) fn run(tickets: u32, postgres: Option<&str>) -> Result<()> {
    let folder = tools::fresh_folder("demo")?;
    let simulator = Simulator::start(&["--tickets", &tickets.to_string()])?;
    let database = folder.join("zoho-desk.db");
    let connection = folder.join("demo.toml");
    let file = match postgres {
        None => connection_file(&simulator, "demo", "", "sqlite", &database),
        Some(url) => {
            let sink = format!("kind = \"postgres\"\nurl = {url:?}\nschema = \"{SCHEMA}\"\n");
            connection_file_with(&simulator, "demo", "", &sink)
        }
    };
    std::fs::write(&connection, file)?;
    println!("a simulated Zoho Desk with {tickets} tickets listens at {}\n", simulator.url);

    let runner = Runner {
        program: &tools::release()?.join("host-runner"),
        connection: &connection,
        data: folder.join("data"),
    };
    runner.show("inspect the sandbox: everything that the component can access", &["inspect"])?;
    runner.show("authorize with a generated code", &["authorize", "--code", CODE])?;
    runner.show("test the connection", &["check"])?;
    runner.show("list the tables and their columns", &["discover"])?;
    runner.show("what the first read will cost", &["sync", "--plan"])?;
    runner.show("read every table", &["sync"])?;
    runner.show("read again: only changes", &["sync"])?;
    if postgres.is_some() {
        println!("the rows are in the schema {SCHEMA}; try\n\n  psql \"$URL\" \\");
        println!(
            "    -c 'select status, count(*) from {SCHEMA}.tickets_live group by status order by 2 desc'"
        );
        println!("\nbefore the next demonstration: drop schema {SCHEMA} cascade");
        return Ok(());
    }
    live::show(&runner, &database, &simulator)?;

    let database = database.display();
    println!("the rows are in {database}; try\n\n  sqlite3 {database} \\");
    println!("    \"select status, count(*) from tickets_live group by status order by 2 desc\"");
    Ok(())
}

/// Runs the host runner's commands on the connection of the demonstration.
struct Runner<'a> {
    program: &'a Path,
    connection: &'a Path,
    data: PathBuf,
}

impl Runner<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(arguments).arg("--connection").arg(self.connection).arg("--data").arg(&self.data);
        command
    }

    /// Prints the purpose and the command, and runs it.
    fn show(&self, purpose: &str, arguments: &[&str]) -> Result<()> {
        println!("# {purpose}");
        println!("$ host-runner {} -c demo.toml", arguments.join(" "));
        let status = self
            .command(arguments)
            .status()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        println!();
        if !status.success() {
            bail!("`host-runner {}` failed ({status})", arguments.join(" "));
        }
        Ok(())
    }
}
