//! The conformance suite of durable queues, faults included, and a second queue: in memory, for tests of its
//! callers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use super::{Appending, Consumer, DeadLetters, Inbox};
use crate::delivery::Delivery;
use crate::error::{Error, Kind, Result};
use crate::inbox::{
    AppendError, Cause, DeadLetter, DeadRecord, Depth, Failure, Position, Resumed, Stored, Summary,
};
use crate::journal::{Journal, JournalLimits};
use crate::missed::MissedDeliveries;
use crate::sinks::InboxPosition;

const MANY: usize = 1_000;
const BYTES: usize = 1 << 20;

/// A delivery with this body.
pub(crate) fn delivery(body: &str) -> Delivery {
    Delivery {
        received_at_ms: 7,
        method: "POST".into(),
        path_with_query: "/hooks/acme".into(),
        headers: vec![("a".into(), b"b".to_vec())],
        body: body.into(),
    }
}

/// A queue in memory. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct MemoryInbox(Arc<Mutex<Memory>>, MissedDeliveries);

#[derive(Default)]
struct Memory {
    last: u64,
    queued: BTreeMap<u64, (String, Delivery)>,
    kept: BTreeMap<u64, (String, Delivery)>,
    dead: BTreeMap<u64, DeadRecord>,
    arrivals: BTreeMap<String, watch::Sender<u64>>,
    fails: bool,
    is_busy: bool,
}

impl Memory {
    fn usable(&self) -> Result<()> {
        if self.fails { Err(Error::state("no space left")) } else { Ok(()) }
    }

    fn append(&mut self, connection: &str, delivery: Delivery) -> u64 {
        self.last += 1;
        self.queued.insert(self.last, (connection.to_owned(), delivery));
        self.arrivals.entry(connection.to_owned()).or_default().send_replace(self.last);
        self.last
    }
}

/// The queue of one connection.
pub(crate) struct MemoryConsumer(MemoryInbox, String);

impl MemoryInbox {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().expect("no panic")
    }

    pub(crate) fn of(&self, connection: &str) -> MemoryConsumer {
        MemoryConsumer(self.clone(), connection.to_owned())
    }

    /// From now on every change fails, or no longer.
    pub(crate) fn set_failing(&self, fails: bool) {
        self.lock().fails = fails;
    }

    /// From now on a queue cannot be read for a reason that passes, or no longer.
    pub(crate) fn set_busy(&self, is_busy: bool) {
        self.lock().is_busy = is_busy;
    }

    /// The length of a queue.
    pub(crate) fn queued(&self, connection: &str) -> usize {
        self.lock().queued.values().filter(|(of, _)| of == connection).count()
    }
}

impl Inbox for MemoryInbox {
    fn append<'a>(&'a self, connection: &'a str, delivery: Delivery) -> Appending<'a> {
        let mut memory = self.lock();
        let appended = memory.usable().map(|()| memory.append(connection, delivery));
        let appended = appended.map_err(|error| AppendError::Failed(error.message));
        Box::pin(std::future::ready(appended))
    }

    fn is_full(&self, _connection: &str) -> bool {
        false
    }

    fn missed_deliveries(&self) -> &MissedDeliveries {
        &self.1
    }

    fn consumer(&self, connection: &str) -> Arc<dyn Consumer> {
        Arc::new(self.of(connection))
    }
}

impl Consumer for MemoryConsumer {
    fn resume(&self, stored: Option<&InboxPosition>) -> Result<Resumed> {
        let mut memory = self.0.lock();
        memory.usable()?;
        let trusted = match stored {
            Some(stored) => Position::trusted_in(stored, "memory", memory.last),
            None => Some(Position::default()),
        };
        let doubt = if trusted.is_none() { Some("the position belongs to another queue") } else { None };
        let position = trusted.unwrap_or_default();
        let again: BTreeSet<u64> = memory.kept.keys().copied().filter(|seq| !position.covers(*seq)).collect();
        let again: Vec<u64> = again.into_iter().filter(|seq| memory.kept[seq].0 == self.1).collect();
        for seq in &again {
            let delivery = memory.kept.remove(seq).expect("kept");
            memory.queued.insert(*seq, delivery);
        }
        let covered = memory.queued.iter().filter(|(seq, (of, _))| *of == self.1 && position.covers(**seq));
        let covered: Vec<u64> = covered.map(|(seq, _)| *seq).collect();
        drop(memory);
        self.acknowledge(&covered)?;
        Ok(Resumed { position, queued_again: again.len(), doubt })
    }

    fn named(&self, position: &Position) -> InboxPosition {
        position.named("memory")
    }

    fn next(&self, after: u64, max: usize, max_bytes: usize) -> Result<Vec<Stored>> {
        let memory = self.0.lock();
        if memory.is_busy {
            return Err(Error::new(crate::error::Origin::State, Kind::Unavailable, "it is locked"));
        }
        let of_it = memory.queued.iter().filter(|(seq, (of, _))| **seq > after && *of == self.1).take(max);
        let mut bytes = 0;
        let page = of_it.take_while(|(_, (_, delivery))| {
            let has_room = bytes < max_bytes;
            bytes += delivery.body.len();
            has_room
        });
        Ok(page.map(|(seq, (_, delivery))| Stored { seq: *seq, delivery: delivery.clone() }).collect())
    }

