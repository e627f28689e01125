//! Random mutations: the same seed makes the same changes to the same data.

use serde_json::{Value, json};

use crate::prose;
use crate::rng::Rng;
use crate::time::{DAY_MS, iso};
use crate::vocabulary::PRIORITIES;
use crate::world::World;
use crate::world::change::{ChangeError, Event, Stamp, Transition};
use crate::world::conversation::ConversationKind;
use crate::world::table::{Lifecycle, Row, into_object};

/// Attempts to find a record that can be changed before a mutation is skipped.
const ATTEMPTS_MAX: u32 = 50;

impl World {
    /// Applies one random change to one of the tables and gives its events; none when nothing could change.
    pub(crate) fn mutate_at_random(&mut self, rng: &mut Rng, tables: &[String], stamp: Stamp) -> Vec<Event> {
        if tables.is_empty() {
            return Vec::new();
        }
        for _ in 0..ATTEMPTS_MAX {
            let table = rng.pick(tables).clone();
            if let Ok(events) = self.try_random(rng, &table, stamp) {
                return events;
            }
        }
        Vec::new()
    }

    fn try_random(&mut self, rng: &mut Rng, table: &str, stamp: Stamp) -> Result<Vec<Event>, ChangeError> {
        match table {
            "tickets" => self.random_ticket(rng, stamp),
            "ticket_conversations" => self.random_conversation(rng, stamp),
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

    fn random_ticket(&mut self, rng: &mut Rng, stamp: Stamp) -> Result<Vec<Event>, ChangeError> {
        let dice = rng.below(100);
        if dice < 15 || self.tickets.rows.is_empty() {
            let (contact, department) =
                (random_id(rng, &self.contacts.rows), random_id(rng, &self.departments.rows));
            let values = into_object(json!({
                "subject": prose::subject(rng), "description": prose::description(rng),
                "contactId": contact, "departmentId": department,
                "email": format!("new{}@example.com", rng.below(10_000)),
                "cf": {"cf_order_number": rng.below(1_000_000)},
            }));
            return Ok(self.create_ticket(&values, stamp)?.1);
        }
        let at = rng.below(self.tickets.rows.len() as u64) as usize;
        let ticket = &self.tickets.rows[at];
        let id = ticket.id(self.seed).to_string();
        if ticket.is_archived {
            return Err(ChangeError::NotFound);
        }
        match (&ticket.lifecycle, dice) {
            (Lifecycle::Live, 15..=24) => self.transition("tickets", &id, Transition::Trash, stamp),
            (Lifecycle::Live, 25..=39) => self.random_conversation_of(rng, &id, stamp),
            (Lifecycle::Live, _) => {
                let values = self.random_values(rng, at);
                self.update_ticket(&id, &into_object(values), stamp)
            }
            (Lifecycle::Trashed { .. }, 0..=59) => {
                self.transition("tickets", &id, Transition::Restore, stamp)
            }
            (Lifecycle::Trashed { .. }, _) => self.transition("tickets", &id, Transition::Purge, stamp),
            (Lifecycle::Purged, _) => Err(ChangeError::NotFound),
        }
    }

    fn random_values(&self, rng: &mut Rng, at: usize) -> Value {
        let ticket = &self.tickets.rows[at];
        let agent = random_id(rng, &self.agents.rows);
        match rng.below(7) {
            0 => json!({"status": rng.pick(self.statuses(ticket.department)).name}),
            1 => json!({"priority": rng.pick(PRIORITIES)}),
            2 => json!({"subject": prose::subject(rng)}),
            3 => json!({"description": prose::description(rng), "isRead": rng.chance(500)}),
            4 => json!({"assigneeId": (!rng.chance(200)).then_some(agent)}),
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

    fn random_conversation(&mut self, rng: &mut Rng, stamp: Stamp) -> Result<Vec<Event>, ChangeError> {
        let at = rng.below(self.tickets.rows.len() as u64) as usize;
        let Some(ticket) = self.tickets.rows.get(at) else { return Err(ChangeError::NotFound) };
        let id = ticket.id(self.seed).to_string();
        self.random_conversation_of(rng, &id, stamp)
    }

    fn random_conversation_of(
        &mut self,
        rng: &mut Rng,
        id: &str,
        stamp: Stamp,
    ) -> Result<Vec<Event>, ChangeError> {
        let content = prose::agent_text(rng);
        let dice = rng.below(10);
        if dice < 2 {
            let ticket = self.tickets.find(id).ok_or(ChangeError::NotFound)?;
            let conversations = ticket.conversations(&self.population);
            if let Some(comment) = conversations.iter().find(|item| !item.is_thread()) {
                return self.update_comment(id, &comment.id.to_string(), &content, stamp);
            }
        }
        let kind = match dice {
            0..=4 => ConversationKind::Comment { public: rng.chance(500) },
            _ => ConversationKind::Thread { incoming: rng.chance(600) },
        };
        Ok(self.add_conversation(id, kind, &content, stamp)?.1)
    }

    fn random_row(&mut self, rng: &mut Rng, name: &str, stamp: Stamp) -> Result<Vec<Event>, ChangeError> {
        let table = self.table(name).ok_or(ChangeError::NotFound)?;
        let dice = rng.below(100);
        let can_be_trashed = table.module.trash_key.is_some();
        if table.rows.is_empty() || (dice < 15 && can_be_trashed) {
            return Ok(self.create_row(name, &into_object(json!({})), stamp)?.1);
        }
        let row = &table.rows[rng.below(table.rows.len() as u64) as usize];
        let (id, lifecycle, title) = (row.id.to_string(), row.lifecycle.clone(), table.module.title);
        match (lifecycle, dice) {
            (Lifecycle::Live, 15..=24) if can_be_trashed => {
                self.transition(name, &id, Transition::Trash, stamp)
            }
            (Lifecycle::Live, _) => {
                let value = format!("{} {}", prose::subject(rng), rng.below(1000));
                self.update_row(name, &id, &into_object(json!({title: value})), stamp)
            }
            (Lifecycle::Trashed { .. }, 0..=59) => self.transition(name, &id, Transition::Restore, stamp),
            (Lifecycle::Trashed { .. }, _) => self.transition(name, &id, Transition::Purge, stamp),
            (Lifecycle::Purged, _) => Err(ChangeError::NotFound),
        }
    }
}

fn random_id(rng: &mut Rng, rows: &[Row]) -> String {
    rows[rng.below(rows.len() as u64) as usize].id.to_string()
}
