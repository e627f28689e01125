//! The command line: global flags, subcommands, help, and one file per command.
//!
//! Turns signals into a stop request and errors into exit codes. A command that only the connection's actor
//! may execute is a [`Request`], see [`Context::request`].

mod airbyte;
mod authorize;
mod check;
mod connection;
mod count;
mod dead_letters;
mod discover;
mod init;
mod input;
mod inspect;
mod invoke;
mod key;
mod plan;
mod serve;
mod singer;
mod spec;
mod state;
mod sync;
mod tool;
mod webhook;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::actor::{Answer, answer_once};
use crate::connection::{Connection, PolicyFile, environment};
use crate::describe::Describe;
use crate::engine::Component;
use crate::error::{Error, Kind, Origin, Result};
use crate::exit::{self, Exit};
use crate::journal::{Journal, JournalLimits};
use crate::limits::Limits;
use crate::loaded::{LoadedConnection, SharedEngine};
use crate::paths::Paths;
use crate::report::Printer;
use crate::request::Request;
use crate::secret::Redactor;
use crate::serve::control;
use crate::stop::{self, Stop, Stopper};
use crate::telemetry::{self, LogFormat, Output};

const ABOUT: &str =
    "Runs a source connector (a sandboxed WebAssembly component) and stores its rows in a database";

const EXAMPLES: &str = "\
First steps:
  host-runner init -o acme.toml           write a connection file, then edit it
  host-runner authorize -c acme.toml --code CODE
  host-runner check -c acme.toml          test hosts, credentials and permissions
  host-runner sync -c acme.toml           read all tables; run it again to continue
";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "host-runner",
    version,
    about = ABOUT,
    after_help = format!("{EXAMPLES}\n{}", exit::help()),
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
    /// The component; default: `component` of the connection file, else the only *.wasm next to this program
    #[arg(long, global = true, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Folder for sessions, locks and compiled code
    #[arg(long, global = true, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Key that seals sessions, 32 bytes in base64 or hex; default: $HOST_RUNNER_KEY, else DATA/key
    /// (generated at first use)
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Policy file: the components, hosts, limits, paths and variables that connection files may name
    #[arg(long, global = true, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print JSON on stdout, and nothing else there
    #[arg(long, global = true)]
    json: bool,
    /// Log more: -v progress, -vv every call, -vvv everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Format of the log lines on stderr
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show everything that the component can access
    #[command(after_help = inspect::HELP)]
    Inspect,
    /// Show the component's own description: configuration, scopes, tables, commands
    #[command(after_help = spec::HELP)]
    Spec(spec::Spec),
    /// Write a commented connection file from the component's own schema
    #[command(after_help = init::HELP)]
    Init(init::Init),
    /// Exchange a code or grant for a session, which is stored sealed
    #[command(after_help = authorize::HELP)]
    Authorize(authorize::Authorize),
    /// Test hosts, credentials, permissions and webhooks, one line each
    #[command(after_help = check::HELP)]
    Check(check::Check),
    /// List the tables of this account with their columns
    #[command(after_help = discover::HELP)]
    Discover(discover::Discover),
    /// Count rows at the source, where it can
    #[command(after_help = count::HELP)]
    Count(count::Count),
    /// Read tables into the sink until they are caught up
    #[command(after_help = sync::HELP)]
    Sync(sync::Sync),
    /// Keep connections up to date: apply webhooks, poll for missed changes
    #[command(after_help = serve::HELP)]
    Serve(serve::Serve),
    /// Show the webhook URL, register it at the source, remove the registration
    #[command(subcommand, after_help = webhook::HELP)]
    Webhook(webhook::Webhook),
    /// Show, replay or drop deliveries that could not be applied
    #[command(subcommand, after_help = dead_letters::HELP)]
    DeadLetters(dead_letters::DeadLetters),
    /// Run a command of the component
    #[command(after_help = invoke::HELP)]
    Invoke(invoke::Invoke),
    /// Show or reset how far the tables are
    #[command(subcommand, after_help = state::HELP)]
    State(state::State),
    /// Accept further hosts of a component, or remove everything that is kept of a connection
    #[command(subcommand, after_help = connection::HELP)]
    Connection(connection::ConnectionCommand),
    /// Replace the key that seals sessions
    #[command(subcommand, after_help = key::HELP)]
    Key(key::KeyCommand),
    /// Be a source of Airbyte: write rows as messages on standard output
    #[command(subcommand, after_help = airbyte::HELP)]
    Airbyte(airbyte::Airbyte),
    /// Be a tap of Singer: write rows as messages on standard output
    #[command(after_help = singer::HELP)]
    Singer(singer::Singer),
    /// Print a completion script
    #[command(after_help = "Example:\n  host-runner completions bash > /etc/bash_completion.d/host-runner")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The parsed global flags, as every command gets them.
