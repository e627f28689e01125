//! Record ids: 18 digits, more than a double represents exactly, ascending in creation order.
//!
//! `127401`, two digits for the kind, ten digits for the index and a seeded tail. The index of a record is
//! computed from its id, so that a lookup needs no map; an id with a wrong tail is unknown.

use crate::rng::mix;

/// The kind of record that an id belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    Department = 11,
    Agent = 12,
    Team = 13,
    Contact = 14,
    Account = 15,
    Product = 16,
    Contract = 17,
    Ticket = 18,
    Field = 19,
    Layout = 20,
    Webhook = 21,
    Role = 22,
    Profile = 23,
    Sla = 24,
    SupportPlan = 25,
    View = 26,
    Thread = 31,
    Comment = 32,
    /// A thread or comment whose number is too high for the ids of the others.
    FarConversation = 33,
    Attachment = 35,
    Task = 41,
    Call = 42,
    Event = 43,
    Article = 44,
    Category = 45,
    Section = 46,
    Skill = 47,
    SkillType = 48,
    BusinessHour = 49,
    HolidayList = 50,
    Module = 51,
    LayoutRule = 52,
    Channel = 53,
    TimeEntry = 54,
    Approval = 55,
    Tag = 56,
    Asset = 57,
    Vehicle = 58,
}

const PREFIX: u64 = 127_401;
const KIND_SPAN: u64 = 10_000_000_000;

impl Kind {
    /// The ids per index: fewer for kinds with many records.
    fn step(self) -> u64 {
        match self {
            Kind::FarConversation => 1,
            Kind::Thread | Kind::Comment | Kind::Attachment => 100,
            _ => 1000,
        }
    }
}

/// The id of the record of a kind at an index.
pub(crate) fn id(seed: u64, kind: Kind, index: u64) -> u64 {
    let tail = mix(seed, kind as u64, index) % kind.step();
    (PREFIX * 100 + kind as u64) * KIND_SPAN + index * kind.step() + tail
}

/// The index of a record; none when the text is not an id of that kind with this seed.
pub(crate) fn index(seed: u64, kind: Kind, text: &str) -> Option<usize> {
    if text.len() != 18 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = text.parse().ok()?;
    if value / KIND_SPAN != PREFIX * 100 + kind as u64 {
        return None;
    }
    let position = value % KIND_SPAN / kind.step();
    (id(seed, kind, position) == value).then_some(position as usize)
}

#[cfg(test)]
mod tests {
    use super::{Kind, id, index};

    #[test]
    fn ids_have_18_digits_ascend_and_give_their_index_back() {
        let mut last = 0;
        for position in 0..10_000 {
            let value = id(42, Kind::Ticket, position);
            assert_eq!(value.to_string().len(), 18);
            assert!(value > last && value > 1 << 53);
            last = value;
            assert_eq!(index(42, Kind::Ticket, &value.to_string()), Some(position as usize));
            assert_eq!(index(42, Kind::Ticket, &(value + 1).to_string()), None);
        }
    }
}
