//! One list of a parent's threads and comments, in place of a list for each kind: half of the credits of a
//! changed ticket.
//!
//! No description of the API has it, so it counts only where it shows as many rows as the counters say,
//! with all their members. Otherwise the lists of the kinds are read.

use super::{Child, Group, Listed, list_path};
use crate::api::Api;
use crate::error::{Error, Result, Scope};
use crate::reader::output::Output;
use crate::row;
use crate::table::{ChildKind, Together};
use crate::transport::Transport;

/// The result of one list of a parent's children of all kinds.
pub(super) enum Joint {
    /// It was not read.
    Unread,
    /// All of them, and when there were no others.
    Whole(Vec<Child>, Option<u64>),
    /// Maybe not all of them, but so many, and why: the lists of the kinds are read.
    Doubtful(usize, Doubt),
}

/// Why a list is in doubt.
pub(super) enum Doubt {
    /// It has fewer rows than the counters say, or none.
    Short,
    /// Its rows lack members.
    Form,
    Refused(Error),
}

/// The name under which a refusal of the list of all kinds is remembered.
pub(in crate::reader) const TOGETHER: &str = "together";

impl Group<'_> {
    /// The children of parents that may have some of several kinds, by one list each.
    pub(super) fn together<T: Transport>(
        &self,
        api: &mut Api<T>,
        is_whole: &mut [bool],
        out: &mut Output,
    ) -> Result<Vec<Joint>> {
        let mut joint: Vec<Joint> = self.parents.iter().map(|_| Joint::Unread).collect();
        // Whether the children of a deleted parent are listed is not documented: an empty list shows nothing.
        let is_asked = !self.write.deletes() && !api.is_unsupported(self.table.name, TOGETHER);
        let Some(together) = self.children.together.as_ref().filter(|_| is_asked) else { return Ok(joint) };
        let has_several = |parent: &usize| self.kinds_of(*parent).count() > 1;
        let wanted: Vec<usize> = (0..self.parents.len()).filter(has_several).collect();
        let paths: Vec<String> =
            wanted.iter().map(|parent| list_path(&together.list, self.parents[*parent].id, 1)).collect();
        for (parent, answer) in wanted.into_iter().zip(api.get_each(&paths)?) {
            joint[parent] = match self.list(api, &together.list, parent, answer) {
                // Each kind's list is as long.
                Ok(list) if list.is_cut => Joint::Unread,
                Ok(list) => self.split(together, parent, list),
                Err(error) if error.scope() == Scope::Connection => {
                    is_whole[parent] = false;
                    out.failure.get_or_insert(error);
                    Joint::Unread
                }
                Err(error) => Joint::Doubtful(0, Doubt::Refused(error)),
            };
        }
        Ok(joint)
    }

    /// The children of one list by their kinds. Doubtful when it is empty, as one of a ticket that does not
    /// exist is, when it has fewer than the counters say, or rows without a kind or a member.
    fn split(&self, together: &'static Together, parent: usize, list: Listed) -> Joint {
        let count = list.children.len();
        let mut found = Vec::with_capacity(count);
        for child in list.children {
            let name = row::text(&child.row, together.kind);
            let kind = self.children.kinds.iter().find(|kind| name.as_deref() == Some(kind.name));
            let (Some(kind), Some(row)) = (kind, row::without(&child.row, &[together.kind])) else {
                return Joint::Doubtful(count, Doubt::Form);
            };
            if kind.list_is_complete && row::text(&row, together.whole).is_none() {
                return Joint::Doubtful(count, Doubt::Form);
            }
            found.push(Child { kind, row, ..child });
        }
        let is_short = |kind: &ChildKind| {
            let listed = found.iter().filter(|child| child.kind.name == kind.name).count();
            row::number(self.parents[parent].row, kind.count).is_some_and(|counted| listed < counted)
        };
        if count == 0 || self.children.kinds.iter().any(is_short) {
            return Joint::Doubtful(count, Doubt::Short);
        }
        Joint::Whole(found, list.whole_ms)
    }

    /// Gives the list of all kinds up when no parent's was usable, and the lists of the kinds show more.
    pub(super) fn judge<T: Transport>(
        &self,
        api: &mut Api<T>,
        joint: &[Joint],
        found: &[Child],
        out: &mut Output,
    ) {
        let Some(together) = &self.children.together else { return };
        if joint.iter().any(|joint| matches!(joint, Joint::Whole(..))) {
            return;
        }
        let reason = |(parent, joint): (usize, &Joint)| {
            let Joint::Doubtful(count, doubt) = joint else { return None };
            match (doubt, found.iter().filter(|child| child.parent == parent).count()) {
                (_, 0) => None,
                (Doubt::Refused(error), _) => Some(error.to_string()),
                (Doubt::Form, _) => Some("its rows lack members".to_owned()),
                (Doubt::Short, listed) => (listed > *count).then(|| "it lacks rows".to_owned()),
            }
        };
        if let Some(reason) = joint.iter().enumerate().find_map(reason) {
            api.note_unsupported(self.table.name, TOGETHER);
            out.warnings.push(format!(
                "`{}`: each kind is listed separately, which costs more calls, because of {}: {reason}",
                self.table.name, together.list.list
            ));
        }
    }
}
