//! The boundary: everything that a component hands over passes here before anything else looks at it.
//!
//! Checks sizes, counts and names against the table in [`limits`]; takes the secrets out of texts for people,
//! cuts them and removes their control characters, so that they can be logged, printed and stored. Secrets
//! go first: cut or indented, one is not found any more. Costs a few comparisons for each change; rows
//! themselves are bounded by the bytes of a call, and parsed by the sink.

pub(crate) mod limits;

use self::limits::Limit;
use crate::bindings::{source, types, webhook};
use crate::change::Attributes;
use crate::error::Result;
use crate::secret::Redactor;

/// So many times the bytes of a text that are kept are searched for secrets: masks shorten it.
const REDACTED_PER_KEPT: usize = 4;

/// A document that stays as it is: session, subscription, cursor, answer, description.
pub(crate) fn document(limit: &Limit, call: &str, document: &str) -> Result<()> {
    limit.admit(call, document.len())
}

/// A batch; `max_rows` is what the call asked for.
pub(crate) fn batch(batch: &mut types::Batch, max_rows: u32, redactor: &Redactor) -> Result<()> {
    const CALL: &str = "read";
    let asked = usize::try_from(max_rows).unwrap_or(usize::MAX).saturating_mul(2);
    limits::CHANGES.admit_up_to(CALL, batch.changes.len(), asked.max(limits::CHANGES.max))?;
    document(&limits::CURSOR, CALL, &batch.cursor)?;
    changes(CALL, &batch.changes, redactor)?;
    limits::LISTINGS.admit_up_to(CALL, batch.listings.len(), asked.max(limits::LISTINGS.max))?;
    let keys = batch.listings.iter().map(|listing| listing.keys.len()).sum();
    limits::LISTED_KEYS.admit_up_to(CALL, keys, asked.max(limits::LISTED_KEYS.max))?;
    for listing in &batch.listings {
        limits::PARENT.admit(CALL, listing.parent.len())?;
        listing.keys.iter().try_for_each(|key| limits::KEY.admit(CALL, key.len()))?;
    }
    batch.wait_ms = batch.wait_ms.map(wait_ms);
    attributes(&mut batch.attributes, &limits::ATTRIBUTES, redactor);
    Ok(())
}

/// The receipt of one delivery.
pub(crate) fn receipt(receipt: &mut webhook::Receipt, redactor: &Redactor) -> Result<()> {
    const CALL: &str = "receive";
    limits::RECEIPT_CHANGES.admit(CALL, receipt.changes.len())?;
    changes(CALL, &receipt.changes, redactor)?;
    attributes(&mut receipt.attributes, &limits::RECEIPT_ATTRIBUTES, redactor);
    Ok(())
}

/// A piece of a file.
pub(crate) fn piece(piece: &mut types::Piece, redactor: &Redactor) -> Result<()> {
    limits::PIECE.admit("fetch", piece.bytes.len())?;
    attributes(&mut piece.attributes, &limits::ATTRIBUTES, redactor);
    Ok(())
}

fn changes(call: &str, changes: &[types::Change], redactor: &Redactor) -> Result<()> {
    for change in changes {
        table_name(call, &change.table, redactor)?;
        limits::KEY.admit(call, change.key.len())?;
        limits::CHANGE_ID.admit(call, change.id.len())?;
    }
    Ok(())
}

/// Discovered tables.
pub(crate) fn tables(tables: &mut [source::Table], redactor: &Redactor) -> Result<()> {
    const CALL: &str = "discover";
    limits::TABLES.admit(CALL, tables.len())?;
    for table in tables {
        table_name(CALL, &table.name, redactor)?;
        limits::SCHEMA.admit(CALL, table.schema.len())?;
        limits::KEY_MEMBERS.admit(CALL, table.primary_key.len())?;
        for member in &table.primary_key {
            limits::KEY_NAME.admit(CALL, member.len())?;
        }
        attributes(&mut table.attributes, &limits::ATTRIBUTES, redactor);
    }
    Ok(())
}

/// The name that a row gives its attachment: no other member of a row is read by people.
pub(crate) fn file_name(name: &mut String) {
    clean(name, limits::FILE_NAME.max);
}

