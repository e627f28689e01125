//! The document that `describe` returns.

use serde_json::{Value, json};

/// The document of the contract.
pub fn document() -> Value {
    json!({
        "name": "tiny-connector",
        "title": "Tiny",
        "version": env!("CARGO_PKG_VERSION"),
        "summary": "Generates rows and faults",
        "contract": "connector:source@0.1.0",
        "configuration": {
            "type": "object",
            "additionalProperties": false,
            "required": ["secret"],
            "properties": {
                "secret": {
                    "type": "string", "writeOnly": true, "title": "Secret", "x-group": "basic", "x-order": 1,
                },
                "rows": {
                    "type": "integer", "default": 100, "title": "Rows", "x-group": "reading", "x-order": 1,
                },
                "page": {"type": "integer", "default": 30, "x-group": "reading", "x-order": 2},
                "behavior": {"type": "string", "default": "rows", "x-group": "advanced", "x-order": 1},
                "url": {"type": "string", "title": "URL", "x-group": "advanced", "x-order": 2}
            }
        },
        "grant": {"type": "object", "properties": {"code": {"type": "string", "writeOnly": true}}},
        "authorization": {
            "scopes": ["things.read"], "scope_text": "things.read", "steps": "1. Invent a code.",
        },
        "hosts": [{"name": "api", "key": "url", "urls": {}}],
        "tables": [
            {"name": "things", "aliases": ["Things"], "title": "Things", "primary_key": ["id"],
             "scopes": ["things.read"], "capabilities": ["snapshot", "count", "incremental", "webhook"],
             "attachment": {"name": "name", "size": "count"}},
            {"name": "pairs", "aliases": [], "title": "Pairs", "primary_key": ["left", "right"],
             "scopes": [], "capabilities": ["snapshot"]}
        ],
        "commands": [
            {"name": "echo", "title": "Returns its arguments"},
            {"name": "hide", "title": "Hides a table from the list"},
            {"name": "fail", "title": "Fails with the given kind"}
        ],
        "webhook": {"setup": [{"title": "By hand", "steps": ["Open the box.", "Enter {url} twice: {url}"]}]},
        "help": {"en": "# Tiny\n\nA test.", "zh-CN": "# 小\n\n测试。"}
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_lists_both_tables() {
        let document = super::document();
        let names: Vec<&str> = document["tables"]
            .as_array()
            .unwrap()
            .iter()
            .map(|table| table["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["things", "pairs"]);
    }
}
