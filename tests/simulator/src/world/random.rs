//! Random mutations: the same seed does the same things to the same portal.

use serde_json::{Value, json};

use crate::time::{DAY_MS, iso};
use crate::prose;
use crate::rng::Rng;
use crate::vocabulary::PRIORITIES;
use crate::world::World;
use crate::world::change::{Event, Move, Refused, Stamp};
use crate::world::conversation::{Sort, object};
use crate::world::table::Life;

/// How often a random record is looked for before a mutation is given up.
const TRIES_MAX: u32 = 50;

impl World {
    /// One random mutation of one of the tables; events of what it did.
    pub(crate) fn mutate_at_random(&mut self, rng: &mut Rng, tables: &[String], stamp: Stamp) -> Vec<Event> {
        if tables.is_empty() {
            return Vec::new();
        }
        for _ in 0..TRIES_MAX {
            let table = rng.pick(tables).clone();
            if let Ok(events) = self.try_random(rng, &table, stamp) {
                return events;
            }
        }
        Vec::new()
    }

    fn try_random(&mut self, rng: &mut Rng, table: &str, stamp: Stamp) -> Result<Vec<Event>, Refused> {
        match table {
            "tickets" => self.random_ticket(rng, stamp),
            "ticket_conversations" => self.random_talk(rng, stamp),
            "organization_fields" => {
                let names: Vec<String> =
                    self.fields.custom("tickets").map(|field| field.api_name.clone()).collect();
                let label = format!("Renamed {}", rng.below(1_000_000));
                let name: &String = rng.pick(&names);
                self.rename_field("tickets", name, &label).map(|()| Vec::new())
            }
            name => self.random_row(rng, name, stamp),
        }
    }

    fn random_ticket(&mut self, rng: &mut Rng, stamp: Stamp) -> Result<Vec<Event>, Refused> {
        let dice = rng.below(100);
        if dice < 15 || self.tickets.rows.is_empty() {
            let contact = self.contacts.rows[rng.below(self.contacts.rows.len() as u64) as usize].id;
            let department = self.departments.rows[rng.below(self.departments.rows.len() as u64) as usize].id;
            let values = object(json!({
                "subject": prose::subject(rng), "description": prose::description(rng),
                "contactId": contact.to_string(), "departmentId": department.to_string(),
                "email": format!("new{}@example.com", rng.below(10_000)),
                "cf": {"cf_order_number": rng.below(1_000_000)},
            }));
            return Ok(self.create_ticket(&values, stamp)?.1);
        }
        let at = rng.below(self.tickets.rows.len() as u64) as usize;
        let ticket = &self.tickets.rows[at];
        let id = ticket.id(self.seed).to_string();
        if ticket.is_archived {
            return Err(Refused::Missing);
        }
        match (&ticket.life, dice) {
            (Life::Live, 15..=24) => self.relocate("tickets", &id, Move::Trash, stamp),
            (Life::Live, 25..=39) => self.random_talk_of(rng, &id, stamp),
            (Life::Live, _) => {
                let values = self.random_values(rng, at);
                self.update_ticket(&id, &object(values), stamp)
            }
            (Life::Trashed { .. }, 0..=59) => self.relocate("tickets", &id, Move::Restore, stamp),
            (Life::Trashed { .. }, _) => self.relocate("tickets", &id, Move::Purge, stamp),
            (Life::Purged, _) => Err(Refused::Missing),
        }
    }

    fn random_values(&self, rng: &mut Rng, at: usize) -> Value {
        let ticket = &self.tickets.rows[at];
        let agent = self.agents.rows[rng.below(self.agents.rows.len() as u64) as usize].id;
        match rng.below(7) {
            0 => json!({"status": rng.pick(self.statuses(ticket.department)).name}),
            1 => json!({"priority": rng.pick(PRIORITIES)}),
            2 => json!({"subject": prose::subject(rng)}),
            3 => json!({"description": prose::description(rng), "isRead": rng.chance(500)}),
            4 => json!({"assigneeId": (!rng.chance(200)).then(|| agent.to_string())}),
            5 => {
                let due = iso(ticket.created + rng.below(90) as i64 * DAY_MS);
                json!({"dueDate": (!rng.chance(200)).then_some(due), "priority": null})
            }
            _ => json!({"cf": {
                "cf_order_number": format!("№ {}", rng.below(1_000_000)),
                "cf_is_vip": rng.chance(500), "cf_severity": rng.chance(500).then_some("S1"),
            }}),
        }
    }

