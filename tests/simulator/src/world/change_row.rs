//! Creating and updating records of every module but tickets, and the fields themselves.

use serde_json::{Value, json};

use crate::time::iso;
use crate::world::World;
use crate::world::catalog::{self, Counts};
use crate::world::change::{Event, Refused, Stamp};
use crate::world::customers;
use crate::world::departments;
use crate::world::fields::MODULES;
use crate::world::table::{Document, Life, Row};

/// Keys that nobody can set.
const FIXED: &[&str] = &["id", "createdTime", "modifiedTime", "createdBy", "webUrl", "customFields"];

impl World {
    /// Alters a record and forgets what was worked out from it.
    pub(crate) fn edit_row(
        &mut self,
        name: &str,
        at: usize,
        stamp: Stamp,
        moves_modified_time: bool,
        edit: impl FnOnce(&mut Row),
    ) {
        let Some(table) = self.table_mut(name) else { return };
        let before = table.rows[at].clone();
        table.pending.keep(stamp.now, stamp.lag_ms, at, Some(before));
        let row = &mut table.rows[at];
        edit(row);
        if moves_modified_time {
            row.modified = row.modified.max(stamp.cut);
            let modified = iso(row.modified);
            if let Some(value) = row.document.get_mut("modifiedTime") {
                *value = Value::String(modified);
            }
        }
        table.forget(at);
        self.forget_embedding();
    }

    /// Other records embed parts of this one.
    fn forget_embedding(&mut self) {
        self.tickets.forget_rows();
        self.contacts.forget_rows();
    }

    /// Creates a record of a module; gives its position. What is not given is made up.
    pub(crate) fn create_row(
        &mut self,
        name: &str,
        values: &Document,
        stamp: Stamp,
    ) -> Result<(usize, Vec<Event>), Refused> {
        let mut row = self.draft(name).ok_or(Refused::Missing)?;
        row.created = stamp.cut;
        row.modified = stamp.cut;
        for key in ["createdTime", "modifiedTime"] {
            if let Some(value) = row.document.get_mut(key) {
                *value = Value::String(iso(stamp.cut));
            }
        }
        self.set_row(name, &mut row, values)?;
        let table = self.table_mut(name).ok_or(Refused::Missing)?;
        let at = table.rows.len();
        table.pending.keep(stamp.now, stamp.lag_ms, at, None);
        table.push(row);
        self.forget_embedding();
        Ok((at, self.row_event(name, at, "Add", stamp.now).into_iter().collect()))
    }

    /// Updates a record of a module.
    pub(crate) fn update_row(
        &mut self,
        name: &str,
        id: &str,
        values: &Document,
        stamp: Stamp,
    ) -> Result<Vec<Event>, Refused> {
        let table = self.table(name).ok_or(Refused::Missing)?;
        let at = table.position(id).ok_or(Refused::Missing)?;
        let mut row = table.rows[at].clone();
        if row.life != Life::Live {
            return Err(Refused::Missing);
        }
        let before = self.detail(table, &row);
        self.set_row(name, &mut row, values)?;
        self.edit_row(name, at, stamp, true, |kept| *kept = row);
        let event = self.row_event(name, at, "Update", stamp.now);
        Ok(event.map(|event| event.since(before)).into_iter().collect())
    }

    fn row_event(&self, name: &str, at: usize, what: &str, now: i64) -> Option<Event> {
        let table = self.table(name)?;
        let word = table.module.event?;
        let state = self.detail(table, &table.rows[at]);
        let mut event = Event::new(format!("{word}_{what}"), state, now);
        event.department = None;
        Some(event)
    }

    fn set_row(&self, name: &str, row: &mut Row, values: &Document) -> Result<(), Refused> {
        for (key, value) in values {
            if FIXED.contains(&key.as_str()) || !row.document.contains_key(key) {
                return Err(Refused::Invalid(key.clone()));
            }
            if key == "cf" {
                let cf = value.as_object().ok_or_else(|| Refused::Invalid(key.clone()))?;
                let cf = self.checked_custom_fields(name, cf)?;
                if let Some(Value::Object(kept)) = row.document.get_mut("cf") {
                    kept.extend(cf);
                }
            } else {
                row.document.insert(key.clone(), value.clone());
            }
        }
        Ok(())
    }

    fn draft(&self, name: &str) -> Option<Row> {
        let table = self.table(name)?;
        let at = table.rows.len() as u32;
        let (seed, draw) = (self.seed, &self.draw);
        let counts = Counts::of(draw);
        let people = (draw.contacts, draw.accounts, draw.agents);
        let mut row = match name {
            "departments" => departments::department(seed, at, draw.agents),
            "agents" => departments::agent(seed, at, draw.departments),
            "teams" => departments::team(seed, at % draw.departments, draw.agents),
            "products" => catalog::product(seed, at, counts, &self.fields),
            "contracts" => catalog::contract(seed, at, counts, &self.fields),
            "contacts" => customers::contact(seed, at, people, &self.fields),
            "accounts" => customers::account(seed, at, people, &self.fields),
            _ => return None,
        };
        row.id = table.next_id();
        row.document.insert("id".to_owned(), json!(row.id.to_string()));
        Some(row)
    }

    /// Gives a field another label.
    pub(crate) fn rename_field(&mut self, module: &str, api: &str, label: &str) -> Result<(), Refused> {
        if !self.fields.rename(module, api, label) {
            return Err(Refused::Missing);
        }
        self.tickets.forget_rows();
        Ok(())
    }

    /// Adds a custom field to a module. Existing records show it as null.
    pub(crate) fn add_field(
        &mut self,
        module: &str,
        api_name: &str,
        label: &str,
        kind: &str,
        allowed: &[String],
    ) -> Result<u64, Refused> {
        let module = MODULES.iter().find(|known| **known == module).ok_or(Refused::Missing)?;
        if !api_name.starts_with("cf_") || self.fields.of(module).any(|f| f.api_name == api_name) {
            return Err(Refused::Invalid("apiName".to_owned()));
        }
        let allowed = allowed.iter().map(|value| (value.clone(), None)).collect();
        let id = self.fields.add(module, api_name, label, kind, true, allowed).id;
        if let Some(table) = self.table_mut(module) {
            for row in &mut table.rows {
                if let Some(Value::Object(cf)) = row.document.get_mut("cf") {
                    cf.insert(api_name.to_owned(), Value::Null);
                }
            }
            table.forget_rows();
        }
        self.tickets.forget_rows();
        Ok(id)
    }
}
