//! The demonstration: everything a newcomer does in the first ten minutes, against the bundled simulator.

mod live;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::build;
use crate::processes::{CODE, Simulator, connection_file};
use crate::tools;

/// Builds what is missing, starts the simulator, authorises, checks, discovers, reads and looks. Leaves nothing running.
pub(crate) fn run(tickets: u32) -> Result<()> {
    let started = Instant::now();
    eprintln!("building the component and the runner (the first time takes some minutes) ...");
    let built = build::everything()?;
    eprintln!("ready after {:.0} s\n", started.elapsed().as_secs_f64());

    let folder = tools::target().join("demo");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder)?;
    let simulator = Simulator::start(&["--tickets", &tickets.to_string()])?;
    let database = folder.join("zoho-desk.db");
    let connection = folder.join("demo.toml");
    std::fs::write(&connection, connection_file(&simulator, "demo", "", "sqlite", &database))?;
    println!("a simulated Zoho Desk with {tickets} tickets is at {}\n", simulator.url);

    let runner = Runner { program: &built.runner, connection: &connection, data: folder.join("data") };
    runner.show("the sandbox: all that the component can touch", &["inspect"])?;
    runner.show("authorise with a generated code", &["authorize", "--code", CODE])?;
    runner.show("test the connection", &["check"])?;
    runner.show("what there is to read", &["discover"])?;
    runner.show("read everything", &["sync"])?;
    runner.show("again: only what changed", &["sync"])?;

    let serve = live::Serve {
        program: &built.runner,
        connection: &connection,
        data: &runner.data,
        database: &database,
    };
    live::show(&serve, &simulator)?;

    println!("the rows are in {}; try\n", database.display());
    println!("  sqlite3 {} \\", database.display());
    println!("    \"select status, count(*) from tickets_live group by status order by 2 desc\"");
    Ok(())
}

struct Runner<'a> {
    program: &'a Path,
    connection: &'a Path,
    data: std::path::PathBuf,
}

impl Runner<'_> {
    /// Says what is done and how, and does it.
    fn show(&self, what: &str, arguments: &[&str]) -> Result<()> {
        println!("# {what}");
        println!("$ host-runner {} -c demo.toml", arguments.join(" "));
        let status = Command::new(self.program)
            .args(arguments)
            .arg("--connection")
            .arg(self.connection)
            .arg("--data")
            .arg(&self.data)
            .status()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        println!();
        if !status.success() {
            bail!("`{}` failed ({status})", arguments.join(" "));
        }
        Ok(())
    }
}
