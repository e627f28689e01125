//! The length of a list, compared with the source's count.

use super::count;
use super::output::Output;
use crate::api::Api;
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::table::{Incremental, Table};
use crate::tables;
use crate::transport::Transport;
use crate::url::Path;

/// The name under which failures of a table's count are counted.
const COUNT: &str = "count";

/// Checks the length of a list that ended by the source's count. An error when it is empty and the source
/// counts rows: a wrong portal and a lost permission look like empty lists (`zoho-desk-api.md` §8.12, §8.15),
/// and the sink would delete the whole table. A list that is too short, or that cannot be checked, is
/// incomplete. False when rows are missing.
pub(super) fn verify<T: Transport>(
    api: &mut Api<T>,
    table: &Table,
    listed: u64,
    out: &mut Output,
) -> Result<bool> {
    // A list of children is that of their parents; whether it is rightly empty, their own search shows.
    let counts = tables::parent(table).filter(|_| listed > 0).unwrap_or(table);
    let path = match (counts.count, table.incremental) {
        (Some(path), Incremental::Search { .. }) => Path::new(path),
        (Some(path), _) if listed == 0 => Path::new(path),
        (None, Incremental::Search { path, .. }) => count::of_search(path),
        _ => return Ok(true),
    };
    let counted = match count::sum(api, table, &path) {
        Ok(counted) => counted,
        Err(error) => {
            // The list could be read: a count that keeps failing stops no table.
            let (_, alone) = limits::FAILED_RECORD_CALLS;
            if error.needs_person() || (!error.is_refusal() && !api.gives_up(table.name, COUNT, alone)) {
                return Err(error);
            }
            api.learned().forget_failures(table.name, COUNT);
            let what = if listed == 0 { "is empty".to_owned() } else { format!("has {listed} rows") };
            let name = table.name;
            out.skip(format!("the list of `{name}` {what}, and that cannot be checked: {error}"));
            return Ok(true);
        }
    };
    if listed > 0 {
        let is_short = listed + may_lack(counted) < counted;
        let short = if is_short { counted - listed } else { 0 };
        let before = api.learned().replace_short_list(table.name, short);
        let is_whole =
            !is_short || (is_as_before(counts, listed, short, before) && !finds_more(api, counts, listed));
        if !is_whole {
            out.skip(format!(
                "the list of `{}` has {listed} rows, but the source counts {counted}: the list ends early, \
                 or the source counts rows that it does not list",
                table.name
            ));
            return Ok(false);
        }
    }
    if listed > 0 || counted == 0 {
        return Ok(true);
    }
    let message = format!("the list of `{}` is empty, but the source counts {counted} rows", table.name);
    Err(Error::new(Kind::Permission, message).code("HIDDEN").hint(
        "no row is deleted for it; the user who generated the code may see none of them, or \
         `organization_id` or `department_ids` are of another portal: generate the code as an administrator \
         of the right one",
    ))
}

/// True unless the search, which leaves archived records out as the list does, counts no more rows than were
/// listed.
fn finds_more<T: Transport>(api: &mut Api<T>, table: &Table, listed: u64) -> bool {
    let Incremental::Search { path, .. } = table.incremental else { return true };
    !count::sum(api, table, &count::of_search(path))
        .is_ok_and(|counted| counted <= listed + may_lack(counted))
}

/// Rows by which a list may be shorter than the count.
pub(super) fn may_lack(counted: u64) -> u64 {
    (counted * limits::LIST_SHORT_PERCENT / 100).max(limits::LIST_SHORT_ROWS)
}

/// True when a list that is `short` rows shorter than the source's count is whole all the same: the source
/// counts archived records. Then it was short by as many before, and does not end at a round number, as a
/// list with a cap does. Of others the search that counts them finds the rows that the list lacks.
fn is_as_before(table: &Table, listed: u64, short: u64, before: Option<u64>) -> bool {
    let is_equal = before.is_some_and(|before| before.abs_diff(short) <= may_lack(short));
    let to_cap = (listed + 1) % limits::LIST_CAP_STEP;
    table.has_archive && is_equal && to_cap > 2
}
