//! `POST /_admin/mutate`: changes as agents make them in Desk's own pages.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::AdminError;
use crate::rng::Rng;
use crate::shared::Shared;
use crate::world::World;
use crate::world::bulk::Bulk;
use crate::world::change::{ChangeError, Event, Stamp, Transition};
use crate::world::change_part::PartChange;
use crate::world::conversation::ConversationKind;
use crate::world::table::Object;

/// The tables of random changes that name none; repeated names are drawn more often.
const RANDOM_TABLES: &[&str] =
    &["tickets", "tickets", "tickets", "contacts", "accounts", "products", "contracts"];

/// One change (`op`) or many random ones (`count`).
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Mutation {
    One(One),
    Random(Random),
}

/// One change.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum One {
    Create {
        table: String,
        #[serde(default)]
        values: Object,
    },
    Update {
        table: String,
        id: String,
        values: Object,
    },
    MoveToTrash {
        table: String,
        id: String,
    },
    Restore {
        table: String,
        id: String,
    },
    Purge {
        table: String,
        id: String,
    },
    AddComment {
        ticket: String,
        content: String,
        #[serde(default)]
        public: bool,
    },
    UpdateComment {
        ticket: String,
        id: String,
        content: String,
    },
    DeleteComment {
        ticket: String,
        id: String,
    },
    AddThread {
        ticket: String,
        content: String,
        #[serde(default)]
        outgoing: bool,
    },
    /// Many threads of this size, in one change without events.
    AddThreads {
        ticket: String,
        count: usize,
        bytes: usize,
    },
    /// One change of many records, without events.
    Bulk(Bulk),
    /// An attachment, time entry, approval or tag is added. `event`: the last word of its event.
    AddPart {
        ticket: String,
        list: String,
        #[serde(default)]
        values: Object,
        event: Option<String>,
    },
    UpdatePart {
        ticket: String,
        list: String,
        id: String,
        values: Object,
    },
    DeletePart {
        ticket: String,
        list: String,
        id: String,
        event: Option<String>,
    },
    /// An event that no change here causes.
    Emit {
        event: String,
        payload: Object,
    },
    RenameField {
        module: String,
        #[serde(rename = "apiName")]
        api_name: String,
        label: String,
    },
    /// A field of another type under the same name, as one that was deleted and created again: no values.
    RetypeField {
        module: String,
        #[serde(rename = "apiName")]
        api_name: String,
        #[serde(rename = "type")]
        kind: String,
    },
    RemoveField {
        module: String,
        #[serde(rename = "apiName")]
        api_name: String,
    },
    AddField {
        module: String,
        #[serde(rename = "apiName")]
        api_name: String,
        label: String,
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        values: Vec<String>,
    },
}

/// Many random changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Random {
    seed: u64,
    count: u64,
    tables: Option<Vec<String>>,
}

/// Makes the changes. The answer has the id of a created record, or the number of events.
pub(crate) fn apply(shared: &Shared, mutation: Mutation) -> Result<Value, AdminError> {
    match mutation {
        Mutation::One(one) => {
            let changed = shared.change(None, |world, stamp| change(world, one, stamp));
            changed.map_err(|error| match error {
                ChangeError::NotFound => {
                    (404, "record: not found, or not in a state that allows the change".to_owned())
                }
                ChangeError::Invalid(field) => (422, format!("{field}: the value is invalid")),
            })
        }
        Mutation::Random(random) => Ok(apply_random(shared, random)),
    }
}

fn apply_random(shared: &Shared, random: Random) -> Value {
    let tables = random.tables.unwrap_or_else(|| RANDOM_TABLES.iter().map(|t| (*t).to_owned()).collect());
    let mut rng = Rng::new(random.seed, 81, 0);
    let mut total = 0;
    for _ in 0..random.count {
        let events = shared.change(None, |world, stamp| {
            let events = world.mutate_at_random(&mut rng, &tables, stamp);
            Ok((events.len(), events))
        });
        total += events.unwrap_or(0);
    }
    json!({"mutations": random.count, "events": total})
}

fn change(world: &mut World, one: One, stamp: Stamp) -> Result<(Value, Vec<Event>), ChangeError> {
    let made = |(id, events): (u64, Vec<Event>)| Ok((json!({"id": id.to_string()}), events));
    let done = |events: Vec<Event>| Ok((json!({"events": events.len()}), events));
    let silent = |()| done(Vec::new());
    match one {
        One::Create { table, values } if table == "tickets" => {
            let (at, events) = world.create_ticket(&values, stamp)?;
            made((world.tickets.rows[at].id(world.seed), events))
        }
        One::Create { table, values } => {
            let (at, events) = world.create_row(&table, &values, stamp)?;
            let created = world.table(&table).map_or(0, |table| table.rows[at].id);
            made((created, events))
        }
        One::Update { table, id, values } if table == "tickets" => {
            done(world.update_ticket(&id, &values, stamp)?)
        }
        One::Update { table, id, values } => done(world.update_row(&table, &id, &values, stamp)?),
        One::MoveToTrash { table, id } => done(world.transition(&table, &id, Transition::Trash, stamp)?),
        One::Restore { table, id } => done(world.transition(&table, &id, Transition::Restore, stamp)?),
        One::Purge { table, id } => done(world.transition(&table, &id, Transition::Purge, stamp)?),
        One::AddComment { ticket, content, public } => {
            made(world.add_conversation(&ticket, ConversationKind::Comment { public }, &content, stamp)?)
        }
        One::UpdateComment { ticket, id, content } => {
            done(world.update_comment(&ticket, &id, &content, stamp)?)
        }
        One::DeleteComment { ticket, id } => silent(world.delete_comment(&ticket, &id, stamp)?),
        One::AddThread { ticket, content, outgoing } => {
            let kind = ConversationKind::Thread { incoming: !outgoing };
            made(world.add_conversation(&ticket, kind, &content, stamp)?)
        }
        One::AddThreads { ticket, count, bytes } => silent(world.add_threads(&ticket, count, bytes, stamp)?),
        One::Bulk(bulk) => {
            let changed = world.change_in_bulk(&bulk, stamp)?;
            Ok((json!({"changed": changed}), Vec::new()))
        }
        One::AddPart { ticket, list, values, event } => {
            let what = (event.as_deref().unwrap_or("Add"), &values);
            let (part, events) = world.change_part(&ticket, &list, PartChange::Add, what, stamp)?;
            Ok((json!({"id": part}), events))
        }
        One::UpdatePart { ticket, list, id, values } => {
            let (_, events) =
                world.change_part(&ticket, &list, PartChange::Update(&id), ("Update", &values), stamp)?;
            done(events)
        }
        One::DeletePart { ticket, list, id, event } => {
            let what = (event.as_deref().unwrap_or("Delete"), &Object::new());
            let (_, events) = world.change_part(&ticket, &list, PartChange::Delete(&id), what, stamp)?;
            done(events)
        }
        One::Emit { event, payload } => done(vec![Event::new(event, payload, stamp.now)]),
        One::RenameField { module, api_name, label } => {
            silent(world.rename_field(&module, &api_name, &label)?)
        }
        One::RetypeField { module, api_name, kind } => {
            let label = world.remove_field(&module, &api_name)?;
            let created = world.add_field(&module, &api_name, &label, &kind, &[])?;
            made((created, Vec::new()))
        }
        One::RemoveField { module, api_name } => silent(world.remove_field(&module, &api_name).map(drop)?),
        One::AddField { module, api_name, label, kind, values } => {
            let created = world.add_field(&module, &api_name, &label, &kind, &values)?;
            made((created, Vec::new()))
        }
    }
}
