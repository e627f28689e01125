//! Translations of articles, one for each entry of an article's `availableLocaleTranslations`: computed,
//! never stored (`ArticleTranslation.json` of zoho/zohodesk-oas).

use serde_json::{Value, json};

use crate::world::World;
use crate::world::table::{Object, Record, Row, into_object};

impl World {
    /// The translations of all articles, complete, in the order of the articles.
    pub(crate) fn translations(&self) -> Vec<Object> {
        let articles = self.table("articles").map(|table| table.rows.as_slice()).unwrap_or_default();
        articles.iter().filter(|article| article.is_live()).flat_map(of_article).collect()
    }
}

fn of_article(article: &Row) -> Vec<Object> {
    let entries = article.values.get("availableLocaleTranslations").and_then(Value::as_array);
    let translation = |(at, entry): (usize, &Value)| {
        let get = |key: &str| article.values.get(key).cloned().unwrap_or_default();
        let locale = entry["locale"].as_str().unwrap_or("en");
        into_object(json!({
            "translationId": format!("{}{at}", article.id), "id": article.id.to_string(), "locale": locale,
            "sourceLocale": get("locale"), "title": format!("{} ({locale})", article.text("title")),
            "summary": get("summary"), "status": get("status"), "permission": get("permission"),
            "authorId": get("authorId"), "createdTime": get("createdTime"),
            "modifiedTime": get("modifiedTime"),
            "answer": format!("{} ({locale})", article.text("answer")), "isTrashed": false,
        }))
    };
    entries.into_iter().flatten().enumerate().map(translation).collect()
}
