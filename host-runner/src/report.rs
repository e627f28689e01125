//! The only printer: data to stdout, everything else to stderr, secrets removed, control characters shown.
//!
//! A pipe that is closed by its reader ends the program quietly.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Error;
use crate::exit::Exit;
use crate::secret::Redactor;
use crate::sync::error_json;

/// Prints for one command.
#[derive(Clone, Debug)]
pub struct Printer {
    /// Machine output on stdout.
    pub json: bool,
    /// What must not be printed.
    pub redactor: Redactor,
}

impl Printer {
    /// Text for people.
    pub fn text(&self, text: &str) {
        let clean = escaped(&self.redactor.redact(text));
        stdout(clean.trim_end_matches('\n'));
    }

    /// A value for machines, on one line.
    pub fn value(&self, value: &Value) {
        stdout(&self.redactor.redact_value(value).to_string());
    }

    /// A file's content, as it is but for secrets.
    pub fn raw(&self, text: &str) {
        stdout(self.redactor.redact(text).trim_end_matches('\n'));
    }

    /// A remark that is not data.
    pub fn note(&self, text: &str) {
        stderr(&escaped(&self.redactor.redact(text)));
    }

    /// An error, once: as JSON on stdout for machines, else in words on stderr.
    pub fn error(&self, error: &Error) -> Exit {
        if self.json {
            self.value(&json!({ "error": error_json(error) }));
        } else {
            stderr(&escaped(&self.redactor.redact(&worded(error))));
        }
        Exit::from(error)
    }
}

/// The error, a blank line, the hint.
pub fn worded(error: &Error) -> String {
    let mut text = format!("error: {}", error.message);
    if let Some(code) = error.code.as_deref().filter(|code| !error.message.contains(code)) {
        let _infallible = write!(text, " ({code})");
    }
    if let Some(hint) = &error.hint {
        let _infallible = write!(text, "\n\nhint: {hint}");
    }
    text
}

/// Text from outside cannot move the cursor, clear the screen or reorder what is read.
pub fn escaped(text: &str) -> String {
    let hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    if !text.chars().any(hidden) {
        return text.to_owned();
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) { clean.extend(c.escape_unicode()) } else { clean.push(c) }
    }
    clean
}

fn stdout(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    if let Err(error) = written {
        let exit = if error.kind() == ErrorKind::BrokenPipe { Exit::Success } else { Exit::Internal };
        std::process::exit(exit as i32);
    }
}

fn stderr(text: &str) {
    // Nobody is left to be told when stderr is closed.
    let _closed = writeln!(std::io::stderr().lock(), "{text}");
}

/// Rows of text as aligned columns; numbers to the right.
pub fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = width(column).saturating_sub(cell.chars().count());
            let (before, after) = if right.contains(&column) { (pad, 0) } else { (0, pad) };
            let gap = if column > 0 { 2 } else { 0 };
            line.extend(std::iter::repeat_n(' ', gap + before));
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', after));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration, rounded up: `45 s`, `12 min`, `3 h 5 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    match (seconds / 3600, seconds % 3600 / 60) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{} min", seconds.div_ceil(60)),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// Milliseconds as `0.8 s` or `3 min 20 s`.
pub fn elapsed(ms: u64) -> String {
    match ms / 1000 {
        seconds @ 0..60 => format!("{seconds}.{} s", ms % 1000 / 100),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::{columns, duration, elapsed, escaped, grouped, worded};
    use crate::error::Error;

    #[test]
    fn errors_have_a_thing_what_happened_and_a_hint() {
        let error = Error::usage("component x: not found").hint("give one");
        assert_eq!(worded(&error), "error: component x: not found\n\nhint: give one");
    }

    #[test]
    fn text_from_outside_cannot_play_with_the_terminal() {
        assert_eq!(escaped("a\u{1b}[2Jb\rc\u{202e}d\ne\tf"), "a\\u{1b}[2Jb\\u{d}c\\u{202e}d\ne\tf");
        assert_eq!(escaped("grüße 漢字 🎉"), "grüße 漢字 🎉");
    }

    #[test]
    fn tables_are_aligned() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let rows = [row(&["table", "rows"]), row(&["a", "1,000"]), row(&["grüße", "5"])];
        assert_eq!(columns(&rows, &[1]), "table   rows\na      1,000\ngrüße      5\n");
    }

    #[test]
    fn durations_read_naturally() {
        let read = |ms| duration(std::time::Duration::from_millis(ms));
        assert_eq!(read(1), "1 s");
        assert_eq!(read(45_000), "45 s");
        assert_eq!(read(61_000), "2 min");
        assert_eq!(read(11_100_000), "3 h 5 min");
    }

    #[test]
    fn numbers_and_times_read_naturally() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1234), "1,234");
        assert_eq!(grouped(123_456_789), "123,456,789");
        assert_eq!(elapsed(840), "0.8 s");
        assert_eq!(elapsed(200_000), "3 min 20 s");
    }
}
