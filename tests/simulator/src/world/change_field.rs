//! Renames, adds and removes fields, and checks the values that requests give custom fields.

use serde_json::Value;

use crate::world::World;
use crate::world::change::ChangeError;
use crate::world::fields::{MODULES, NewField};
use crate::world::table::Object;

impl World {
    /// Changes the label of a field.
    pub(crate) fn rename_field(&mut self, module: &str, api: &str, label: &str) -> Result<(), ChangeError> {
        if !self.fields.rename(module, api, label) {
            return Err(ChangeError::NotFound);
        }
        self.tickets.invalidate_rows();
        Ok(())
    }

    /// Adds a custom field to a module and gives its id. Existing records hold null in it.
    pub(crate) fn add_field(
        &mut self,
        module: &str,
        api_name: &str,
        label: &str,
        kind: &str,
        allowed: &[String],
    ) -> Result<u64, ChangeError> {
        let module = MODULES.iter().find(|known| **known == module).ok_or(ChangeError::NotFound)?;
        if !api_name.starts_with("cf_") || self.fields.of(module).any(|f| f.api_name == api_name) {
            return Err(ChangeError::Invalid("apiName".to_owned()));
        }
        let allowed = allowed.iter().map(|value| (value.clone(), None)).collect();
        let is_mandatory = false;
        let field = NewField { module, api_name, label, kind, is_custom: true, is_mandatory, allowed };
        let id = self.fields.add(field).id;
        if let Some(table) = self.table_mut(module) {
            for row in &mut table.rows {
                if let Some(Value::Object(cf)) = row.values.get_mut("cf") {
                    cf.insert(api_name.to_owned(), Value::Null);
                }
            }
            table.invalidate_rows();
        }
        self.tickets.invalidate_rows();
        Ok(id)
    }

    /// Removes a custom field with its values, and gives its label.
    pub(crate) fn remove_field(&mut self, module: &str, api_name: &str) -> Result<String, ChangeError> {
        let label = self.fields.remove(module, api_name).ok_or(ChangeError::NotFound)?;
        if let Some(table) = self.table_mut(module) {
            for row in &mut table.rows {
                if let Some(Value::Object(cf)) = row.values.get_mut("cf") {
                    cf.remove(api_name);
                }
            }
            table.invalidate_rows();
        }
        self.tickets.invalidate_rows();
        Ok(label)
    }

    /// Custom field values as records show them, text or null. Rejects fields that do not exist, and lists
    /// and objects.
    pub(crate) fn checked_custom_fields(&self, module: &str, cf: &Object) -> Result<Object, ChangeError> {
        let mut checked = Object::new();
        for (name, value) in cf {
            let invalid = || ChangeError::Invalid(format!("cf/{name}"));
            if self.fields.custom(module).all(|field| field.api_name != *name) {
                return Err(invalid());
            }
            let value = match value {
                Value::Null | Value::String(_) => value.clone(),
                Value::Number(_) | Value::Bool(_) => Value::String(value.to_string()),
                Value::Array(_) | Value::Object(_) => return Err(invalid()),
            };
            checked.insert(name.clone(), value);
        }
        Ok(checked)
    }
}