/// Names become files, tables, labels of metrics and words of messages.
fn table_name(call: &str, name: &str, redactor: &Redactor) -> Result<()> {
    limits::TABLE_NAME.admit(call, name.len())?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if name.is_empty() || !name.bytes().all(is_plain) {
        let name = line(&redactor.redact(name));
        return Err(limits::refused(
            call,
            &format!("table `{name}`: a name has letters, digits, `_`, `.` and `-` only"),
        ));
    }
    // Tables and files of a sink itself, for example `_sync_state`, and hidden files.
    if name.starts_with(['_', '.']) {
        return Err(limits::refused(
            call,
            &format!("table `{name}`: a name starts with a letter, a digit or `-`"),
        ));
    }
    Ok(())
}

/// Check items of the call.
pub(crate) fn check_items(items: &mut [source::CheckItem], redactor: &Redactor) -> Result<()> {
    limits::CHECK_ITEMS.admit("check", items.len())?;
    for item in items {
        text(&mut item.name, limits::ATTRIBUTE.max, redactor);
        lines(&mut item.message, redactor);
        item.hint.iter_mut().for_each(|hint| lines(hint, redactor));
    }
    Ok(())
}

/// An error of the component: it is cut, never refused.
pub(crate) fn error(error: &mut types::Error, redactor: &Redactor) {
    lines(&mut error.message, redactor);
    error.hint.iter_mut().for_each(|hint| lines(hint, redactor));
    error.code.iter_mut().for_each(|code| text(code, limits::TEXT.max, redactor));
    error.retry_after_ms = error.retry_after_ms.map(wait_ms);
    attributes(&mut error.attributes, &limits::ATTRIBUTES, redactor);
}

/// Values become labels of metrics. Names are matched, and are the component's.
fn attributes(attributes: &mut Attributes, count: &Limit, redactor: &Redactor) {
    attributes.truncate(count.max);
    for (name, value) in attributes {
        clean(name, limits::ATTRIBUTE.max);
        text(value, limits::ATTRIBUTE.max, redactor);
    }
}

/// One line for a person, without secrets.
fn text(text: &mut String, max: usize, redactor: &Redactor) {
    *text = redactor.redact_beginning(text, REDACTED_PER_KEPT * max);
    clean(text, max);
}

/// Lines for a person, without secrets.
fn lines(text: &mut String, redactor: &Redactor) {
    *text = redactor.redact_beginning(text, REDACTED_PER_KEPT * limits::TEXT.max);
    clean_lines(text);
}

fn wait_ms(asked: u64) -> u64 {
    asked.min(limits::WAIT.max as u64 * 1000)
}

/// Leaves one line of at most `max` bytes.
fn clean(text: &mut String, max: usize) {
    shorten(text, max);
    if text.chars().any(char::is_control) {
        *text = line(text);
    }
}

/// Leaves lines for a person. All but the first are indented, so that none looks like a line of the runner.
fn clean_lines(text: &mut String) {
    shorten(text, limits::TEXT.max);
    if text.chars().any(char::is_control) {
        let lines: Vec<String> = text.lines().map(line).collect();
        let indented =
            |line: &String| if line.starts_with("  ") { line.clone() } else { format!("  {line}") };
        let rest = lines.iter().skip(1).map(indented);
        *text = lines.iter().take(1).cloned().chain(rest).collect::<Vec<_>>().join("\n");
    }
}

fn shorten(text: &mut String, max: usize) {
    if text.len() > max {
        text.truncate(cut(text, max));
        text.push('…');
    }
}

/// Where to cut: before the last word that would be cut in two. A part of a secret is not redacted.
pub(crate) fn cut(text: &str, max: usize) -> usize {
    let end = text.floor_char_boundary(max);
    text.get(..end).and_then(|kept| kept.rfind(char::is_whitespace)).unwrap_or(0)
}

/// One line: blanks in the place of line breaks and tabs; other control characters are left out.
pub(crate) fn line(text: &str) -> String {
    let plain = |c: char| match c {
        '\n' | '\t' => Some(' '),
        c if c.is_control() => None,
        c => Some(c),
    };
    text.chars().filter_map(plain).collect()
}

#[cfg(test)]
mod tests;
