//! The command line: flags and subcommands as typed, help that teaches, and one file per command.
//!
//! Turns ctrl-c into a stop and errors into exit codes. Knows nothing of how a command does its work.

mod authorize;
mod check;
mod command;
mod count;
mod dead_letters;
mod discover;
mod init;
mod input;
mod inspect;
mod serve;
mod spec;
mod state;
mod sync;
mod webhook;

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand};
use serde::de::DeserializeOwned;

use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::exit::{self, Exit};
use crate::report::Printer;
use crate::request::Request;
use crate::secret::Redactor;
use crate::serve::control;
use crate::stop::{self, Stop, Stopper};
use crate::telemetry::{self, LogFormat};
use crate::tenant::{Paths, Tenant};

const ABOUT: &str = "Runs a source connector, a WebAssembly component, sandboxed, into a database";

const EXAMPLES: &str = "\
First steps:
  host-runner init -o acme.toml           write a connection file, then fill it in
  host-runner authorize -c acme.toml --code CODE
  host-runner check -c acme.toml          see what works
  host-runner sync -c acme.toml           read everything; run it again to go on
";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "host-runner",
    version,
    about = ABOUT,
    after_help = format!("{EXAMPLES}\n{}", exit::HELP),
    disable_help_subcommand = true,
    propagate_version = true
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Debug)]
struct Global {
    /// Connection file (TOML), see `init`; several for `serve` only
    #[arg(short, long, global = true, value_name = "FILE", action = clap::ArgAction::Append)]
    connection: Vec<PathBuf>,
    /// The component; default: `component` of the connection file, else the one *.wasm beside this program
    #[arg(long, global = true, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Folder for sessions, locks and compiled code
    #[arg(long, global = true, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Key that seals sessions, 32 bytes in base64 or hex; default: $HOST_RUNNER_KEY, else DATA/key (made at first use)
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Machine-readable output on stdout, nothing else there
    #[arg(long, global = true)]
    json: bool,
    /// Log more: -v progress, -vv every call, -vvv everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Form of the log lines on stderr
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show all that the component can possibly touch
    #[command(after_help = inspect::HELP)]
    Inspect,
    /// Show what the component says of itself: configuration, scopes, tables, commands
    #[command(after_help = spec::HELP)]
    Spec(spec::Spec),
    /// Write a commented connection file from the component's own schema
    #[command(after_help = init::HELP)]
    Init(init::Init),
    /// Exchange a code or grant for a session, which is kept sealed
    #[command(after_help = authorize::HELP)]
    Authorize(authorize::Authorize),
    /// Test hosts, credentials and permissions, one line each
    #[command(after_help = check::HELP)]
    Check(check::Check),
    /// List the tables of this account with their columns
    #[command(after_help = discover::HELP)]
    Discover,
    /// Count rows at the source, where it can
    #[command(after_help = count::HELP)]
    Count(count::Count),
    /// Read tables into the target until all is caught up
    #[command(after_help = sync::HELP)]
    Sync(sync::Sync),
    /// Keep connections up to date: webhooks as they come, polling for what they miss
    #[command(after_help = serve::HELP)]
    Serve(serve::Serve),
    /// Show the URL for webhooks, register it, undo that
    #[command(subcommand, after_help = webhook::HELP)]
    Webhook(webhook::Webhook),
    /// Show, take again or drop deliveries that could not be applied
    #[command(subcommand, after_help = dead_letters::HELP)]
    DeadLetters(dead_letters::DeadLetters),
    /// Run one of the component's own commands
    #[command(name = "command", after_help = command::HELP)]
    Run(command::Run),
    /// Show or reset how far the tables are
    #[command(subcommand, after_help = state::HELP)]
    State(state::State),
    /// Print a completion script
    #[command(after_help = "Example:\n  host-runner completions bash > /etc/bash_completion.d/host-runner")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What every command gets.
struct Context {
    printer: Printer,
    paths: Paths,
    connections: Vec<PathBuf>,
    stop: Stop,
}

impl Context {
    /// The connection file, which the command cannot do without.
    fn file(&self) -> Result<&Path> {
        match self.connections.as_slice() {
            [only] => Ok(only),
            [] => Err(Error::usage("no connection file given")
                .hint("add -c FILE; `host-runner init -o FILE` writes one")),
            _ => {
                Err(Error::usage("several connection files given")
                    .hint("only `serve` takes more than one -c"))
            }
        }
    }

