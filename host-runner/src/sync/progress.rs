//! The line on a terminal that shows the progress of `sync`.
//!
//! Writes nothing when stderr is not a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::TableReport;
use crate::clock::millis;
use crate::report::{escaped, thousands};
use crate::secret::Redactor;
use crate::units::format_wait;

/// Between two redraws: no one reads faster.
const REDRAW: Duration = Duration::from_millis(100);

/// The line.
pub(crate) struct Progress {
    terminal: bool,
    redactor: Redactor,
    drawn: Option<Instant>,
    table: String,
    since: Instant,
}

impl Progress {
    /// A line on stderr, if that is a terminal and `wanted`.
    pub(crate) fn new(wanted: bool, redactor: Redactor) -> Self {
        let terminal = wanted && std::io::stderr().is_terminal();
        Self { terminal, redactor, drawn: None, table: String::new(), since: Instant::now() }
    }

    fn draw(&mut self, text: &str) {
        if self.terminal {
            let _closed = write!(std::io::stderr().lock(), "\r\x1b[K{}", self.shown(text));
            self.drawn = Some(Instant::now());
        }
    }

    /// The reason of a wait is in the words of the component.
    fn shown(&self, text: &str) -> String {
        escaped(&self.redactor.redact(text))
    }

    /// A batch was committed.
    pub(crate) fn committed(&mut self, table: &TableReport) {
        if table.table != self.table {
            self.table.clone_from(&table.table);
            self.since = Instant::now();
        }
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        self.draw(&line(table, self.since.elapsed()));
    }

    /// Nothing is read for a while.
    pub(crate) fn waiting(&mut self, what: &str, wait: Duration, why: &str) {
        self.draw(&format!("{what}: waiting {}: {why}", format_wait(wait)));
    }

    /// Removes the line.
    pub(crate) fn clear(&mut self) {
        if self.terminal && self.drawn.take().is_some() {
            let _closed = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

fn line(table: &TableReport, elapsed: Duration) -> String {
    let rows = table.counts.read;
    let mut text = format!("{}: {} rows", table.table, thousands(rows));
    let ms = millis(elapsed);
    if let Some(rate) = rows.saturating_mul(1000).checked_div(ms) {
        text.push_str(&format!(", {} rows/s", thousands(rate)));
    }
    text.push_str(&format!(", {} requests", thousands(table.requests)));
    if let Some(left) = table.credits_left {
        text.push_str(&format!(", {} credits left", thousands(left)));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::TableReport;
    use super::{Progress, line};
    use crate::secret::Redactor;

    #[test]
    fn the_line_shows_no_secret_and_controls_no_terminal() {
        let redactor = Redactor::default();
        redactor.learn("acme", "very-secret");
        let shown = Progress::new(true, redactor).shown("things: waiting 2 s: very-secret\u{1b}[2J");
        assert_eq!(shown, "things: waiting 2 s: [secret]\\u{1b}[2J");
    }

    #[test]
    fn the_line_shows_rows_rate_requests_and_credits() {
        let mut table = TableReport::new("things");
        table.counts.read = 12_000;
        table.requests = 120;
        table.credits_left = Some(5_000);
        assert_eq!(
            line(&table, Duration::from_secs(2)),
            "things: 12,000 rows, 6,000 rows/s, 120 requests, 5,000 credits left"
        );
        assert!(line(&table, Duration::ZERO).starts_with("things: 12,000 rows, 120 requests"));
    }
}
