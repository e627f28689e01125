//! Where this process left the database: recognizes one that was restored to an earlier commit.
//!
//! Pure. A session that breaks is replaced within a call, so the actor does not notice that another
//! server answers: a standby that was promoted without the last commits, or a backup. Rows that were in them
//! would be missing for good, because the cursors in memory are past them.

use std::cell::Cell;

use crate::error::{Error, Kind, Origin, Result};

/// The commits that the database may end with.
#[derive(Debug)]
pub(super) struct Position {
    last: Cell<i64>,
    /// The commit that is under way, or whose outcome is unknown.
    asked: Cell<Option<i64>>,
}

impl Position {
    /// A database that ends with a commit.
    pub(super) fn new(last: i64) -> Self {
        Self { last: Cell::new(last), asked: Cell::new(None) }
    }

    /// The database was opened, and its progress read.
    pub(super) fn open(&self, last: i64) {
        self.last.set(last);
        self.asked.set(None);
    }

    /// The server is asked to commit.
    pub(super) fn ask(&self, commit: i64) {
        self.asked.set(Some(commit));
    }

    /// The outcome of a commit is known.
    pub(super) fn settle(&self, commit: i64, is_stored: bool) {
        if is_stored {
            self.open(commit);
        } else if self.asked.get() == Some(commit) {
            self.asked.set(None);
        }
    }

    /// Refuses a database that ends with another commit. Nothing else may be under way: its end settles
    /// the commit whose outcome was unknown.
    pub(super) fn check(&self, found: i64) -> Result<()> {
        if found == self.last.get() || Some(found) == self.asked.get() {
            self.open(found);
            return Ok(());
        }
        Err(Error::new(
            Origin::Sink,
            Kind::Internal,
            "PostgreSQL: the database lacks the last commit of this process: it was restored, or a standby \
             without that commit was promoted",
        )
        .hint(
            "the connection continues from what the database has; `serve` does so by itself, and applies \
             deliveries of the last hour again",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Position;

    /// Which of the commits 0 to 4 the database may end with.
    fn allowed(steps: impl Fn(&Position)) -> Vec<i64> {
        let allows = |found: &i64| {
            let position = Position::new(1);
            steps(&position);
            position.check(*found).is_ok()
        };
        (0..5).filter(allows).collect()
    }

    #[test]
    fn only_the_last_commit_and_one_without_an_answer_may_be_the_newest() {
        assert_eq!(allowed(|_| {}), [1]);
        assert_eq!(allowed(|position| position.ask(2)), [1, 2], "its answer was lost");
        assert_eq!(allowed(|position| (position.ask(2), position.settle(2, true)).1), [2]);
        assert_eq!(allowed(|position| (position.ask(2), position.settle(2, false)).1), [1]);
        assert_eq!(allowed(|position| (position.ask(2), position.settle(3, false)).1), [1, 2]);
        let found = |position: &Position| {
            position.ask(2);
            position.check(2).expect("it is stored");
            position.ask(3);
        };
        assert_eq!(allowed(found), [2, 3]);
    }
}
