//! What the answers to a batch of deliveries mean: rows to store, dead letters, where to go on. Pure.

use crate::change::{Change, Receipt};
use crate::error::{Error, Kind, Result};

/// What becomes of a delivery that the component refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It will be refused again; others need not wait for it.
    Bury,
    /// It may be taken later; those after it wait, for their order.
    Wait,
}

fn fate(kind: Kind) -> Fate {
    match kind {
        Kind::Config | Kind::Permission | Kind::NotFound | Kind::Data | Kind::Unsupported => Fate::Bury,
        Kind::Auth | Kind::RateLimited | Kind::Unavailable | Kind::Internal => Fate::Wait,
    }
}

/// See the file's header.
#[derive(Debug, Default)]
pub(super) struct Harvest {
    /// Rows, in the order of their deliveries.
    pub(super) changes: Vec<Change>,
    /// Deliveries that the component took.
    pub(super) applied: u64,
    /// Names of events that belong to no table.
    pub(super) ignored: Vec<String>,
    /// Deliveries that become dead letters, with the reason.
    pub(super) buried: Vec<(u64, Error)>,
    /// Every delivery through this one is dealt with; none if not even the first is.
    pub(super) through: Option<u64>,
    /// Why it ends before the last delivery, and with which.
    pub(super) held: Option<(u64, Error)>,
}

impl Harvest {
    /// Goes through the answers in order, until one must wait.
    pub(super) fn of(answers: impl Iterator<Item = (u64, Result<Receipt>)>) -> Self {
        let mut harvest = Self::default();
        for (seq, answer) in answers {
            match answer {
                Ok(receipt) => {
                    harvest.applied += 1;
                    harvest.changes.extend(receipt.changes);
                    let ignored = receipt.attributes.into_iter().filter(|(name, _)| name == "ignored");
                    harvest.ignored.extend(ignored.map(|(_, event)| event));
                }
                Err(error) if fate(error.kind) == Fate::Bury => harvest.buried.push((seq, error)),
                Err(error) => {
                    harvest.held = Some((seq, error));
                    return harvest;
                }
            }
            harvest.through = Some(seq);
        }
        harvest
    }
}

#[cfg(test)]
mod tests {
    use super::Harvest;
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

    fn of(answers: Vec<Result<Receipt>>) -> Harvest {
        Harvest::of((10..).zip(answers))
    }

    #[test]
    fn what_will_be_refused_again_is_buried_and_the_rest_goes_on() {
        for kind in [Kind::Config, Kind::Permission, Kind::NotFound, Kind::Data, Kind::Unsupported] {
            let harvest = of(vec![taken("a"), refused(kind), taken("b")]);
            let ids: Vec<&str> = harvest.changes.iter().map(|change| change.id.as_str()).collect();
            assert_eq!(ids, ["a", "b"], "{kind:?}");
            assert_eq!((harvest.applied, harvest.through), (2, Some(12)));
            assert_eq!(harvest.buried.first().map(|(seq, _)| *seq), Some(11));
            assert_eq!(harvest.ignored, ["event-a", "event-b"]);
        }
    }

    #[test]
    fn what_may_be_taken_later_holds_those_after_it() {
        for kind in [Kind::Auth, Kind::RateLimited, Kind::Unavailable, Kind::Internal] {
            let harvest = of(vec![taken("a"), refused(kind), taken("b")]);
            assert_eq!((harvest.changes.len(), harvest.through), (1, Some(10)), "{kind:?}");
            assert_eq!(harvest.held.map(|(seq, _)| seq), Some(11));
            assert_eq!(of(vec![refused(kind)]).through, None);
        }
    }
}