    fn acknowledge(&self, seqs: &[u64]) -> Result<()> {
        let mut memory = self.0.lock();
        memory.usable()?;
        for seq in seqs {
            if memory.queued.get(seq).is_some_and(|(of, _)| *of == self.1)
                && let Some(delivery) = memory.queued.remove(seq)
            {
                memory.kept.insert(*seq, delivery);
            }
        }
        Ok(())
    }

    fn give_up(&self, seq: u64, failure: Failure) -> Result<()> {
        let mut memory = self.0.lock();
        memory.usable()?;
        if let Some((connection, delivery)) = memory.queued.remove(&seq) {
            let bytes = delivery.body.len() as u64;
            let letter =
                DeadLetter { id: seq, seq, connection, received_at_ms: 7, bytes, failure, dead_at_ms: 8 };
            memory.dead.insert(seq, DeadRecord { letter, delivery, corrupt: None });
        }
        Ok(())
    }

    fn arrivals(&self) -> watch::Receiver<u64> {
        self.0.lock().arrivals.entry(self.1.clone()).or_default().subscribe()
    }

    fn missed(&self) -> watch::Receiver<&'static str> {
        self.0.1.subscribe(&self.1)
    }

    fn summary(&self) -> Result<Summary> {
        let dead = self.0.lock().dead.values().filter(|record| record.letter.connection == self.1).count();
        let depth = Depth { count: self.0.queued(&self.1) as u64, dead: dead as u64, ..Depth::default() };
        Ok(Summary { depth, ..Summary::default() })
    }
}

impl DeadLetters for MemoryInbox {
    fn list(&self, connection: Option<&str>, after: u64, max: usize) -> Result<Vec<DeadLetter>> {
        let memory = self.lock();
        let letters = memory.dead.values().map(|record| record.letter.clone());
        let is_wanted = |letter: &DeadLetter| {
            letter.id > after && connection.is_none_or(|connection| letter.connection == connection)
        };
        Ok(letters.filter(is_wanted).take(max).collect())
    }

    fn show(&self, id: u64) -> Result<Option<DeadRecord>> {
        Ok(self.lock().dead.get(&id).cloned())
    }

    fn replay(&self, ids: &[u64]) -> Result<Vec<u64>> {
        let mut memory = self.lock();
        memory.usable()?;
        if ids.iter().any(|id| !memory.dead.contains_key(id)) {
            return Err(Error::new(crate::error::Origin::State, Kind::NotFound, "no such dead letter"));
        }
        let records: Vec<_> = ids.iter().filter_map(|id| memory.dead.remove(id)).collect();
        let again = records.into_iter().map(|one| memory.append(&one.letter.connection, one.delivery));
        Ok(again.collect())
    }

    fn delete(&self, ids: &[u64]) -> Result<usize> {
        let mut memory = self.lock();
        memory.usable()?;
        Ok(ids.iter().filter(|id| memory.dead.remove(id).is_some()).count())
    }
}

/// A queue under test, and how its changes are made to fail.
struct Case<'a> {
    inbox: &'a dyn Inbox,
    dead: &'a dyn DeadLetters,
    set_failing: &'a dyn Fn(bool),
}

impl Case<'_> {
    fn append(&self, connection: &str, body: &str) -> u64 {
        self.try_append(connection, body).expect("appended")
    }

    fn try_append(&self, connection: &str, body: &str) -> Result<u64, AppendError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(self.inbox.append(connection, delivery(body)))
    }

    /// The bodies that are queued.
    fn queued(&self, connection: &str) -> String {
        let all = self.inbox.consumer(connection).next(0, MANY, BYTES).expect("read");
        let bodies = all.iter().map(|stored| String::from_utf8_lossy(&stored.delivery.body).into_owned());
        bodies.collect::<Vec<_>>().join(" ")
    }

    fn give_up(&self, connection: &str, seq: u64) -> Result<()> {
        let failure = Failure::of(Cause::Refused, &Error::data("unusable"), 1, 7);
        self.inbox.consumer(connection).give_up(seq, failure)
    }
}

