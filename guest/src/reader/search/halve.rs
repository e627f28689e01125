//! Windows of a search that hold more rows than it can page through.

use crate::api::Api;
use crate::cursor::Window;
use crate::limits;
use crate::paging::Offset;
use crate::reader::output::Output;
use crate::table::{CREATED, Table};
use crate::time;
use crate::transport::Transport;

/// The middle of a range of times; none where it is too short to be halved.
pub(in crate::reader) fn half(from_ms: u64, to_ms: u64) -> Option<u64> {
    let length = to_ms.saturating_sub(from_ms);
    (length > limits::SEARCH_WINDOW_MIN_MS).then_some(from_ms + length / 2)
}

/// Halves a window that holds more rows than a search can page through, and restarts it: by its times, or by
/// the created times of its rows once it is a second long. False when both are too short: then it is read as
/// far as the search pages.
pub(super) fn halve<T: Transport>(
    api: &Api<T>,
    table: &Table,
    window: &mut Window,
    rows: &str,
    out: &mut Output,
) -> bool {
    if let Some(half_ms) = half(window.from_ms, window.to_ms) {
        window.to_ms = half_ms;
        window.offset = Offset::default();
        return true;
    }
    let (from_ms, to_ms, end_ms) = window.created.unwrap_or((0, window.end_ms, window.end_ms));
    let half_ms = half(from_ms, to_ms).filter(|_| !api.is_unsupported(table.name, CREATED.range));
    if let Some(half_ms) = half_ms {
        window.created = Some((from_ms, half_ms, end_ms));
        window.offset = Offset::default();
        return true;
    }
    out.warnings.push(format!(
        "{rows} rows were modified within one second at {}; the search returns only {} of them: a full \
         refresh of the table reads all",
        time::format(window.from_ms),
        limits::SEARCH_ROWS_MAX
    ));
    false
}
