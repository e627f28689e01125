//! Fields of the source that come, change their type, or go while `serve` runs.

use desk_simulator::Options;
use serde_json::json;

use crate::desk::Desk;
use crate::support::sizes;

/// The number of changes of each kind.
const CHANGES: [(&str, f64); 3] = [("added", 1.0), ("retyped", 1.0), ("removed", 1.0)];

#[test]
fn fields_that_are_added_retyped_or_removed_are_reported_everywhere_and_lose_no_data() {
    let desk = Desk::with(Options { sizes: sizes(10), ..Options::default() }, |file| file);
    let serve = desk.live();
    let diff = || desk.setup.host(&["discover", "--diff"]).exits(0).stdout;
    assert!(diff().contains("no change since the last discovery"));
    let kept = "SELECT id || ' ' || cf_quantity FROM contacts_live WHERE cf_quantity IS NOT NULL ORDER BY id";
    let before = desk.rows.dump(kept);
    assert!(before.len() > 5, "{before:?}");
    for change in [
        json!({"op": "addField", "module": "contacts", "apiName": "cf_new", "label": "N", "type": "Number"}),
        json!({"op": "retypeField", "module": "contacts", "apiName": "cf_quantity", "type": "Text"}),
        json!({"op": "removeField", "module": "contacts", "apiName": "cf_is_vip"}),
    ] {
        desk.mutate(change);
    }
    // The server discovers the tables for the command.
    let said = diff();
    for line in [
        "contacts: cf_new added",
        "contacts: cf_quantity was integer, is text",
        "contacts: cf_is_vip removed",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
        assert!(serve.said().contains(line), "{line} is not in the log\n{}", serve.said());
    }
    for (change, count) in CHANGES {
        let label = format!("change=\"{change}\"");
        let counted = serve.metric_with("host_runner_schema_changes_total", &label);
        assert!(counted >= Some(count), "{change}: {counted:?}");
    }
    assert!(diff().contains("no change since the last discovery"));
    let id = desk.live_ids("contacts").remove(3);
    let values = json!({"cf": {"cf_quantity": "many", "cf_new": "7"}});
    desk.mutate(json!({"op": "update", "table": "contacts", "id": id, "values": values}));
    let column = |name: &str| format!("SELECT {name} FROM contacts WHERE id = '{id}'");
    desk.rows.until_text(&column("cf_quantity__2"), "many");
    desk.rows.until_number(&column("cf_new"), 7);
    let others =
        |rows: Vec<String>| rows.into_iter().filter(|row| !row.contains(&id)).collect::<Vec<String>>();
    assert_eq!(others(desk.rows.dump(kept)), others(before), "values of the old type stay in the old column");
    serve.stop();
}
