//! Dead letters are shown, taken again, and dropped.

use serde_json::{Value, json};

use super::Target;
use crate::support::tables_as_toml;

#[test]
fn a_dead_letter_can_be_shown_dropped_and_taken_again() {
    let target = Target::new();
    target.applies_change("before");
    for subject in ["first lie", "second lie"] {
        let status = target.desk.forge(&target.url, &target.hook, "wrong-key", &target.update_body(subject));
        assert_eq!(status, 200);
    }
    target.desk.settle(&target.serve);
    let dead = target.desk.dead_letters();
    let id = |letter: &Value| letter["id"].to_string();
    let ids: Vec<String> = dead.iter().map(id).collect();
    assert_eq!(ids.len(), 2, "{dead:?}");
    let shown = target.desk.setup.host(&["dead-letters", "show", &ids[0]]).exits(0);
    assert!(shown.stdout.contains("first lie"), "{shown}");
    assert!(shown.stdout.contains("it does not match its content"), "{shown}");
    let list = target.desk.setup.host(&["dead-letters", "list"]).exits(0);
    assert!(ids.iter().all(|id| list.stdout.contains(id.as_str())), "{list}");
    target.desk.setup.host(&["dead-letters", "drop", &ids[0]]).exits(0);
    assert_eq!(target.desk.dead_letters().len(), 1);
    // Taken again, it is refused again, under a new number.
    target.desk.setup.host(&["dead-letters", "replay", &ids[1]]).exits(0);
    crate::rows::eventually("the delivery to be a dead letter again", || {
        let dead = target.desk.dead_letters();
        let is_again = dead.len() == 1 && id(&dead[0]) != ids[1];
        if is_again { Ok(()) } else { Err(format!("{dead:?}")) }
    });
    target.applies_change("after");
}

#[test]
fn a_dead_letter_is_applied_once_its_cause_is_removed() {
    let target = Target::new();
    target.applies_change("before");
    let made = target.desk.mutate(json!({"op": "create", "table": "tickets", "values": {"subject": "kept"}}));
    let sql = format!("SELECT subject FROM tickets WHERE id = '{made}'");
    target.desk.rows.until_text(&sql, "kept");
    let mut lost = target.update_body("x");
    lost[0]["payload"] = target.desk.record("tickets", &made);
    lost[0]["payload"]["subject"] = Value::from("taken after all");
    assert_eq!(target.desk.forge(&target.url, &target.hook, "none", &lost), 200);
    target.desk.settle(&target.serve);
    let dead = target.desk.dead_letters();
    assert_eq!(dead.len(), 1, "{dead:?}");
    let port = target.serve.port();
    target.serve.stop();
    target.desk.setup.reconfigure(|file| {
        let file = file.config("tables", &tables_as_toml()).config_text("signature", "off");
        file.config_text("refetch", "never")
    });
    let serve = target.desk.serve_on(port);
    target.desk.setup.host(&["dead-letters", "replay", &dead[0]["id"].to_string()]).exits(0);
    target.desk.rows.until_text(&sql, "taken after all");
    target.desk.settle(&serve);
    assert!(target.desk.dead_letters().is_empty());
}

#[test]
fn unknown_numbers_are_refused_in_words() {
    let target = Target::new();
    for words in [["dead-letters", "show", "424242"], ["dead-letters", "replay", "424242"]] {
        let run = target.desk.setup.host(&words);
        assert_ne!(run.code(), 0, "{run}");
        assert!(run.stderr.contains("424242"), "{run}");
    }
}
