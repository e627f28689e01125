//! Creates and updates the records of every module but tickets.

use serde_json::{Value, json};

use crate::time::iso;
use crate::world::World;
use crate::world::change::{ChangeError, Event, ModifiedTime, Stamp};
use crate::world::table::{Object, Record, Row};
use crate::world::{catalog, customers, departments, more};

/// Keys that no request can set.
const READ_ONLY: &[&str] = &["id", "createdTime", "modifiedTime", "createdBy", "webUrl", "customFields"];

impl World {
    /// Modifies a record and invalidates the rows that embed parts of it.
    pub(crate) fn edit_row(
        &mut self,
        name: &str,
        at: usize,
        stamp: Stamp,
        modified: ModifiedTime,
        edit: impl FnOnce(&mut Row),
    ) {
        let Some(table) = self.table_mut(name) else { return };
        table.edit(at, stamp, |row| {
            edit(row);
            if modified == ModifiedTime::Update {
                row.modified = row.modified.max(stamp.record_time);
                let time = iso(row.modified);
                if let Some(value) = row.values.get_mut("modifiedTime") {
                    *value = Value::String(time);
                }
            }
        });
        self.invalidate_embedding();
    }

    /// Tickets and contacts embed parts of other records.
    fn invalidate_embedding(&mut self) {
        self.tickets.invalidate_rows();
        self.contacts.invalidate_rows();
    }

    /// Creates a record of a module and gives its position. Values that are not given are generated.
    pub(crate) fn create_row(
        &mut self,
        name: &str,
        values: &Object,
        stamp: Stamp,
    ) -> Result<(usize, Vec<Event>), ChangeError> {
        let mut row = self.generate_row(name).ok_or(ChangeError::NotFound)?;
        row.created = stamp.record_time;
        row.modified = stamp.record_time;
        for key in ["createdTime", "modifiedTime"] {
            if let Some(value) = row.values.get_mut(key) {
                *value = Value::String(iso(stamp.record_time));
            }
        }
        self.set_values(name, &mut row, values)?;
        let at = self.table_mut(name).ok_or(ChangeError::NotFound)?.insert(row, stamp);
        self.invalidate_embedding();
        Ok((at, self.row_event(name, at, "Add", stamp.now).into_iter().collect()))
    }

    /// Updates a record of a module.
    pub(crate) fn update_row(
        &mut self,
        name: &str,
        id: &str,
        values: &Object,
        stamp: Stamp,
    ) -> Result<Vec<Event>, ChangeError> {
        let table = self.table(name).ok_or(ChangeError::NotFound)?;
        let at = table.position(id).ok_or(ChangeError::NotFound)?;
        let mut row = table.rows[at].clone();
        if !row.is_live() {
            return Err(ChangeError::NotFound);
        }
        let before = self.detail(table, &row);
        self.set_values(name, &mut row, values)?;
        self.edit_row(name, at, stamp, ModifiedTime::Update, |stored| *stored = row);
        let event = self.row_event(name, at, "Update", stamp.now);
        Ok(event.map(|event| event.since(before)).into_iter().collect())
    }

    fn row_event(&self, name: &str, at: usize, what: &str, now: i64) -> Option<Event> {
        let table = self.table(name)?;
        let module = table.module.event?;
        let payload = self.detail(table, &table.rows[at]);
        Some(Event::new(format!("{module}_{what}"), payload, now))
    }

    pub(crate) fn set_values(&self, name: &str, row: &mut Row, values: &Object) -> Result<(), ChangeError> {
        for (key, value) in values {
            if READ_ONLY.contains(&key.as_str()) || !row.values.contains_key(key) {
                return Err(ChangeError::Invalid(key.clone()));
            }
            if key == "cf" {
                let cf = value.as_object().ok_or_else(|| ChangeError::Invalid(key.clone()))?;
                let cf = self.checked_custom_fields(name, cf)?;
                if let Some(Value::Object(stored)) = row.values.get_mut("cf") {
                    stored.extend(cf);
                }
            } else {
                row.values.insert(key.clone(), value.clone());
            }
        }
        Ok(())
    }

    fn generate_row(&self, name: &str) -> Option<Row> {
        let table = self.table(name)?;
        let index = table.rows.len() as u32;
        let (population, fields) = (&self.population, &self.fields);
        let mut row = match name {
            "departments" => departments::department(population, index),
            "agents" => departments::agent(population, index),
            "teams" => departments::team(population, index % population.departments),
            "products" => catalog::product(population, fields, index),
            "contracts" => catalog::contract(population, fields, index),
            "contacts" => customers::contact(population, fields, index),
            "accounts" => customers::account(population, fields, index),
            name => more::generate(name, population, fields, index)?,
        };
        row.id = table.next_id();
        if row.values.contains_key("id") {
            row.values.insert("id".to_owned(), json!(row.id.to_string()));
        }
        Some(row)
    }
}
