//! Sorts the component's answers to a batch of deliveries: rows to store, dead letters, and deliveries to
//! retry. Pure.

use crate::change::{Change, Receipt};
use crate::error::{Error, Kind, Origin, Result};
use crate::inbox::Cause;
use crate::policy::{self, Disposition};

/// See the file's header.
#[derive(Debug, Default)]
pub(super) struct Triage {
    /// Rows, in the order of their deliveries.
    pub(super) changes: Vec<Change>,
    /// Deliveries that the component applied.
    pub(super) applied: Vec<u64>,
    /// Names of events that belong to no table.
    pub(super) ignored: Vec<String>,
    /// Deliveries that become dead letters, and why.
    pub(super) dead: Vec<(u64, Cause, Error)>,
    /// Deliveries that are retried, and why.
    pub(super) retried: Vec<(u64, Error)>,
}

/// A delivery that was handed to the component.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) seq: u64,
    pub(super) received_at_ms: u64,
}

impl Triage {
    /// Goes through the answers in order. `has_place` says whether the sink has a place for a table's rows.
    ///
    /// A change without a time counts as of the receipt of its delivery, so that neither a retry nor a
    /// repetition makes it newer.
    pub(super) fn of(
        answers: impl Iterator<Item = (Taken, Result<Receipt>)>,
        has_place: impl Fn(&str) -> bool,
    ) -> Self {
        let mut triage = Self::default();
        for (Taken { seq, received_at_ms }, answer) in answers {
            match answer {
                Ok(receipt) => {
                    if let Some(change) = receipt.changes.iter().find(|change| !has_place(&change.table)) {
                        let unknown = format!("table `{}`: was not discovered yet", change.table);
                        let unknown = Error::new(Origin::Host, Kind::Unavailable, unknown);
                        triage.retried.push((seq, unknown));
                        continue;
                    }
                    triage.applied.push(seq);
                    triage.changes.extend(receipt.changes.into_iter().map(|change| Change {
                        as_of_ms: change.as_of_ms.or(Some(received_at_ms)),
                        ..change
                    }));
                    let ignored = receipt.attributes.into_iter().filter(|(name, _)| name == "ignored");
                    triage.ignored.extend(ignored.map(|(_, event)| event));
                }
                Err(error) if policy::of(&error).delivery == Disposition::DeadLetter => {
                    triage.dead.push((seq, Cause::Refused, error));
                }
                Err(error) => triage.retried.push((seq, error)),
            }
        }
        triage
    }
}

#[cfg(test)]
mod tests {
    use super::{Taken, Triage};
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
        let taken = (10..).map(|seq| Taken { seq, received_at_ms: seq * 1_000 });
        Triage::of(taken.zip(answers), |table| table == "things")
    }

    #[test]
    fn deliveries_that_would_be_refused_again_are_dead_letters() {
        for kind in [Kind::Config, Kind::Permission, Kind::NotFound, Kind::Data, Kind::Unsupported] {
            let triage = of(vec![taken("a"), refused(kind), taken("b")]);
            let ids: Vec<&str> = triage.changes.iter().map(|change| change.id.as_str()).collect();
            assert_eq!(ids, ["a", "b"], "{kind:?}");
            assert_eq!(triage.applied, [10, 12]);
            assert_eq!(triage.dead.first().map(|(seq, _, _)| *seq), Some(11));
            assert_eq!(triage.ignored, ["event-a", "event-b"]);
        }
    }

    #[test]
    fn a_delivery_that_may_pass_later_is_retried_and_those_behind_it_are_applied() {
        for kind in [Kind::Auth, Kind::RateLimited, Kind::Unavailable, Kind::Internal] {
            let triage = of(vec![taken("a"), refused(kind), taken("b")]);
            assert_eq!(triage.applied, [10, 12], "{kind:?}");
            assert_eq!(triage.retried.first().map(|(seq, _)| *seq), Some(11));
        }
    }

    #[test]
    fn a_change_without_a_time_counts_as_of_the_receipt_of_its_delivery() {
        let mut dated = taken("a").expect("a receipt");
        dated.changes[0].as_of_ms = Some(7);
        let triage = of(vec![Ok(dated), taken("b")]);
        let times: Vec<Option<u64>> = triage.changes.iter().map(|change| change.as_of_ms).collect();
        assert_eq!(times, [Some(7), Some(11_000)]);
    }

    #[test]
    fn a_delivery_for_a_table_that_is_not_known_yet_is_retried() {
        let mut other = taken("a").expect("a receipt");
        other.changes[0].table = "others".to_owned();
        let triage = of(vec![Ok(other), taken("b")]);
        assert_eq!((triage.applied, triage.retried.len()), (vec![11], 1));
    }
}
