//! Plans a delivery: changes that can be applied from its body, and records to be refetched. Pure.

use serde_json::value::RawValue;

use super::events::{self, ChildId, Event, Route};
use super::trust::Proof;
use crate::change::{Change, ChangeSource, Operation};
use crate::config::{Config, Refetch};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::members::{Members, unquoted};
use crate::record;
use crate::row;
use crate::session;
use crate::table::{ChildKind, Table, Touch};

/// Members of a payload that no row has: the first thread of a new ticket is a row of another table.
const FOREIGN_MEMBERS: [&str; 1] = ["firstThread"];

/// When a delivery arrived, and how far it is proved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// By our clock.
    pub(super) at_ms: u64,
    /// By the source's clock.
    pub(super) source: session::Arrival,
    pub(super) proof: Proof,
}

/// The steps of one delivery, in order.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Names of events that belong to no table that is read, or cannot be used.
    pub(super) ignored: Vec<String>,
    pub(super) proof: Proof,
}

impl Default for Plan {
    fn default() -> Self {
        Self { steps: Vec::new(), ignored: Vec::new(), proof: Proof::Unsigned }
    }
}

impl Arrival {
    /// The latest time that counts for an event. The body is not signed: its time may be anything.
    fn latest_event_ms(&self) -> u64 {
        self.source.latest_ms.saturating_add(limits::EVENT_SKEW_MS)
    }