    /// What the file says, without its component.
    fn connection(&self) -> Result<Connection> {
        Connection::load(self.file()?, &|name: &str| std::env::var(name).ok())
    }

    async fn tenant(&self) -> Result<Tenant> {
        Tenant::load(self.file()?, &self.paths).await
    }

    /// What the server that has the connection answers; none if none has it, so that the command does it itself.
    async fn ask<T: DeserializeOwned>(&self, name: &str, request: Request) -> Result<Option<T>> {
        let (data, name) = (self.paths.data.clone(), name.to_owned());
        let asking = tokio::task::spawn_blocking(move || control::ask(&data, &name, &request));
        let answer = asking.await.map_err(|error| Error::host(format!("stopped: {error}")))?;
        let Some(answer) = answer.transpose()? else { return Ok(None) };
        let unusable = |error| {
            Error::host(format!("the server's answer cannot be used: {error}"))
                .hint("use the command line and the server of one version")
        };
        serde_json::from_value(answer).map(Some).map_err(unusable)
    }
}

/// Runs the program; the answer is its exit code.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _closed = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Success };
        }
    };
    let redactor = Redactor::default();
    // A server's log is all that is seen of it: it says what happens without being asked.
    let verbose = cli.global.verbose.saturating_add(u8::from(matches!(cli.command, Command::Serve(_))));
    telemetry::start(verbose, cli.global.log_format, &redactor);
    let printer = Printer { json: cli.global.json, redactor: redactor.clone() };
    let paths = Paths {
        data: cli.global.data,
        component: cli.global.component,
        key_file: cli.global.key_file,
        redactor,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return printer.error(&Error::host(format!("cannot start: {error}"))),
    };
    let (stopper, stop) = stop::channel();
    runtime.spawn(async move {
        if listen_for_stops(&stopper).await.is_some() {
            std::process::exit(Exit::Interrupted as i32);
        }
    });
    let context = Context { printer, paths, connections: cli.global.connection, stop };
    let outcome = runtime.block_on(run(cli.command, &context));
    let exit = outcome.unwrap_or_else(|error| context.printer.error(&error));
    // Calls that are still under way, such as a name lookup, are not waited for.
    runtime.shutdown_background();
    exit
}

/// The first ctrl-c or SIGTERM asks everyone to stop; returns at the second. None if signals cannot be had.
async fn listen_for_stops(stopper: &Stopper) -> Option<()> {
    use tokio::signal::unix::{SignalKind, signal};
    // Both are heard from the start, so that two in a row are two.
    let mut interrupt = signal(SignalKind::interrupt()).ok()?;
    let mut terminate = signal(SignalKind::terminate()).ok()?;
    for _ in 0..2 {
        tokio::select! {
            told = interrupt.recv() => told?,
            told = terminate.recv() => told?,
        }
        stopper.stop();
    }
    Some(())
}

/// Runs a command; ctrl-c ends it, except `sync` and `serve`, which end in their own way.
async fn run(command: Command, context: &Context) -> Result<Exit> {
    match &command {
        Command::Sync(sync) => return sync::run(sync, context).await,
        Command::Serve(serve) => return serve::run(serve, context).await,
        _ => {}
    }
    let mut stop = context.stop.clone();
    tokio::select! {
        outcome = run_short(command, context) => outcome,
        () = stop.requested() => Ok(Exit::Interrupted),
    }
}

async fn run_short(command: Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Inspect => inspect::run(context).await,
        Command::Spec(spec) => spec::run(&spec, context).await,
        Command::Init(init) => init::run(&init, context).await,
        Command::Authorize(authorize) => authorize::run(&authorize, context).await,
        Command::Check(check) => check::run(&check, context).await,
        Command::Discover => discover::run(context).await,
        Command::Count(count) => count::run(&count, context).await,
        Command::Sync(sync) => sync::run(&sync, context).await,
        Command::Serve(serve) => serve::run(&serve, context).await,
        Command::Webhook(webhook) => webhook::run(&webhook, context).await,
        Command::DeadLetters(letters) => dead_letters::run(&letters, context),
        Command::Run(run) => command::run(&run, context).await,
        Command::State(state) => state::run(&state, context).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "host-runner", &mut script);
            context.printer.raw(&String::from_utf8_lossy(&script));
            Ok(Exit::Success)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent_and_its_help_teaches() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{} has no example", command.get_name());
        }
    }
}
