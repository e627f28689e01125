//! The number of rows of a table, as the source counts them.

use crate::api::Api;
use crate::error::Result;
use crate::table::Table;
use crate::transport::Transport;
use crate::url::Path;

/// Rows of a table in the selected departments; none where the API cannot count them.
pub(crate) fn count<T: Transport>(api: &mut Api<T>, table: &Table) -> Result<Option<u64>> {
    table.count.map(|path| sum(api, table, &Path::new(path))).transpose()
}

/// The smallest page of a search: its answer counts all rows that the search finds.
pub(super) fn of_search(path: &str) -> Path {
    Path::new(path).with("from", 0).with("limit", 1)
}

/// The sum of the counts that `path` answers for the selected departments.
pub(super) fn sum<T: Transport>(api: &mut Api<T>, table: &Table, path: &Path) -> Result<u64> {
    let ids = &api.config().department_ids;
    let paths: Vec<String> = if table.list.departments.is_none() || ids.is_empty() {
        vec![path.clone().into_string()]
    } else {
        ids.iter().map(|id| path.clone().with("departmentId", id).into_string()).collect()
    };
    let mut count = 0;
    for path in paths {
        let answer = api.get(&path)?;
        count += answer.count().or_else(|_| answer.rows().map(|rows| rows.len() as u64))?;
    }
    Ok(count)
}
