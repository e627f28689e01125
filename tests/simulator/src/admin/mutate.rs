//! `POST /_admin/mutate`: changes that somebody makes in Desk's own pages.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::AdminError;
use crate::rng::Rng;
use crate::shared::Shared;
use crate::world::World;
use crate::world::change::{Event, Move, Refused, Stamp};
use crate::world::conversation::Sort;
use crate::world::table::Document;

/// Tables that random mutations touch unless told otherwise.
const RANDOM_TABLES: &[&str] =
    &["tickets", "tickets", "tickets", "contacts", "accounts", "products", "contracts"];

/// Either one change (`op`) or many random ones (`count`).
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
        values: Document,
    },
    Update {
        table: String,
        id: String,
        values: Document,
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
    RenameField {
        module: String,
        #[serde(rename = "apiName")]
        api_name: String,
        label: String,
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

/// Makes the changes; answers the id of what was made, or how many events came of it.
pub(crate) fn apply(shared: &Shared, mutation: Mutation) -> Result<Value, AdminError> {
    match mutation {
        Mutation::One(one) => {
            let made = shared.change(None, |world, stamp| change(world, one, stamp));
            made.map_err(|refused| match refused {
                Refused::Missing => (404, "no such record, or not in a state to do that".to_owned()),
                Refused::Invalid(field) => (422, format!("{field}: the value is invalid")),
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
        let made = shared.change(None, |world, stamp| {
            let events = world.mutate_at_random(&mut rng, &tables, stamp);
            Ok((events.len(), events))
        });
        total += made.unwrap_or(0);
    }
    json!({"mutations": random.count, "events": total})
}

fn change(world: &mut World, one: One, stamp: Stamp) -> Result<(Value, Vec<Event>), Refused> {
    let id = |id: u64| json!({"id": id.to_string()});
    let done = |events: Vec<Event>| Ok((json!({"events": events.len()}), events));
    match one {
        One::Create { table, values } if table == "tickets" => {
            let (at, events) = world.create_ticket(&values, stamp)?;
            Ok((id(world.tickets.rows[at].id(world.seed)), events))
        }
        One::Create { table, values } => {
            let (at, events) = world.create_row(&table, &values, stamp)?;
            let made = world.table(&table).map_or(0, |table| table.rows[at].id);
            Ok((id(made), events))
        }
        One::Update { table, id, values } if table == "tickets" => {
            done(world.update_ticket(&id, &values, stamp)?)
        }
        One::Update { table, id, values } => done(world.update_row(&table, &id, &values, stamp)?),
        One::MoveToTrash { table, id } => done(world.relocate(&table, &id, Move::Trash, stamp)?),
        One::Restore { table, id } => done(world.relocate(&table, &id, Move::Restore, stamp)?),
        One::Purge { table, id } => done(world.relocate(&table, &id, Move::Purge, stamp)?),
        One::AddComment { ticket, content, public } => {
            let (made, events) = world.add_talk(&ticket, Sort::Comment { public }, &content, stamp)?;
            Ok((id(made), events))
        }
        One::UpdateComment { ticket, id, content } => {
            done(world.update_comment(&ticket, &id, &content, stamp)?)
        }
        One::DeleteComment { ticket, id } => {
            world.delete_comment(&ticket, &id, stamp)?;
            done(Vec::new())
        }
        One::AddThread { ticket, content, outgoing } => {
            let sort = Sort::Thread { incoming: !outgoing };
            let (made, events) = world.add_talk(&ticket, sort, &content, stamp)?;
            Ok((id(made), events))
        }
        One::RenameField { module, api_name, label } => {
            world.rename_field(&module, &api_name, &label)?;
            done(Vec::new())
        }
        One::AddField { module, api_name, label, kind, values } => {
            let made = world.add_field(&module, &api_name, &label, &kind, &values)?;
            Ok((id(made), Vec::new()))
        }
    }
}
