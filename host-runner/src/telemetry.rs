//! Logs: structured, on stderr, with secrets removed from the values of each line ([`format`]).
//!
//! Under `serve` a separate thread writes them: a reader of stderr that stalls stalls nothing else. Lines
//! beyond a bound are dropped and counted then ([`queue`]).
//!
//! Stable field names: `table`, `rows`, `requests`, `elapsed_ms`, `attempt`, `wait_ms`, `kind`, `origin`,
//! `error`, `denial`, `remedy`. Does not know what is logged.

mod format;
mod news;
mod queue;

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::format::Format;
pub(crate) use self::news::News;
use self::queue::Queue;
use crate::report::escaped;
use crate::secret::Redactor;

/// Bytes of a line; the rest is cut off.
const LINE_BYTES_MAX: usize = 8 << 10;

/// Writes the lines of a server; none for other commands.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Whether each line is a JSON object.
static IS_JSON: OnceLock<bool> = OnceLock::new();

/// Takes events besides stderr.
type Listener = Box<dyn Fn(Level, &str) + Send + Sync>;

/// The listener of this process, if it has one.
static LISTENER: OnceLock<Listener> = OnceLock::new();

/// From now on `listener` gets each event as well: its message and its fields, without secrets.
pub(crate) fn listen(listener: impl Fn(Level, &str) + Send + Sync + 'static) {
    let _first = LISTENER.set(Box::new(listener));
}

/// How lines reach stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// At once, by the thread that logs: lines and errors of a command stay in their order.
    Direct,
    /// By a separate thread.
    Queued,
}

/// Writes to stderr, or hands over to the thread that does.
#[derive(Clone, Copy)]
enum Sink {
    Stderr,
    Queue,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match (self, QUEUE.get()) {
            (Self::Queue, Some(queue)) => queue.push(bytes.to_vec()),
            _ => std::io::stderr().write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The format of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging; `verbose` counts `-v`.
pub(crate) fn start(verbose: u8, format: LogFormat, redactor: &Redactor, output: Output) {
    let own = match verbose {
        0 => Level::WARN,
        1 => Level::INFO,
        2 => Level::DEBUG,
        _ => Level::TRACE,
    };
    // A library's warning also reaches the user as the error of the call; the log repeats it for debugging
    // only.
    let others = if verbose >= 2 { LevelFilter::WARN } else { LevelFilter::ERROR };
    let filter = Targets::new().with_target("host_runner", own).with_default(others);
    let registry = tracing_subscriber::registry().with(filter);
    let sink = match output {
        Output::Direct => Sink::Stderr,
        Output::Queued => {
            QUEUE.get_or_init(|| Queue::start(std::io::stderr()));
            Sink::Queue
        }
    };
    let lines = Lines { terminal: std::io::stderr().is_terminal(), output: move || sink };
    let layer = tracing_subscriber::fmt::layer().with_writer(lines).with_ansi(false);
    // Only the first start of a process counts; tests start several times.
    IS_JSON.get_or_init(|| format == LogFormat::Json);
    let _already = registry.with(layer.event_format(Format::new(format, redactor))).try_init();
}

/// From now on a panic is an event: its text may quote data of any connection, and passes the redactor.
pub(crate) fn log_panics(redactor: &Redactor) {
    let redactor = redactor.of_all();
    std::panic::set_hook(Box::new(move |panic| {
        let panic = redactor.redact(&panic.to_string());
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            tracing::error!("a defect of the runner: {panic}\n{backtrace}");
        } else {
            tracing::error!("a defect of the runner: {panic}");
        }
    }));
}

/// Writes a line for the operator, in its order among the lines of the log; as JSON if they are.
pub(crate) fn line(text: &str) {
    if IS_JSON.get() == Some(&true) {
        tracing::info!("{text}");
        return;
    }
    let _closed = Sink::Queue.write_all(format!("{text}\n").as_bytes());
}

/// Waits until all lines are written; a reader that stalls ends the wait.
pub(crate) fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush();
    }
}

/// Creates one [`Line`] per event.
struct Lines<O> {
    terminal: bool,
    output: O,
}

/// Collects an event in full; writes it as one line when dropped.
struct Line<'a, O: MakeWriter<'a>> {
    lines: &'a Lines<O>,
    bytes: Vec<u8>,
}

impl<'a, O: MakeWriter<'a> + 'a> MakeWriter<'a> for Lines<O> {
    type Writer = Line<'a, O>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { lines: self, bytes: Vec::new() }
    }
}

impl<'a, O: MakeWriter<'a>> Write for Line<'a, O> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a, O: MakeWriter<'a>> Drop for Line<'a, O> {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.bytes);
        let text = one_line(&text);
        // On a terminal the line overwrites the progress line, which is printed again below.
        let clear = if self.lines.terminal { "\r\x1b[K" } else { "" };
        let _closed = self.lines.output.make_writer().write_all(format!("{clear}{text}").as_bytes());
    }
}

/// An event as one line: fields are written as they are, and a line break in one would forge another line.
fn one_line(text: &str) -> String {
    let text = text.trim_end_matches('\n');
    let end = text.floor_char_boundary(LINE_BYTES_MAX);
    let (kept, rest) = text.split_at(end);
    let more = if rest.is_empty() { "" } else { "…" };
    format!("{}{more}\n", escaped(kept).replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use std::io::Seek;
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::{LINE_BYTES_MAX, Lines, log_panics, one_line};
    use crate::secret::Redactor;

    #[test]
    fn a_panic_is_a_redacted_line() {
        let redactor = Redactor::default();
        redactor.learn("acme", "very-secret");
        let mut file = Arc::new(tempfile::tempfile().expect("a file"));
        let lines = Lines { terminal: false, output: Arc::clone(&file) };
        let layer = tracing_subscriber::fmt::layer().with_writer(lines).with_ansi(false);
        let others = std::panic::take_hook();
        log_panics(&redactor);
        let panicked = tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            std::panic::catch_unwind(|| panic!("no such row: very-secret"))
        });
        std::panic::set_hook(others);
        assert!(panicked.is_err());
        file.rewind().expect("a file");
        let written = std::io::read_to_string(&mut file).expect("text");
        assert!(written.contains("a defect of the runner: panicked at"), "{written}");
        assert!(written.contains("no such row: [secret]") && !written.contains("very-secret"), "{written}");
    }

    #[test]
    fn an_event_is_one_line_of_bounded_length_without_control_characters() {
        assert_eq!(
            one_line("WARN failed error=x\n2026-11-23 INFO at work\u{1b}[2J\n"),
            "WARN failed error=x\\n2026-11-23 INFO at work\\u{1b}[2J\n"
        );
        let long = one_line(&"ü".repeat(LINE_BYTES_MAX));
        assert_eq!((long.len(), long.matches('\n').count()), (LINE_BYTES_MAX + "…\n".len(), 1));
    }
}
