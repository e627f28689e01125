//! `docs/CONTRACT.md`: it names every member of the document and every annotation of a schema.

use std::collections::BTreeSet;

use serde_json::Value;

use super::document;
use crate::config::Shape;
use crate::{schema, tables};

/// The words of the page that are marked as code.
fn words(page: &str) -> BTreeSet<&str> {
    let marked = page.split('`').skip(1).step_by(2);
    marked.flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')).collect()
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value))
}

#[test]
fn the_contract_names_every_member_of_the_document_and_every_annotation() {
    let document = document();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let entries = [&document["tables"][0], &document["hosts"][0], &document["commands"][0]];
    let webhook = &document["webhook"];
    let objects = [&document, &document["authorization"], webhook, &webhook["setup"][0]];
    for (name, _) in entries.into_iter().chain(objects).flat_map(members) {
        names.insert(name);
    }
    for (name, value) in members(&document["configuration"]["properties"]).flat_map(|(_, key)| members(key)) {
        let annotation = name.strip_prefix("x-");
        names.extend(annotation.map(|_| name));
        names.extend(annotation.filter(|name| ["group", "widget"].contains(name)).and(value.as_str()));
    }
    let field = r#"[{"apiName": "a", "type": "Picklist", "isCustomField": true, "allowedValues": ["x"]}]"#;
    let tickets = tables::find("tickets").unwrap();
    let schema = schema::of(tickets, &serde_json::from_str::<Vec<_>>(field).unwrap(), Shape::Document);
    let annotations = members(&schema["properties"]).flat_map(|(_, property)| members(property));
    names.extend(annotations.map(|(name, _)| name).filter(|name| name.starts_with("x-")));
    assert!(names.contains("x-values") && names.contains("switch") && names.contains("parent"));
    let page = include_str!("../../../docs/CONTRACT.md");
    let named = words(page);
    let missing: Vec<&&str> = names.iter().filter(|name| !named.contains(**name)).collect();
    assert!(missing.is_empty(), "docs/CONTRACT.md does not name {missing:?}");
}
