//! Logs: structured, on stderr, with secrets removed from each line.
//!
//! Stable field names: `table`, `rows`, `requests`, `elapsed_ms`, `attempt`, `wait_ms`, `kind`, `origin`,
//! `error`, `denial`, `remedy`. Does not know what is logged.

use std::io::{IsTerminal, Write};

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::secret::Redactor;

/// The format of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging; `verbose` counts `-v`.
pub fn start(verbose: u8, format: LogFormat, redactor: &Redactor) {
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
    let lines = Lines::new(redactor, std::io::stderr().is_terminal(), std::io::stderr);
    let layer = tracing_subscriber::fmt::layer().with_writer(lines).with_ansi(false);
    // Only the first start of a process counts; tests start several times.
    let _already = match format {
        LogFormat::Text => registry.with(layer.with_target(false)).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
}

/// Creates one [`Line`] per event.
struct Lines<O> {
    redactor: Redactor,
    terminal: bool,
    output: O,
}

/// Collects an event in full, so that no secret is split between two writes; writes it redacted when dropped.
struct Line<'a, O: MakeWriter<'a>> {
    lines: &'a Lines<O>,
    bytes: Vec<u8>,
}

impl<O> Lines<O> {
    fn new(redactor: &Redactor, terminal: bool, output: O) -> Self {
        Self { redactor: redactor.clone(), terminal, output }
    }
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
        let text = self.lines.redactor.redact(&String::from_utf8_lossy(&self.bytes));
        // On a terminal the line overwrites the progress line, which is printed again below.
        let clear = if self.lines.terminal { "\r\x1b[K" } else { "" };
        let _closed = self.lines.output.make_writer().write_all(format!("{clear}{text}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use tracing_subscriber::fmt::MakeWriter;

    use super::Lines;
    use crate::secret::Redactor;

    #[test]
    fn a_secret_that_is_written_in_two_pieces_is_redacted() {
        let redactor = Redactor::default();
        redactor.learn("very-secret");
        let lines = Lines::new(&redactor, false, Mutex::new(Vec::new()));
        let mut line = lines.make_writer();
        line.write_all(b"token=very-").expect("written");
        line.write_all(b"secret\n").expect("written");
        drop(line);
        let written = lines.output.lock().expect("not poisoned").clone();
        assert_eq!(String::from_utf8_lossy(&written), "token=[secret]\n");
    }
}
