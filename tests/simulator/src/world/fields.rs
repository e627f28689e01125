//! The fields of every module, standard and custom, and the values of custom ones.

use serde_json::{Value, json};

use crate::clock::DATA_START_MS;
use crate::time::{DAY_MS, date, iso};
use crate::ids::{self, Kind};
use crate::prose;
use crate::rng::{Rng, hash, mix};
use crate::world::standard_fields::{CUSTOM, STANDARD};
use crate::world::table::Document;

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
    pub(crate) custom: bool,
    pub(crate) mandatory: bool,
    /// Picklist values, each with its status type if it is a status.
    pub(crate) allowed: Vec<(String, Option<String>)>,
    /// Records that were there before the field have no value in it.
    pub(crate) added_later: bool,
    hash: u64,
}

impl Field {
    /// The row of `organizationFields`.
    pub(crate) fn document(&self) -> Document {
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
            "isCustomField": self.custom, "isMandatory": self.mandatory,
            "maxLength": self.length_max(), "showToHelpCenter": self.mandatory,
            "isEncryptedField": false, "allowedValues": allowed,
        });
        match row {
            Value::Object(document) => document,
            _ => Document::new(),
        }
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

    /// Whether the layout of a department (or of the whole module: 0) has this custom field. Keys of
    /// absent fields are missing in `cf`, not null.
    pub(crate) fn in_layout(&self, department: u64) -> bool {
        !self.hash.wrapping_add(department).is_multiple_of(7)
    }

    /// The generated value of a record in this custom field: text, or none for null.
    pub(crate) fn generate(&self, seed: u64, kind: Kind, index: u64, contacts: u64) -> Option<String> {
        let mut rng = Rng::new(mix(seed, self.hash, kind as u64), 40, index);
        if self.added_later || rng.chance(350) {
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
            "lookup" => ids::id(seed, Kind::Contact, rng.below(contacts.max(1))).to_string(),
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

/// All fields of a portal.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    all: Vec<Field>,
    seed: u64,
}

impl Fields {
    /// The fields that a portal begins with.
    pub(crate) fn new(seed: u64, statuses: &[(String, String)]) -> Fields {
        let mut fields = Fields { all: Vec::new(), seed };
        for module in MODULES {
            for (owner, api_name, label, kind, mandatory, allowed) in STANDARD {
                if owner == module {
                    let mut values: Vec<(String, Option<String>)> =
                        allowed.iter().map(|value| ((*value).to_owned(), None)).collect();
                    if *api_name == "status" && *module == "tickets" {
                        values = statuses.iter().map(|(n, t)| (n.clone(), Some(t.clone()))).collect();
                    }
                    fields.add(module, api_name, label, kind, false, values);
                    if let Some(field) = fields.all.last_mut() {
                        field.mandatory = *mandatory;
                    }
                }
            }
            for (api_name, label, kind, allowed) in CUSTOM {
                let values = allowed.iter().map(|value| ((*value).to_owned(), None)).collect();
                fields.add(module, api_name, label, kind, true, values);
            }
        }
        for field in &mut fields.all {
            field.added_later = false;
        }
        fields
    }

    /// Adds a field; records that exist have no value in it.
    pub(crate) fn add(
        &mut self,
        module: &'static str,
        api_name: &str,
        label: &str,
        kind: &str,
        custom: bool,
        allowed: Vec<(String, Option<String>)>,
    ) -> &Field {
        let at = self.all.len();
        self.all.push(Field {
            id: ids::id(self.seed, Kind::Field, at as u64),
            module,
            api_name: api_name.to_owned(),
            label: label.to_owned(),
            kind: kind.to_owned(),
            custom,
            mandatory: false,
            allowed,
            added_later: true,
            hash: hash(format!("{module}/{api_name}").as_bytes()),
        });
        &self.all[at]
    }

    /// The fields of a module.
    pub(crate) fn of<'a>(&'a self, module: &'a str) -> impl Iterator<Item = &'a Field> {
        self.all.iter().filter(move |field| field.module == module)
    }

    /// The custom fields of a module.
    pub(crate) fn custom<'a>(&'a self, module: &'a str) -> impl Iterator<Item = &'a Field> {
        self.of(module).filter(|field| field.custom)
    }

    /// Every field of every module.
    pub(crate) fn all(&self) -> &[Field] {
        &self.all
    }

    /// Gives the field with an api name another label.
    pub(crate) fn rename(&mut self, module: &str, api_name: &str, label: &str) -> bool {
        let mut fields = self.all.iter_mut();
        let found = fields.find(|field| field.module == module && field.api_name == api_name);
        found.map(|field| label.clone_into(&mut field.label)).is_some()
    }

    /// The `cf` object of a generated document of a module.
    pub(crate) fn generate(&self, module: &str, kind: Kind, index: u64, contacts: u64) -> Value {
        let values = self.custom(module).filter(|field| field.in_layout(0)).map(|field| {
            let value = field.generate(self.seed, kind, index, contacts);
            (field.api_name.clone(), value.map_or(Value::Null, Value::String))
        });
        Value::Object(values.collect())
    }

    /// `customFields` (by label) of a `cf` object (by api name).
    pub(crate) fn by_label(&self, module: &str, cf: &Document) -> Value {
        let labelled = self
            .custom(module)
            .filter_map(|field| cf.get(&field.api_name).map(|value| (field.label.clone(), value.clone())));
        Value::Object(labelled.collect())
    }
}
