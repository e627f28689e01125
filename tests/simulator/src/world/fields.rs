//! The fields of every module, and the generated values of custom fields (reference, §4.8).

use serde_json::{Value, json};

use crate::clock::DATA_START_MS;
use crate::ids::{self, Kind};
use crate::prose;
use crate::rng::{Rng, hash, mix};
use crate::time::{DAY_MS, date, iso};
use crate::world::population::Population;
use crate::world::standard_fields::{CUSTOM, STANDARD};
use crate::world::table::{Object, into_object};

/// The modules that have fields, as `organizationFields?module=` names them.
pub(crate) const MODULES: &[&str] =
    &["tickets", "contacts", "accounts", "tasks", "calls", "events", "contracts", "products", "timeEntry"];

/// One field of one module.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) id: u64,
    pub(crate) module: &'static str,
    pub(crate) api_name: String,
    pub(crate) label: String,
    pub(crate) kind: String,
    pub(crate) is_custom: bool,
    pub(crate) is_mandatory: bool,
    /// Picklist values, each with its type if it is a status.
    pub(crate) allowed: Vec<(String, Option<String>)>,
    /// Whether it was added while the simulator runs: generated records hold null in it.
    is_added_later: bool,
    hash: u64,
}

impl Field {
    /// The row of `organizationFields`.
    pub(crate) fn to_json(&self) -> Object {
        let allowed: Vec<Value> = self
            .allowed
            .iter()
            .map(|(value, kind)| match kind {
                Some(kind) => json!({"value": value, "statusType": kind}),
                None => json!({"value": value}),
            })
            .collect();
        let row = json!({
            "id": self.id.to_string(), "apiName": self.api_name, "name": self.api_name,
            "displayLabel": self.label, "i18NLabel": self.label, "type": self.kind,
            "isCustomField": self.is_custom, "isMandatory": self.is_mandatory,
            "maxLength": self.length_max(), "showToHelpCenter": self.is_mandatory,
            "isEncryptedField": false, "allowedValues": allowed,
        });
        into_object(row)
    }

    fn length_max(&self) -> u32 {
        match self.kind.to_ascii_lowercase().as_str() {
            "textarea" => 65_535,
            "url" => 450,
            "number" => 9,
            "decimal" | "currency" => 16,
            "percent" => 5,
            "boolean" => 5,
            "phone" => 50,
            _ => 255,
        }
    }

    /// Whether the layout of a department (0: of the whole module) has this custom field. `cf` does not have
    /// the keys of fields outside the layout.
    pub(crate) fn is_in_layout(&self, department: u64) -> bool {
        !self.hash.wrapping_add(department).is_multiple_of(7)
    }

    /// The generated value of a record in this custom field; none for null.
    pub(crate) fn generate(&self, population: &Population, kind: Kind, index: u32) -> Option<String> {
        let seed = population.seed;
        let mut rng = Rng::new(mix(seed, self.hash, kind as u64), 40, u64::from(index));
        if self.is_added_later || rng.chance(350) {
            return None;
        }
        let day = DATA_START_MS + rng.below(1000) as i64 * DAY_MS;
        let value = match self.kind.to_ascii_lowercase().as_str() {
            "textarea" => prose::customer_text(&mut rng),
            "number" => rng.below(100_000).to_string(),
            "percent" => format!("{}.{}", rng.below(100), rng.below(10)),
            "decimal" => format!("{}.{:04}", rng.below(1000), rng.below(10_000)),
            "currency" => format!("{}.{:02}", rng.below(100_000), rng.below(100)),
            "date" => date(day),
            "datetime" => iso(day + rng.below(86_400) as i64 * 1000),
            "email" => prose::email("backup", "desk", rng.below(1000)),
            "phone" => prose::phone(&mut rng),
            "boolean" => rng.chance(500).to_string(),
            "url" => format!("https://example.com/r?id={}&q=%22a%22", rng.below(10_000)),
            "lookup" => ids::id(seed, Kind::Contact, rng.below(population.contacts.into())).to_string(),
            "picklist" | "multiselect" if self.allowed.is_empty() => return None,
            "picklist" => rng.pick(&self.allowed).0.clone(),
            "multiselect" => {
                let chosen: Vec<&str> =
                    self.allowed.iter().filter(|_| rng.chance(500)).map(|(v, _)| v.as_str()).collect();
                if chosen.is_empty() {
                    return None;
                }
                chosen.join(";")
            }
            _ => format!("{} {}", prose::subject(&mut rng), rng.below(100)),
        };
        Some(value)
    }
}