    /// Whether an event seems to have happened after its delivery arrived: then the clocks may differ by more
    /// than is known.
    pub(super) fn is_before(&self, events: &[Event<'_>]) -> bool {
        let latest_ms = self.latest_event_ms();
        events.iter().filter_map(|event| event.time_ms).any(|time_ms| time_ms > latest_ms)
    }
}

impl Plan {
    pub(super) fn lookups(&self) -> impl Iterator<Item = &Lookup> {
        self.steps.iter().filter_map(|step| match step {
            Step::Refetch(lookup) => Some(lookup),
            Step::Apply(_) => None,
        })
    }
}

#[derive(Debug)]
pub(super) enum Step {
    /// The payload is proof enough.
    Apply(Change),
    Refetch(Lookup),
}

/// A record to be refetched, with the facts of its event.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) table: &'static Table,
    pub(super) id: String,
    /// The path of a record that takes more than the id, which is then not that of the row.
    pub(super) record: Option<String>,
    /// Of a child: its kind and its parent's id.
    pub(super) child: Option<(&'static ChildKind, String)>,
    /// The row before the change.
    pub(super) previous: Option<String>,
    /// When the event happened, by the source's clock.
    pub(super) event_ms: u64,
    /// When its delivery arrived, by our clock.
    pub(super) arrived_ms: u64,
    /// The event says that the record is deleted.
    pub(super) is_deleted: bool,
    pub(super) proof: Proof,
}

/// Plans a delivery. An event that cannot be used is ignored; the delivery is refused when all are such.
pub(super) fn new(config: &Config, events: &[Event<'_>], arrival: Arrival) -> Result<Plan> {
    if events.len() > limits::EVENTS_MAX {
        let message = format!("webhook delivery: {} events, more than {}", events.len(), limits::EVENTS_MAX);
        return Err(Error::new(Kind::Data, message));
    }
    let mut plan = Plan { proof: arrival.proof, ..Plan::default() };
    let (mut used, mut refused) = (0, None);
    for event in events {
        // A delivery of another organization is not for this URL, with all its events.
        check_organization(config, event, arrival.proof)?;
        let steps = steps(config, event, arrival);
        used += usize::from(steps.is_ok());
        match steps {
            Ok(Some(steps)) => plan.steps.extend(steps),
            Ok(None) => plan.ignored.push(printable(&event.name)),
            Err(error) => {
                plan.ignored.push(printable(&event.name));
                refused.get_or_insert(error);
            }
        }
    }
    match refused {
        Some(error) if used == 0 => Err(error),
        _ => Ok(plan),
    }
}

/// The steps of one event; none when it belongs to no table that is read.
fn steps(config: &Config, event: &Event<'_>, arrival: Arrival) -> Result<Option<Vec<Step>>> {
    let event_ms = event.time_ms.unwrap_or(arrival.source.earliest_ms).min(arrival.latest_event_ms());
    match events::route(&event.name) {
        Route::Record(table, operation) if config.tables.contains(&table) => {
            let step = of_record(config, table, operation, event, event_ms, arrival)?;
            Ok(Some(step.into_iter().collect()))
        }
        Route::Touch(_) | Route::Child { .. } if config.refetch == Refetch::Never => Ok(None),
        Route::Touch(mut touched) => {
            touched.retain(|(table, _)| config.tables.contains(table));
            let mut steps = Vec::new();
            for (table, touch) in touched {
                steps.extend(of_touched(table, touch, event, event_ms, arrival)?);
            }
            Ok(Some(steps).filter(|steps| !steps.is_empty()))
        }
        Route::Child { table, children, key, kind, id, is_deleted } => {
            let tables = Family { table, children, kind };
            let steps = of_child(config, tables, key, (id, is_deleted), event, event_ms, arrival)?;
            Ok(Some(steps).filter(|steps| !steps.is_empty()))
        }
        _ => Ok(None),
    }
}

/// Refuses an event of another organization. One that names none must be proved, or refetched with this
/// organization's token.
fn check_organization(config: &Config, event: &Event<'_>, proof: Proof) -> Result<()> {
    let (what, hint) = match event.organization_id.as_deref() {
        Some(id) if id == config.organization_id => return Ok(()),
        None if proof != Proof::Unsigned || config.refetch != Refetch::Never => return Ok(()),
        Some(_) => (
            "is of another organization",
            "this URL is registered in the wrong portal: remove the webhook there",
        ),
        None => ("has no `orgId`", "put `orgId` into the body, or set `refetch` to \"auto\" or \"always\""),
    };
    let message = format!("webhook delivery: event `{}` {what}", printable(&event.name));
    Err(Error::new(Kind::Permission, message).hint(hint))
}

/// The step of an event whose payload is the record; none for a record that was never of a selected
/// department.
fn of_record(
    config: &Config,
    table: &'static Table,
    operation: Operation,
    event: &Event<'_>,
    event_ms: u64,
    arrival: Arrival,
) -> Result<Option<Step>> {
    let payload = event.payload.map(RawValue::get).ok_or_else(|| unusable(event))?;
    let meta = row::meta(payload).ok_or_else(|| unusable(event))?;
    let is_deleted = operation == Operation::Delete || meta.deleted;
    let is_selected = config.selects(table, payload);
    let was_selected = event.previous.is_none_or(|previous| config.selects(table, previous.get()));
    if !is_selected && (is_deleted || !was_selected) {
        return Ok(None);
    }
    let needs_refetch = table.record.is_some()
        && match config.refetch {
            Refetch::Always => true,
            Refetch::Never => false,
            // Polling repairs a change that is a lie, and a delete that is one only by a full refresh.
            Refetch::Auto => {
                let is_gone = is_deleted || !is_selected;
                arrival.proof != Proof::Webhook || is_gone || lacks_members(table, payload)
            }
        };
    let previous = event.previous.map(|state| state.get().to_owned());
    Ok(Some(if needs_refetch {
        let lookup = Lookup {
            table,
            id: meta.id,
            record: None,
            child: None,
            previous,
            event_ms,
            arrived_ms: arrival.at_ms,
            is_deleted,
            proof: arrival.proof,
        };
        Step::Refetch(lookup)
    } else if is_deleted || !is_selected {
        // A record that left the selected departments is deleted in the sink.
        Step::Apply(Change::delete(table, &meta.id, previous, Some(event_ms), ChangeSource::Webhook))
    } else {
        let own = row::without(payload, &FOREIGN_MEMBERS);
        let row = own.and_then(|own| record::row(table, &own, None)).ok_or_else(|| unusable(event))?;
        let change = Change::of_row(table, operation, &meta, row, Some(event_ms), ChangeSource::Webhook);
        Step::Apply(Change { before: previous, partial: true, ..change })
    }))
}

/// The step of an event about something that belongs to a row; none where the payload does not name all that
/// the row's record takes.
fn of_touched(
    table: &'static Table,
    touch: &Touch,
    event: &Event<'_>,
    event_ms: u64,
    arrival: Arrival,
) -> Result<Option<Step>> {
    let payload = event.payload.map(RawValue::get).ok_or_else(|| unusable(event))?;
    let id = touch.keys.iter().find_map(|key| member_id(payload, key)).ok_or_else(|| unusable(event))?;
    if table.record_path(&id).is_some() {
        return Ok(Some(refetch(table, id, event_ms, arrival)));
    }
    let Some(path) = table.record.map(|path| path.replace("{id}", &id)) else { return Ok(None) };
    let mut names = path.split('{').skip(1).filter_map(|part| part.split_once('}'));
    let is_named = |name: &str| row::text(payload, name).is_some_and(|text| !text.is_empty());
    if !names.all(|(name, _)| is_named(name)) {
        return Ok(None);
    }
    let record = Some(row::filled(&path, payload));
    Ok(Some(Step::Refetch(Lookup { record, ..lookup(table, id, event_ms, arrival) })))
}

/// A kind of child, with its table and its parent's.
struct Family {
    table: &'static Table,
    children: &'static Table,
    kind: &'static ChildKind,
}

/// The steps of an event about a child: its parent is refetched, and the child, where the payload is one or
/// names one. The payload is never used as a row. Empty when neither table is read, or when the parent is a
/// record of another module.
fn of_child(
    config: &Config,
    Family { table, children, kind }: Family,
    key: &str,
    (id, is_deleted): (ChildId, bool),
    event: &Event<'_>,
    event_ms: u64,
    arrival: Arrival,
) -> Result<Vec<Step>> {
    let payload = event.payload.map(RawValue::get).ok_or_else(|| unusable(event))?;
    let parent = match (member_id(payload, key), embedded_parent(payload, table)) {
        (Some(id), _) | (None, Some(Ok(id))) => id,
        (None, Some(Err(OtherModule))) => return Ok(Vec::new()),
        (None, None) => return Err(unusable(event)),
    };
    let mut steps = Vec::new();
    if config.tables.contains(&table) {
        steps.push(refetch(table, parent.clone(), event_ms, arrival));
    }
    if config.tables.contains(&children) {
        let id = match id {
            ChildId::Own => Some(row::meta(payload).ok_or_else(|| unusable(event))?.id),
            ChildId::Named => member_id(payload, &format!("{}Id", kind.name)),
        };
        steps.extend(id.map(|id| {
            let lookup = lookup(children, id, event_ms, arrival);
            Step::Refetch(Lookup { child: Some((kind, parent)), is_deleted, ..lookup })
        }));
    }
    Ok(steps)
}

fn refetch(table: &'static Table, id: String, event_ms: u64, arrival: Arrival) -> Step {
    Step::Refetch(lookup(table, id, event_ms, arrival))
}

fn lookup(table: &'static Table, id: String, event_ms: u64, arrival: Arrival) -> Lookup {
    Lookup {
        table,
        id,
        record: None,
        child: None,
        previous: None,
        event_ms,
        arrived_ms: arrival.at_ms,
        is_deleted: false,
        proof: arrival.proof,
    }
}

/// The parent is not a record of the expected table.
struct OtherModule;

/// The id in a payload's `parent`, which names the module in its `type` as time entries do
/// (`zoho-desk-api.md` §4.6); none when there is no such member.
fn embedded_parent(payload: &str, table: &Table) -> Option<std::result::Result<String, OtherModule>> {
    let parent = Members::parse(payload)?.get("parent")?;
    let id = member_id(parent, "id")?;
    let is_its = row::text(parent, "type").is_some_and(|kind| kind.eq_ignore_ascii_case(table.name));
    Some(if is_its { Ok(id) } else { Err(OtherModule) })
}

/// True when a payload lacks members that every row of the table has.
fn lacks_members(table: &Table, payload: &str) -> bool {
    let Some(members) = Members::parse(payload) else { return true };
    let has_column = |name: &str| table.columns.iter().any(|column| column.name == name);
    let always = ["createdTime", "modifiedTime"].into_iter().filter(|name| has_column(name));
    always.chain(table.fields_module.map(|_| "cf")).any(|name| !members.has(name))
}

/// The id in a member of a payload: digits, in a string or not.
fn member_id(payload: &str, name: &str) -> Option<String> {
    let id = unquoted(Members::parse(payload)?.get(name)?);
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.to_owned())
}

fn unusable(event: &Event<'_>) -> Error {
    let message = format!("webhook delivery: event `{}` names no record", printable(&event.name));
    Error::new(Kind::Data, message)
}

/// An event's name without control characters, cut.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}