    fn random_talk(&mut self, rng: &mut Rng, stamp: Stamp) -> Result<Vec<Event>, Refused> {
        let at = rng.below(self.tickets.rows.len() as u64) as usize;
        let Some(ticket) = self.tickets.rows.get(at) else { return Err(Refused::Missing) };
        let id = ticket.id(self.seed).to_string();
        self.random_talk_of(rng, &id, stamp)
    }

    fn random_talk_of(&mut self, rng: &mut Rng, id: &str, stamp: Stamp) -> Result<Vec<Event>, Refused> {
        let content = prose::agent_text(rng);
        let dice = rng.below(10);
        if dice < 2 {
            let ticket = self.tickets.find(id).ok_or(Refused::Missing)?;
            let talks = ticket.conversations(&self.draw);
            if let Some(comment) = talks.iter().find(|item| !item.is_thread()) {
                return self.update_comment(id, &comment.id.to_string(), &content, stamp);
            }
        }
        let sort = match dice {
            0..=4 => Sort::Comment { public: rng.chance(500) },
            _ => Sort::Thread { incoming: rng.chance(600) },
        };
        Ok(self.add_talk(id, sort, &content, stamp)?.1)
    }

    fn random_row(&mut self, rng: &mut Rng, name: &str, stamp: Stamp) -> Result<Vec<Event>, Refused> {
        let table = self.table(name).ok_or(Refused::Missing)?;
        let dice = rng.below(100);
        let trashable = table.module.trash_key.is_some();
        if table.rows.is_empty() || (dice < 15 && trashable) {
            return Ok(self.create_row(name, &object(json!({})), stamp)?.1);
        }
        let row = &table.rows[rng.below(table.rows.len() as u64) as usize];
        let (id, life, title) = (row.id.to_string(), row.life.clone(), table.module.title);
        match (life, dice) {
            (Life::Live, 15..=24) if trashable => self.relocate(name, &id, Move::Trash, stamp),
            (Life::Live, _) => {
                let value = format!("{} {}", prose::subject(rng), rng.below(1000));
                self.update_row(name, &id, &object(json!({title: value})), stamp)
            }
            (Life::Trashed { .. }, 0..=59) => self.relocate(name, &id, Move::Restore, stamp),
            (Life::Trashed { .. }, _) => self.relocate(name, &id, Move::Purge, stamp),
            (Life::Purged, _) => Err(Refused::Missing),
        }
    }
}

impl World {
    /// Churn between two list pages: in turn a ticket is created, and one in the middle is trashed.
    /// Takes turns every `every` calls.
    pub(crate) fn churn(&mut self, every: u64, stamp: Stamp) -> Vec<Event> {
        self.churned += 1;
        if !self.churned.is_multiple_of(every) {
            return Vec::new();
        }
        let mut rng = Rng::new(self.seed, 80, self.churned);
        if rng.chance(400) {
            let values = object(json!({
                "subject": prose::subject(&mut rng), "description": prose::description(&mut rng),
            }));
            return self.create_ticket(&values, stamp).map(|(_, events)| events).unwrap_or_default();
        }
        for _ in 0..TRIES_MAX {
            let at = rng.below(self.tickets.rows.len() as u64) as usize;
            let Some(ticket) = self.tickets.rows.get(at) else { break };
            let id = ticket.id(self.seed).to_string();
            if ticket.life == Life::Live && !ticket.is_archived {
                return self.relocate("tickets", &id, Move::Trash, stamp).unwrap_or_default();
            }
        }
        Vec::new()
    }
}
