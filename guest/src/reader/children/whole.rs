//! Whether the lists of a parent prove that it has no other children: then the sink deletes those that it
//! holds besides. Part of the reader of children; makes no calls.
//!
//! A list that the user may not see any more is empty, too, and a lost right can shorten one, for example of
//! activities that have several scopes: a list counts where it has as many rows as the parent's counter says.
//! Without the counter none does.

use super::{Child, Group, Shown};
use crate::change::{self, ChangeSource, Listing};
use crate::limits;
use crate::reader::output::Output;
use crate::row;
use crate::table::{ChildKind, Identity};

impl Group<'_> {
    /// For each parent, all its rows, where its lists prove that there are no others. A snapshot compares all
    /// rows, once it is complete.
    pub(super) fn listings(&self, shown: &Shown, found: &[Child], out: &Output) -> Vec<Option<Listing>> {
        let compares = out.source == ChangeSource::Incremental && !self.write.deletes();
        // The one row of a parent is that of its key.
        let can_lose = self.children.kinds.iter().all(|kind| kind.identity != Identity::Parent);
        if !compares || !can_lose {
            return vec![None; self.parents.len()];
        }
        (0..self.parents.len()).map(|parent| self.listing(parent, shown, found, out)).collect()
    }

    fn listing(&self, parent: usize, shown: &Shown, found: &[Child], out: &Output) -> Option<Listing> {
        let found: Vec<&Child> = found.iter().filter(|child| child.parent == parent).collect();
        let proved = self.children.kinds.iter().map(|kind| self.proved_ms(parent, kind, shown, &found, out));
        let as_of_ms = proved.collect::<Option<Vec<u64>>>()?.into_iter().min()?;
        if found.len() > limits::LISTING_KEYS_MAX {
            return None;
        }
        let keys = found.iter().map(|child| self.key(child)).collect::<Option<Vec<String>>>()?;
        let parent = format!(r#"{{"{}":"{}"}}"#, self.children.parent_key, self.parents[parent].id);
        Some(Listing { parent, keys, as_of_ms })
    }

    /// When the parent had no other children of this kind than those found; none where that is not proved.
    fn proved_ms(
        &self,
        parent: usize,
        kind: &ChildKind,
        shown: &Shown,
        found: &[&Child],
        out: &Output,
    ) -> Option<u64> {
        let row = self.parents[parent].row;
        if !row::may_have(row, kind.count) {
            // Its list was not read, and the search index lags: the counter is as recent as the parent.
            return row::time(row, "modifiedTime");
        }
        let whole_ms = out.observed(*shown.get(&(parent, kind.name))?)?;
        let listed = found.iter().filter(|child| child.kind.name == kind.name).count();
        (listed >= row::number(row, kind.count)?).then_some(whole_ms.saturating_sub(limits::LISTING_LAG_MS))
    }

    fn key(&self, child: &Child) -> Option<String> {
        let parent = self.parents[child.parent].id;
        let row = match self.table.key {
            ["id"] => String::new(),
            _ => row::as_child(&child.row, self.children, parent, child.kind)?,
        };
        Some(change::key(self.table, &child.meta, &row).0)
    }
}
