//! Titles and descriptions by language, from `describe/texts.*.json`.

use serde_json::{Map, Value, json};

/// The language of `title` and `description` themselves.
const ENGLISH: &str = include_str!("texts.en.json");
/// The others, which go into `x-i18n`.
const TRANSLATIONS: [(&str, &str); 1] = [("zh-CN", include_str!("texts.zh-CN.json"))];

/// Adds its texts to the schema of each property. `section` is a member of the files.
pub(super) fn with_texts<'a>(
    section: &str,
    schemas: impl IntoIterator<Item = (&'a str, Value)>,
) -> Map<String, Value> {
    let english = texts(ENGLISH, section);
    let translations = TRANSLATIONS.map(|(language, file)| (language, texts(file, section)));
    let mut properties = Map::new();
    for (name, mut schema) in schemas {
        if let Some(Value::Object(members)) = english.get(name) {
            members.iter().for_each(|(member, text)| schema[member] = text.clone());
        }
        let translated =
            translations.iter().map(|(language, texts)| ((*language).to_owned(), texts[name].clone()));
        schema["x-i18n"] = json!(translated.collect::<Map<_, _>>());
        properties.insert(name.to_owned(), schema);
    }
    properties
}

fn texts(file: &str, section: &str) -> Value {
    let mut all: Value = serde_json::from_str(file).unwrap_or_default();
    all[section].take()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::document;

    #[test]
    fn every_property_has_texts_in_every_language_and_no_text_is_without_property() {
        for section in ["configuration", "grant"] {
            let document = document();
            let properties = document[section]["properties"].as_object().unwrap();
            let mut languages = TRANSLATIONS.to_vec();
            languages.push(("en", ENGLISH));
            for (language, file) in languages {
                let texts = texts(file, section);
                assert!(texts.as_object().unwrap().keys().eq(properties.keys()), "{language}: {section}");
                for (name, text) in texts.as_object().unwrap() {
                    let is_text = |member: &str| text[member].as_str().is_some_and(|text| !text.is_empty());
                    assert!(is_text("title") && is_text("description"), "{language}: {section}.{name}");
                }
            }
            for (name, schema) in properties {
                assert_ne!(schema["title"], schema["x-i18n"]["zh-CN"]["title"], "{name}");
                assert!(schema["description"].is_string(), "{name}");
            }
        }
    }
}