/// Runs each test on each kind of queue.
#[track_caller]
fn on_every_inbox(test: impl Fn(&Case<'_>)) {
    let memory = MemoryInbox::default();
    test(&Case { inbox: &memory, dead: &memory, set_failing: &|fails| memory.set_failing(fails) });
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    let (journal, _) = Journal::open(path, JournalLimits::default()).expect("opened");
    test(&Case { inbox: &journal, dead: &journal, set_failing: &|fails| journal.set_failing(fails) });
}

#[test]
fn deliveries_come_in_their_order_and_to_their_connection() {
    on_every_inbox(|case| {
        let arrivals = case.inbox.consumer("acme").arrivals();
        let numbers = ["a", "b", "c"].map(|body| case.append("acme", body));
        assert!(numbers.is_sorted() && arrivals.has_changed().expect("open"));
        assert_eq!(*arrivals.borrow(), numbers[2]);
        case.append("other", "d");
        assert_eq!((case.queued("acme"), case.queued("other")), ("a b c".into(), "d".into()));
        let page = |after, max, bytes| {
            let page = case.inbox.consumer("acme").next(after, max, bytes).expect("read");
            page.into_iter().map(|stored| stored.seq).collect::<Vec<_>>()
        };
        assert_eq!(page(numbers[0], MANY, BYTES), numbers[1..]);
        assert_eq!(page(0, 2, BYTES), numbers[..2]);
        assert_eq!(page(0, MANY, 1), numbers[..1], "one at least, however large");
    });
}

#[test]
fn a_position_takes_what_it_covers_and_an_older_one_gives_it_back() {
    on_every_inbox(|case| {
        let consumer = case.inbox.consumer("acme");
        let numbers = ["a", "b", "c"].map(|body| case.append("acme", body));
        let first = consumer.named(&numbers[0].into());
        let waiting = Position { through: numbers[2], waiting: BTreeSet::from([numbers[1]]) };
        let newest = consumer.named(&waiting);
        let other = case.append("other", "d");
        consumer.acknowledge(&[numbers[2], other, other + 99]).expect("acknowledged");
        assert_eq!((case.queued("acme"), case.queued("other")), ("a b".into(), "d".into()));
        consumer.acknowledge(&[numbers[0], numbers[2]]).expect("again does no harm");
        assert_eq!(case.queued("acme"), "b");
        let resumed = consumer.resume(Some(&newest)).expect("resumed");
        assert_eq!((resumed.position, resumed.queued_again, resumed.doubt), (waiting, 0, None));
        // The sink was restored from a backup.
        let resumed = consumer.resume(Some(&first)).expect("resumed");
        assert_eq!((resumed.queued_again, resumed.doubt), (1, None));
        assert_eq!(case.queued("acme"), "b c");
        // The sink counts in another queue.
        let foreign = InboxPosition { journal: "another".into(), ..newest };
        let resumed = consumer.resume(Some(&foreign)).expect("resumed");
        assert!(resumed.doubt.is_some() && resumed.position == Position::default());
        assert_eq!(case.queued("acme"), "a b c");
    });
}

#[test]
fn a_dead_letter_is_kept_until_it_is_replayed_or_deleted() {
    on_every_inbox(|case| {
        let numbers = ["a", "b", "c"].map(|body| case.append("acme", body));
        case.append("other", "d");
        for seq in numbers {
            case.give_up("acme", seq).expect("given up");
        }
        case.give_up("acme", numbers[0]).expect("nothing to do");
        assert_eq!(case.queued("acme"), "");
        let list = |connection| case.dead.list(connection, 0, MANY).expect("listed");
        let ids: Vec<u64> = list(None).iter().map(|letter| letter.id).collect();
        assert_eq!((ids.len(), list(Some("other")).len()), (3, 0));
        assert_eq!(case.dead.list(None, ids[0], 1).expect("listed")[0].id, ids[1]);
        let shown = case.dead.show(ids[0]).expect("read").expect("there");
        assert_eq!((shown.delivery.body, shown.letter.failure.cause), (b"a".to_vec(), Cause::Refused));
        case.dead.replay(&[ids[0], ids[2] + 99]).expect_err("all or none");
        assert_eq!(list(None).len(), 3);
        let again = case.dead.replay(&[ids[1], ids[0]]).expect("replayed");
        assert!(again.is_sorted() && again[0] > numbers[2]);
        assert_eq!(case.queued("acme"), "b a");
        assert_eq!(case.dead.delete(&[ids[2], ids[1]]).expect("deleted"), 1);
        assert_eq!(case.inbox.consumer("acme").summary().expect("counted").depth.dead, 0);
    });
}

#[test]
fn a_change_that_fails_changes_nothing_and_works_afterward() {
    on_every_inbox(|case| {
        let consumer = case.inbox.consumer("acme");
        let numbers = ["a", "b", "c"].map(|body| case.append("acme", body));
        case.give_up("acme", numbers[2]).expect("given up");
        let id = case.dead.list(None, 0, MANY).expect("listed")[0].id;
        (case.set_failing)(true);
        assert!(matches!(case.try_append("acme", "d"), Err(AppendError::Failed(_))));
        consumer.acknowledge(&numbers[..1]).expect_err("acknowledged");
        case.give_up("acme", numbers[1]).expect_err("given up");
        case.dead.replay(&[id]).expect_err("replayed");
        case.dead.delete(&[id]).expect_err("deleted");
        let state = || (case.queued("acme"), case.dead.list(None, 0, MANY).expect("listed").len());
        assert_eq!(state(), ("a b".into(), 1));
        (case.set_failing)(false);
        consumer.acknowledge(&numbers[..1]).expect("acknowledged");
        case.give_up("acme", numbers[1]).expect("given up");
        assert_eq!(state(), (String::new(), 2));
    });
}
