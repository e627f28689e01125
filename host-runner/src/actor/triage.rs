//! Sorts the component's answers to a batch of deliveries: rows to store, dead letters, and the delivery that
//! blocks the queue. Pure.

use crate::change::{Change, Receipt};
use crate::error::{Error, Result};
use crate::journal::Cause;
use crate::policy::{self, Disposition};

/// See the file's header.
#[derive(Debug, Default)]
pub(super) struct Triage {
    /// Rows, in the order of their deliveries.
    pub(super) changes: Vec<Change>,
    /// Deliveries that the component applied.
    pub(super) applied: u64,
    /// Names of events that belong to no table.
    pub(super) ignored: Vec<String>,
    /// Deliveries that become dead letters, and why.
    pub(super) dead: Vec<(u64, Cause, Error)>,
    /// Every delivery through this one is settled; none if the first one blocks.
    pub(super) through: Option<u64>,
    /// The delivery that blocks the queue, and why.
    pub(super) blocked: Option<(u64, Error)>,
}

impl Triage {
    /// Goes through the answers in order, up to the first delivery that is to be retried.
    pub(super) fn of(answers: impl Iterator<Item = (u64, Result<Receipt>)>) -> Self {
        let mut triage = Self::default();
        for (seq, answer) in answers {
            match answer {
                Ok(receipt) => {
                    triage.applied += 1;
                    triage.changes.extend(receipt.changes);
                    let ignored = receipt.attributes.into_iter().filter(|(name, _)| name == "ignored");
                    triage.ignored.extend(ignored.map(|(_, event)| event));
                }
                Err(error) if policy::of(&error).delivery == Disposition::DeadLetter => {
                    triage.dead.push((seq, Cause::Refused, error));
                }
                Err(error) => {
                    triage.blocked = Some((seq, error));
                    return triage;
                }
            }
            triage.through = Some(seq);
        }
        triage
    }

    /// One delivery becomes a dead letter.
    pub(super) fn dead_letter(seq: u64, cause: Cause, error: Error) -> Self {
        Self { dead: vec![(seq, cause, error)], through: Some(seq), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::Triage;
    use crate::change::{Change, ChangeSource, Operation, Receipt};
    use crate::error::{Error, Kind, Origin, Result};

    fn taken(id: &str) -> Result<Receipt> {
        let change = Change {
            table: "things".to_owned(),
            operation: Operation::Update,
            key: "{}".to_owned(),
            before: None,
            after: None,
            source_updated_at_ms: None,
            as_of_ms: None,
            id: id.to_owned(),
            partial: false,
            source: ChangeSource::Snapshot,
        };
        let attributes =
            vec![("ignored".to_owned(), format!("event-{id}")), ("requests".to_owned(), "1".to_owned())];
        Ok(Receipt { changes: vec![change], attributes })
    }

    fn refused(kind: Kind) -> Result<Receipt> {
        Err(Error::new(Origin::Component, kind, "no"))
    }

    fn of(answers: Vec<Result<Receipt>>) -> Triage {
        Triage::of((10..).zip(answers))
    }

    #[test]
    fn deliveries_that_would_be_refused_again_are_dead_letters_and_block_nothing() {
        for kind in [Kind::Config, Kind::Permission, Kind::NotFound, Kind::Data, Kind::Unsupported] {
            let triage = of(vec![taken("a"), refused(kind), taken("b")]);
            let ids: Vec<&str> = triage.changes.iter().map(|change| change.id.as_str()).collect();
            assert_eq!(ids, ["a", "b"], "{kind:?}");
            assert_eq!((triage.applied, triage.through), (2, Some(12)));
            assert_eq!(triage.dead.first().map(|(seq, _, _)| *seq), Some(11));
            assert_eq!(triage.ignored, ["event-a", "event-b"]);
        }
    }

    #[test]
    fn a_delivery_that_may_pass_later_blocks_those_behind_it() {
        for kind in [Kind::Auth, Kind::RateLimited, Kind::Unavailable, Kind::Internal] {
            let triage = of(vec![taken("a"), refused(kind), taken("b")]);
            assert_eq!((triage.changes.len(), triage.through), (1, Some(10)), "{kind:?}");
            assert_eq!(triage.blocked.map(|(seq, _)| seq), Some(11));
            assert_eq!(of(vec![refused(kind)]).through, None);
        }
    }
}
