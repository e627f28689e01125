//! Which of the waiting callers gets the next permit: the one that has waited longest among those whose class
//! and origin have room. Pure.
//!
//! Reads leave a quarter of the permits to prompt calls. An origin leaves a part of the free ones to the
//! others: alone it holds two thirds of the reads and three quarters of all, next to an origin that holds as
//! many as it may, so much of the rest. So two sources that hang leave a permit to a third.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Class;

/// The host that a connection calls, with its port.
pub(crate) type Origin = Arc<str>;

/// An origin takes another permit while it holds fewer than this many times those that are free.
const ALL_PER_FREE: usize = 3;
/// The same, of the permits for reads.
const READS_PER_FREE: usize = 2;

/// See the file's header. `W` is woken when a caller gets its permit.
pub(super) struct Shares<W> {
    max: Count,
    held: Count,
    /// Those that hold a permit or wait for one.
    origins: HashMap<Option<Origin>, Callers<W>>,
    /// Tickets rise with the time of arrival.
    tickets: u64,
}

/// Permits of any class, and those for reads among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    all: usize,
    reads: usize,
}

/// The callers of one origin.
struct Callers<W> {
    held: Count,
    prompt: BTreeMap<u64, W>,
    reads: BTreeMap<u64, W>,
}

/// A caller that waits for a permit or holds one.
#[derive(Clone, Debug)]
pub(super) struct Place {
    origin: Option<Origin>,
    class: Class,
    ticket: u64,
}

impl Count {
    fn of(class: Class) -> Self {
        Self { all: 1, reads: usize::from(class == Class::Read) }
    }

    fn plus(self, other: Self) -> Self {
        Self { all: self.all + other.all, reads: self.reads + other.reads }
    }

    fn minus(self, other: Self) -> Self {
        Self { all: self.all - other.all, reads: self.reads - other.reads }
    }
}

impl<W> Default for Callers<W> {
    fn default() -> Self {
        Self { held: Count::default(), prompt: BTreeMap::new(), reads: BTreeMap::new() }
    }
}

impl<W> Callers<W> {
    fn waiting(&mut self, class: Class) -> &mut BTreeMap<u64, W> {
        match class {
            Class::Prompt => &mut self.prompt,
            Class::Read => &mut self.reads,
        }
    }

    fn is_empty(&self) -> bool {
        self.held == Count::default() && self.prompt.is_empty() && self.reads.is_empty()
    }
}

impl<W> Shares<W> {
    /// `max` permits.
    pub(super) fn new(max: usize) -> Self {
        let max = Count { all: max, reads: (max * 3 / 4).max(1) };
        Self { max, held: Count::default(), origins: HashMap::new(), tickets: 0 }
    }

    /// Adds a caller behind those that wait. Without an origin it is bound by its class alone.
    pub(super) fn enter(&mut self, origin: Option<Origin>, class: Class, waiter: W) -> Place {
        self.tickets += 1;
        let place = Place { origin, class, ticket: self.tickets };
        let callers = self.origins.entry(place.origin.clone()).or_default();
        callers.waiting(class).insert(place.ticket, waiter);
        place
    }

    /// Gives a permit to the next caller, if one can have it.
    pub(super) fn next(&mut self) -> Option<W> {
        let free = self.max.minus(self.held);
        if free.all == 0 {
            return None;
        }
        let firsts = self.origins.iter().flat_map(|(origin, callers)| {
            let first = |waiting: &BTreeMap<u64, W>, class| {
                let (ticket, _) = waiting.first_key_value()?;
                let has_room = has_room(callers.held, free, class, origin.is_some());
                has_room.then_some((*ticket, origin, class))
            };
            [first(&callers.prompt, Class::Prompt), first(&callers.reads, Class::Read)]
        });
        let (ticket, origin, class) = firsts.flatten().min_by_key(|(ticket, _, _)| *ticket)?;
        let origin = origin.clone();
        let callers = self.origins.get_mut(&origin)?;
        callers.held = callers.held.plus(Count::of(class));
        self.held = self.held.plus(Count::of(class));
        callers.waiting(class).remove(&ticket)
    }

    /// Removes a caller, and takes its permit back if it has one.
    pub(super) fn leave(&mut self, place: &Place) {
        let Some(callers) = self.origins.get_mut(&place.origin) else { return };
        if callers.waiting(place.class).remove(&place.ticket).is_none() {
            callers.held = callers.held.minus(Count::of(place.class));
            self.held = self.held.minus(Count::of(place.class));
        }
        if callers.is_empty() {
            self.origins.remove(&place.origin);
        }
    }
}