/// A field to be added.
#[derive(Debug)]
pub(crate) struct NewField<'a> {
    pub(crate) module: &'static str,
    pub(crate) api_name: &'a str,
    pub(crate) label: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) is_custom: bool,
    pub(crate) is_mandatory: bool,
    pub(crate) allowed: Vec<(String, Option<String>)>,
}

/// The fields of all modules.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    all: Vec<Field>,
    /// Fields that were created.
    created: u64,
    seed: u64,
}

impl Fields {
    /// The fields that every simulator starts with. `statuses` are the allowed values of a ticket's `status`.
    pub(crate) fn new(seed: u64, statuses: &[(String, String)]) -> Fields {
        let mut fields = Fields { all: Vec::new(), created: 0, seed };
        for module in MODULES {
            for (owner, api_name, label, kind, is_mandatory, allowed) in STANDARD {
                if owner != module {
                    continue;
                }
                let is_status = *api_name == "status" && *module == "tickets";
                let allowed = if is_status {
                    statuses.iter().map(|(name, kind)| (name.clone(), Some(kind.clone()))).collect()
                } else {
                    untyped(allowed)
                };
                let is_mandatory = *is_mandatory;
                let is_custom = false;
                fields.add(NewField { module, api_name, label, kind, is_custom, is_mandatory, allowed });
            }
            for (api_name, label, kind, allowed) in CUSTOM {
                let (is_custom, is_mandatory, allowed) = (true, false, untyped(allowed));
                fields.add(NewField { module, api_name, label, kind, is_custom, is_mandatory, allowed });
            }
        }
        for field in &mut fields.all {
            field.is_added_later = false;
        }
        fields
    }

    /// Adds a field. Records generated before hold null in it.
    pub(crate) fn add(&mut self, new: NewField<'_>) -> &Field {
        let at = self.all.len();
        self.created += 1;
        self.all.push(Field {
            id: ids::id(self.seed, Kind::Field, self.created - 1),
            module: new.module,
            api_name: new.api_name.to_owned(),
            label: new.label.to_owned(),
            kind: new.kind.to_owned(),
            is_custom: new.is_custom,
            is_mandatory: new.is_mandatory,
            allowed: new.allowed,
            is_added_later: true,
            hash: hash(format!("{}/{}", new.module, new.api_name).as_bytes()),
        });
        &self.all[at]
    }

    /// The fields of a module.
    pub(crate) fn of<'a>(&'a self, module: &'a str) -> impl Iterator<Item = &'a Field> {
        self.all.iter().filter(move |field| field.module == module)
    }

    /// The custom fields of a module.
    pub(crate) fn custom<'a>(&'a self, module: &'a str) -> impl Iterator<Item = &'a Field> {
        self.of(module).filter(|field| field.is_custom)
    }

    /// Every field of every module.
    pub(crate) fn all(&self) -> &[Field] {
        &self.all
    }

    /// Changes the label of a field; false when there is no such field.
    pub(crate) fn rename(&mut self, module: &str, api_name: &str, label: &str) -> bool {
        let mut fields = self.all.iter_mut();
        let found = fields.find(|field| field.module == module && field.api_name == api_name);
        found.map(|field| label.clone_into(&mut field.label)).is_some()
    }

    /// Removes a custom field, and gives its label; none when there is no such field.
    pub(crate) fn remove(&mut self, module: &str, api_name: &str) -> Option<String> {
        let is_it = |field: &Field| field.is_custom && field.module == module && field.api_name == api_name;
        let at = self.all.iter().position(is_it)?;
        Some(self.all.remove(at).label)
    }

    /// The `cf` object of a generated record of a module, with the fields of the module's layout.
    pub(crate) fn generate(&self, population: &Population, module: &str, kind: Kind, index: u32) -> Value {
        let values = self.custom(module).filter(|field| field.is_in_layout(0)).map(|field| {
            let value = field.generate(population, kind, index);
            (field.api_name.clone(), value.map_or(Value::Null, Value::String))
        });
        Value::Object(values.collect())
    }

    /// `customFields`, keyed by label, of a `cf` object, keyed by API name.
    pub(crate) fn by_label(&self, module: &str, cf: &Object) -> Value {
        let labeled = self
            .custom(module)
            .filter_map(|field| cf.get(&field.api_name).map(|value| (field.label.clone(), value.clone())));
        Value::Object(labeled.collect())
    }
}

/// Picklist values that are not statuses.
fn untyped(values: &[&str]) -> Vec<(String, Option<String>)> {
    values.iter().map(|value| ((*value).to_owned(), None)).collect()
}
