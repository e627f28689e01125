//! The only printer: data to stdout, everything else to stderr, without secrets and control characters.
//!
//! A closed pipe ends the program quietly. Also the forms that people read: errors, aligned columns, numbers,
//! times.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};

use serde_json::{Value, json};

use crate::error::Error;
use crate::exit::Exit;
use crate::secret::Redactor;

/// Prints for one command.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    /// Print JSON on stdout.
    pub json: bool,
    /// Removes secrets from everything printed.
    pub redactor: Redactor,
}

impl Printer {
    /// Prints text for people to stdout.
    pub(crate) fn text(&self, text: &str) {
        let clean = escaped(&self.redactor.redact(text));
        stdout(clean.trim_end_matches('\n'));
    }

    /// Prints a value to stdout, as JSON on one line.
    pub(crate) fn value(&self, value: &Value) {
        stdout(&self.redactor.redact_value(value).to_string());
    }

    /// Prints the content of a file to stdout, control characters included.
    pub(crate) fn raw(&self, text: &str) {
        stdout(self.redactor.redact(text).trim_end_matches('\n'));
    }

    /// Prints a remark to stderr.
    pub(crate) fn note(&self, text: &str) {
        stderr(&escaped(&self.redactor.redact(text)));
    }

    /// Prints an error once: as JSON to stdout, or as text to stderr.
    pub(crate) fn error(&self, error: &Error) -> Exit {
        if self.json {
            self.value(&json!({ "error": error_json(error) }));
        } else {
            stderr(&escaped(&self.redactor.redact(&render_error(error))));
        }
        Exit::from(error)
    }
}

/// The error as JSON, with the exit code.
pub(crate) fn error_json(error: &Error) -> Value {
    let mut value = error.json();
    value["exit"] = json!(Exit::from(error) as u8);
    value
}

/// The error as text: the message with the source's code, a blank line, the hint.
pub(crate) fn render_error(error: &Error) -> String {
    let mut text = format!("error: {}", error.message);
    if let Some(code) = error.code.as_deref().filter(|code| !error.message.contains(code)) {
        let _infallible = write!(text, " ({code})");
    }
    if let Some(hint) = &error.hint {
        let _infallible = write!(text, "\n\nhint: {hint}");
    }
    text
}

/// Escapes characters that move the cursor, clear the screen or reorder text.
pub(crate) fn escaped(text: &str) -> String {
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
    let _closed = writeln!(std::io::stderr().lock(), "{text}");
}

/// Rows of text as aligned columns; the columns `right` are aligned to the right. A cell is one line: words
/// from outside must not look like another row.
pub(crate) fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    let one_line = |cell: &String| cell.replace('\n', "\\n");
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(one_line).collect()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = width.saturating_sub(cell.chars().count());
            let (before, after) = if right.contains(&column) { (pad, 0) } else { (0, pad) };
            let space = if column > 0 { 2 } else { 0 };
            line.extend(std::iter::repeat_n(' ', space + before));
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', after));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A number with thousands separators: `1,234`.
pub(crate) fn thousands(number: u64) -> String {
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

/// The time that something took, in milliseconds: `0.8 s`, `3 min 20 s`.
pub(crate) fn elapsed(ms: u64) -> String {
    match ms / 1000 {
        seconds @ 0..60 => format!("{seconds}.{} s", ms % 1000 / 100),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::{columns, elapsed, escaped, render_error, thousands};
    use crate::error::Error;

    #[test]
    fn an_error_is_rendered_as_message_code_and_hint() {
        let error = Error::usage("component x: not found").hint("give one");
        assert_eq!(render_error(&error), "error: component x: not found\n\nhint: give one");
        let error = Error { code: Some("NO".to_owned()), ..Error::usage("refused") };
        assert_eq!(render_error(&error), "error: refused (NO)");
    }

    #[test]
    fn text_from_outside_cannot_control_the_terminal() {
        assert_eq!(escaped("a\u{1b}[2Jb\rc\u{202e}d\ne\tf"), "a\\u{1b}[2Jb\\u{d}c\\u{202e}d\ne\tf");
        assert_eq!(escaped("grüße 漢字 🎉"), "grüße 漢字 🎉");
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let rows = [row(&["table", "rows"]), row(&["a", "1,000"]), row(&["grüße", "5"])];
        assert_eq!(columns(&rows, &[1]), "table   rows\na      1,000\ngrüße      5\n");
        assert_eq!(columns(&[row(&["fail", "x\nok  token"])], &[]), "fail  x\\nok  token\n");
    }

    #[test]
    fn numbers_and_times_are_readable() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1234), "1,234");
        assert_eq!(thousands(123_456_789), "123,456,789");
        assert_eq!(elapsed(840), "0.8 s");
        assert_eq!(elapsed(200_000), "3 min 20 s");
    }
}
