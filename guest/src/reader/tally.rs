//! Which records are given up: those that keep failing while others can be read.
//!
//! Records that were read are not asked for again, so that a later call may ask for the failing ones alone.
//! Then one that was read before is asked for as well: its answer distinguishes records that always fail from
//! an outage.

use crate::api::Api;
use crate::error::{Error, Kind, Result, Scope};
use crate::limits;
use crate::table::Table;
use crate::transport::Transport;

/// The calls that are compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    Records,
    /// Lists below parents.
    Lists,
}

/// How many of the calls of one step failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    failed: usize,
    /// Others of them could be read.
    has_others: bool,
}

impl Tally {
    /// A list that failed alone, while another one can be read.
    pub(super) const LIST_BESIDE_OTHERS: Self = Self { failed: 1, has_others: true };

    /// Counts the calls of `paths` that failed by these results.
    pub(super) fn of<T: Transport, V>(
        api: &mut Api<T>,
        table: &Table,
        calls: Calls,
        paths: &[String],
        results: &[Result<V>],
    ) -> Self {
        let asked = |(_, result): &(_, &Result<V>)| !matches!(result, Err(error) if error.is_not_asked());
        let (paths, failures): (Vec<&String>, Vec<Option<Scope>>) =
            paths.iter().zip(results).filter(asked).map(|(path, result)| (path, failure(result))).unzip();
        let failed = failures.iter().flatten().count();
        let read = paths.iter().zip(&failures).rfind(|(_, failure)| failure.is_none());
        let key = format!("{} {calls:?}", table.name);
        api.learned().note_readable(&key, read.map(|(path, _)| path.as_str()), failed > 0);
        let mut has_others = failures.len() - failed >= failed;
        let are_missing = failures.contains(&Some(Scope::Record));
        if !has_others && (are_missing || failures.contains(&Some(Scope::Request))) {
            has_others = api.session().learned.readable(&key).is_some_and(|path| match api.get(&path) {
                Ok(_) => true,
                Err(error) => error.scope() == Scope::Record && !(are_missing && error.is_missing()),
            });
        }
        Self { failed, has_others }
    }

    /// True when a record that the source does not know was deleted: others can be read. Where all are
    /// missing, it may be the API that is not there.
    pub(super) fn proves_missing(self) -> bool {
        self.has_others
    }

    /// True when a record that failed is given up: it failed before, too, a while ago.
    pub(super) fn gives_up<T: Transport>(
        self,
        api: &mut Api<T>,
        table: &Table,
        id: &str,
        error: &Error,
    ) -> bool {
        let is_own = match error.kind {
            Kind::Unavailable => error.is_of_request(),
            Kind::Data | Kind::NotFound => true,
            // A missing scope is missing for all of them.
            Kind::Permission => self.has_others && !error.lacks_scope(),
            _ => false,
        };
        if !is_own || (!self.has_others && self.failed > limits::FAILED_RECORDS_ALONE) {
            return false;
        }
        let (with_others, alone) = limits::FAILED_RECORD_CALLS;
        let failures = if self.has_others { with_others } else { alone };
        let now_ms = api.transport().now_ms();
        api.learned().forget_given_up(table.name, id, failures, now_ms);
        api.gives_up(table.name, id, failures)
    }
}

/// A failure that is no lack of rights to a record; the absence of one counts until it is proved.
fn failure<V>(result: &Result<V>) -> Option<Scope> {
    result.as_ref().err().filter(|error| !error.is_hidden()).map(Error::scope)
}