fn has_room(held: Count, free: Count, class: Class, has_origin: bool) -> bool {
    let is_within =
        |held: usize, free: usize, per_free: usize| free > 0 && (!has_origin || held < per_free * free);
    let is_read = class == Class::Read;
    is_within(held.all, free.all, ALL_PER_FREE)
        && (!is_read || is_within(held.reads, free.reads, READS_PER_FREE))
}

#[cfg(test)]
mod tests {
    use super::{Class, Place, Shares};

    /// As many places with a permit as one origin gets without waiting.
    fn most(shares: &mut Shares<()>, class: Class, origin: &str) -> Vec<Place> {
        let origin = (!origin.is_empty()).then(|| origin.into());
        let mut held = Vec::new();
        loop {
            let place = shares.enter(origin.clone(), class, ());
            if shares.next().is_none() {
                shares.leave(&place);
                return held;
            }
            held.push(place);
        }
    }

    #[test]
    fn a_delivery_finds_a_permit_however_many_reads_there_are() {
        for (max, reads) in [(2, 1), (3, 2), (16, 12)] {
            let mut shares = Shares::new(max);
            let held = most(&mut shares, Class::Read, "");
            assert_eq!(held.len(), reads, "{max}");
            assert_eq!(most(&mut shares, Class::Prompt, "").len(), max - reads);
            held.iter().for_each(|place| shares.leave(place));
            assert_eq!(most(&mut shares, Class::Read, "").len(), reads);
        }
    }

    #[test]
    fn sources_that_hang_leave_permits_to_others_and_to_their_own_deliveries() {
        let mut shares = Shares::new(16);
        assert_eq!(most(&mut shares, Class::Read, "hangs:443").len(), 8);
        assert_eq!(most(&mut shares, Class::Prompt, "hangs:443").len(), 4);
        assert_eq!(most(&mut shares, Class::Read, "hangs, too:443").len(), 3);
        assert_eq!(most(&mut shares, Class::Prompt, "hangs, too:443").len(), 0);
        let first = most(&mut shares, Class::Read, "well:443");
        assert_eq!(first.len(), 1);
        first.iter().for_each(|place| shares.leave(place));
        assert_eq!(most(&mut shares, Class::Prompt, "well:443").len(), 1);
    }

    /// Calls that hang end with their timeout, and their connections call again.
    #[test]
    fn the_longer_sources_hang_the_more_evenly_they_share() {
        let mut shares = Shares::new(16);
        let origins = ["a", "b", "c", "d"];
        let mut held: Vec<Place> =
            origins.iter().flat_map(|origin| most(&mut shares, Class::Read, origin)).collect();
        for _ in 0..100 {
            let ended = held.remove(0);
            shares.leave(&ended);
            held.extend(origins.iter().flat_map(|origin| most(&mut shares, Class::Read, origin)));
        }
        let of = |origin: &str| held.iter().filter(|place| place.origin.as_deref() == Some(origin)).count();
        assert!(origins.iter().all(|origin| (2..=4).contains(&of(origin))), "{:?}", origins.map(of));
        assert!(!most(&mut shares, Class::Read, "well").is_empty());
    }

    #[test]
    fn one_permit_is_enough_for_every_class() {
        let mut shares = Shares::new(1);
        for class in [Class::Read, Class::Prompt] {
            let held = most(&mut shares, class, "a");
            assert_eq!(held.len(), 1, "{class:?}");
            shares.leave(&held[0]);
        }
    }

    #[test]
    fn permits_are_given_in_the_order_of_arrival_and_who_leaves_is_forgotten() {
        let mut shares = Shares::new(1);
        let held = shares.enter(Some("a".into()), Class::Read, 0);
        assert_eq!(shares.next(), Some(0));
        let places = [("a", Class::Read), ("b", Class::Read), ("a", Class::Prompt), ("c", Class::Read)];
        let places: Vec<Place> = (1..)
            .zip(places)
            .map(|(id, (origin, class))| shares.enter(Some(origin.into()), class, id))
            .collect();
        assert_eq!(shares.next(), None);
        shares.leave(&places[1]);
        shares.leave(&held);
        let mut order = Vec::new();
        for place in [&places[0], &places[2], &places[3]] {
            order.extend(shares.next());
            assert_eq!(shares.next(), None);
            shares.leave(place);
        }
        assert_eq!(order, [1, 3, 4]);
        assert!(shares.origins.is_empty() && shares.held == super::Count::default());
    }
}