struct Context {
    printer: Printer,
    paths: Paths,
    connections: Vec<PathBuf>,
    stop: Stop,
}

impl Context {
    /// The only connection file given.
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

    /// The connection file, without its component.
    fn connection(&self) -> Result<Connection> {
        Connection::load_within(self.file()?, &environment, self.paths.policy.as_ref())
    }

    /// The connection file with its component.
    async fn loaded(&self) -> Result<LoadedConnection> {
        LoadedConnection::load(self.connection()?, &self.paths).await
    }

    /// The journal of the data folder; none if there is none, because opening would create one.
    fn journal(&self) -> Result<Option<Journal>> {
        let path = self.paths.journal();
        if path.exists() { Journal::join(path, JournalLimits::default()).map(Some) } else { Ok(None) }
    }

    /// The component that a flag or the connection file names, or the only one next to this program.
    fn component(&self) -> Result<Component> {
        let named = if self.connections.is_empty() { None } else { self.connection()?.component };
        SharedEngine::default().component(&self.paths.component(named.as_deref())?, &self.paths)
    }

    /// The `describe` document of that component.
    async fn describe(&self) -> Result<Arc<Describe>> {
        self.component()?.describe(&Limits::default()).await
    }

    /// Has the connection's actor execute a request: that of the server that has the connection, else one in
    /// this process that lives for this request.
    async fn request<T: DeserializeOwned>(&self, connection: &Connection, request: Request) -> Result<T> {
        let answer = match self.ask_server(&connection.name, &request, Duration::ZERO).await {
            Some(answer) => answer,
            None => match answer_once(connection.clone(), &self.paths, &request).await {
                // Maybe a server that opens the connection: it takes the lock before requests.
                Err(error) if (error.origin, error.kind) == (Origin::State, Kind::Unavailable) => {
                    let answer = self.ask_server(&connection.name, &request, control::OPENS_WITHIN).await;
                    answer.unwrap_or(Err(error))
                }
                answer => answer,
            },
        }?;
        serde_json::from_value(answer).map_err(|error| {
            Error::host(format!("the server's answer cannot be used: {error}"))
                .hint("use the command line and the server of one version")
        })
    }

    /// The answer of the server that has the connection; none if no server has it within that time.
    async fn ask_server(&self, connection: &str, request: &Request, within: Duration) -> Option<Answer> {
        let route = control::Route::Connection(connection.to_owned(), request.clone());
        control::request(&self.paths.data, &route, within).await
    }
}

