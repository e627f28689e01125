//! Parents of other departments, which have no children here.

use std::collections::BTreeMap;

use super::NewRow;
use crate::api::Api;
use crate::limits;
use crate::reader::seen;
use crate::row;
use crate::table::CREATED;
use crate::transport::Transport;

/// Parents of other departments, whose children need not be looked for at each of their changes.
pub(super) struct Foreign<'a> {
    pub(super) known: &'a mut BTreeMap<String, u64>,
    pub(super) unknown_since_ms: u64,
}

impl Foreign<'_> {
    /// False for a parent that was of another department at its last change, and for one that was created
    /// since the last poll, unless a webhook may have brought its children meanwhile.
    pub(super) fn may_have_children<T: Transport>(&self, api: &Api<T>, parent: &NewRow<'_>) -> bool {
        let created_ms = row::time(parent.row, CREATED.member);
        let is_new = self.unknown_since_ms > 0 && created_ms.is_some_and(|at| at >= self.unknown_since_ms);
        !self.known.contains_key(&parent.meta.id) && (!is_new || api.delivered().has_come())
    }

    /// Notes parents of other departments, and forgets those that changed longest ago.
    pub(super) fn add<'b>(&mut self, parents: impl Iterator<Item = &'b NewRow<'b>>) {
        for parent in parents {
            self.known.insert(parent.meta.id.clone(), parent.meta.modified_time_ms.unwrap_or_default());
        }
        seen::bound(self.known, limits::FOREIGN_MAX, 0);
    }
}
