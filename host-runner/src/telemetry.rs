//! Logs: structured, on stderr, with secrets removed line by line.
//!
//! Stable field names: `table`, `rows`, `requests`, `elapsed_ms`, `attempt`, `wait_ms`, `kind`, `origin`,
//! `error`, `denial`, `remedy`. Knows nothing of what is logged.

use std::io::{IsTerminal, Write};

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::secret::Redactor;

/// How lines look.
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
    // What libraries warn about reaches people as an error of the call; it is kept for debugging.
    let others = if verbose >= 2 { LevelFilter::WARN } else { LevelFilter::ERROR };
    let filter = Targets::new().with_target("host_runner", own).with_default(others);
    let writer = Writer { redactor: redactor.clone(), terminal: std::io::stderr().is_terminal() };
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    // A second start, as in tests, keeps the first.
    let _already = match format {
        LogFormat::Text => registry.with(layer.with_target(false)).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
}

/// Makes one [`Line`] per event.
struct Writer {
    redactor: Redactor,
    terminal: bool,
}

/// Collects an event and writes it at once, redacted.
struct Line {
    redactor: Redactor,
    terminal: bool,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { redactor: self.redactor.clone(), terminal: self.terminal, bytes: Vec::new() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = self.redactor.redact(&String::from_utf8_lossy(&self.bytes));
        // On a terminal the line takes the place of the progress line, which comes back below it.
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        let _closed = write!(std::io::stderr().lock(), "{clear}{text}");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::Line;
    use crate::secret::Redactor;

    #[test]
    fn a_line_is_collected_whole_so_that_no_secret_slips_through_in_pieces() {
        let redactor = Redactor::default();
        redactor.learn("very-secret");
        let mut line = Line { redactor: redactor.clone(), terminal: false, bytes: Vec::new() };
        line.write_all(b"token=very-").expect("written");
        line.write_all(b"secret").expect("written");
        assert_eq!(redactor.redact(&String::from_utf8_lossy(&line.bytes)), "token=[secret]");
        line.bytes.clear();
    }
}