/// Runs the program and returns its exit code.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _closed = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Success };
        }
    };
    // Rows, logs and connection files hold customers' data and secrets: they are for this user alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Memory holds the key, tokens and deliveries: none of it goes to disk when the process aborts.
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _as_before = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    let is_server = matches!(cli.command, Command::Serve(_));
    let redactor = if is_server { Redactor::default().of_server() } else { Redactor::default() };
    // The log is a server's only output, so `serve` logs one level more.
    let verbose = cli.global.verbose.saturating_add(u8::from(is_server));
    let output = if is_server { Output::Queued } else { Output::Direct };
    telemetry::start(verbose, cli.global.log_format, &redactor, output);
    telemetry::log_panics(&redactor);
    let printer = Printer { json: cli.global.json, redactor: redactor.clone() };
    let mut paths = Paths::new(cli.global.data, cli.global.component, cli.global.key_file, redactor);
    match cli.global.policy.as_deref().map(PolicyFile::load).transpose() {
        Ok(policy) => paths.policy = policy.map(Arc::new),
        Err(error) => return printer.error(&error),
    }
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
    // The log's last lines come before the error.
    telemetry::flush();
    let exit = outcome.unwrap_or_else(|error| context.printer.error(&error));
    // Does not wait for blocking calls, such as a name lookup.
    runtime.shutdown_background();
    exit
}

/// Requests a stop at the first SIGINT or SIGTERM and returns at the second; none if signals cannot be
/// received.
async fn listen_for_stops(stopper: &Stopper) -> Option<()> {
    use tokio::signal::unix::{SignalKind, signal};
    // Both handlers exist before the first signal, so that two signals in a row count as two.
    let mut interrupt = signal(SignalKind::interrupt()).ok()?;
    let mut terminate = signal(SignalKind::terminate()).ok()?;
    for _ in 0..2 {
        tokio::select! {
            received = interrupt.recv() => received?,
            received = terminate.recv() => received?,
        }
        stopper.stop();
    }
    Some(())
}

/// Runs a command. A stop drops it, except those that read tables, which finish their commits.
async fn run(command: Command, context: &Context) -> Result<Exit> {
    let stops_itself = matches!(
        command,
        Command::Sync(_)
            | Command::Serve(_)
            | Command::Airbyte(airbyte::Airbyte::Read(_))
            | Command::Singer(_)
    );
    let mut stop = context.stop.clone();
    tokio::select! {
        outcome = dispatch(command, context) => outcome,
        () = stop.requested(), if !stops_itself => Ok(Exit::Interrupted),
    }
}

async fn dispatch(command: Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Inspect => inspect::run(context).await,
        Command::Spec(spec) => spec::run(&spec, context).await,
        Command::Init(init) => init::run(&init, context).await,
        Command::Authorize(authorize) => authorize::run(&authorize, context).await,
        Command::Check(check) => check::run(&check, context).await,
        Command::Discover(discover) => discover::run(&discover, context).await,
        Command::Count(count) => count::run(&count, context).await,
        Command::Sync(sync) => sync::run(&sync, context).await,
        Command::Serve(serve) => serve::run(&serve, context).await,
        Command::Webhook(webhook) => webhook::run(&webhook, context).await,
        Command::DeadLetters(letters) => dead_letters::run(&letters, context).await,
        Command::Invoke(invoke) => invoke::run(&invoke, context).await,
        Command::State(state) => state::run(&state, context).await,
        Command::Key(command) => key::run(&command, context),
        Command::Connection(command) => connection::run(&command, context).await,
        Command::Airbyte(airbyte) => airbyte::run(&airbyte, context).await,
        Command::Singer(singer) => singer::run(&singer, context).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "host-runner", &mut script);
            let script = String::from_utf8_lossy(&script);
            match context.printer.json {
                true => context.printer.value(&json!({ "shell": shell.to_string(), "script": script })),
                false => context.printer.raw(&script),
            }
            Ok(Exit::Success)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn every_command_has_help_with_an_example() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{} has no example", command.get_name());
        }
    }

    #[test]
    fn the_terminal_breaks_the_lines_of_help_and_its_author_does_not() {
        for command in Cli::command().get_subcommands() {
            let (name, help) = (command.get_name(), command.get_after_help());
            let help = help.map(ToString::to_string).unwrap_or_default();
            let (prose, examples) = help.split_once("Example").expect("an example");
            for paragraph in prose.split_terminator("\n\n") {
                assert!(!paragraph.contains('\n'), "{name}: {paragraph}");
            }
            let long = examples.lines().find(|line| line.chars().count() > 100);
            assert_eq!(long, None, "{name}");
        }
    }
}
