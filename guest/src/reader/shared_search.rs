//! The search pages of one window, kept for the other tables of the same round: a table and its children are
//! searched at the same path, and one search serves all of them.
//!
//! Each table reads its own window, with its own cursor. A table that opens a window takes the range of a
//! recent one that covers its own; its requests are then the same, and their answers are here. A page that is
//! not here is asked for. Once rows moved, the pages are of another time than those that follow, and are
//! dropped.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::api::{Answer, Api, SharedSearch};
use crate::cursor::Window;
use crate::error::Result;
use crate::limits;
use crate::table::{Incremental, Table};
use crate::transport::Transport;

/// The window of everything from the overlap before `since_ms` on: to the end of a window that another table
/// opened less than `recent_ms` ago, or to `end_ms`.
pub(super) fn open<T: Transport>(
    api: &mut Api<T>,
    table: &'static Table,
    (since_ms, end_ms): (u64, u64),
    recent_ms: u64,
) -> Window {
    let now_ms = api.transport().now_ms();
    let from_ms = since_ms.saturating_sub(limits::SEARCH_OVERLAP_MS);
    let Some(path) = search_path(table).filter(|path| is_shared(api, table, path)) else {
        return Window::whole(from_ms, end_ms.max(since_ms));
    };
    let is_usable = |shared: &&mut SharedSearch| {
        shared.path == path
            && now_ms.abs_diff(shared.opened_at_ms) <= recent_ms
            && (shared.from_ms..=shared.end_ms).contains(&from_ms)
            && shared.end_ms >= since_ms
            && !shared.used_by.contains(&table.name)
    };
    if let Some(shared) = api.shared_search.as_mut().filter(is_usable) {
        shared.used_by.push(table.name);
        return Window::whole(shared.from_ms, shared.end_ms);
    }
    let window = Window::whole(from_ms, end_ms.max(since_ms));
    api.shared_search = Some(SharedSearch {
        path,
        from_ms,
        end_ms: window.end_ms,
        opened_at_ms: now_ms,
        used_by: vec![table.name],
        pages: BTreeMap::new(),
        bytes: 0,
    });
    window
}

/// The answer to a request that another table of the round made, or to a new one.
pub(super) fn get<T: Transport>(api: &mut Api<T>, table: &'static Table, path: &str) -> Result<Rc<Answer>> {
    let shared = api.shared_search.as_ref().filter(|shared| shared.used_by.contains(&table.name));
    let known = shared.and_then(|shared| shared.pages.get(path));
    if let Some((_, answer)) = known.filter(|(by, _)| *by != table.name) {
        return Ok(Rc::clone(answer));
    }
    let answer = Rc::new(api.get(path)?);
    if let Some(shared) = &mut api.shared_search
        && shared.used_by.contains(&table.name)
        && shared.bytes + answer.size() <= limits::SHARED_SEARCH_BYTES_MAX
    {
        shared.bytes += answer.size();
        shared.pages.insert(path.to_owned(), (table.name, Rc::clone(&answer)));
    }
    Ok(answer)
}

/// Drops the pages: rows moved since they were read.
pub(super) fn forget<T: Transport>(api: &mut Api<T>) {
    if let Some(shared) = &mut api.shared_search {
        shared.pages.clear();
        shared.bytes = 0;
    }
}

/// True when another configured table is searched at the same path.
fn is_shared<T: Transport>(api: &Api<T>, table: &Table, path: &str) -> bool {
    api.config().tables.iter().any(|other| other.name != table.name && search_path(other) == Some(path))
}

fn search_path(table: &Table) -> Option<&'static str> {
    match table.incremental {
        Incremental::Search { path, .. } => Some(path),
        _ => None,
    }
}
