//! The ways to register a webhook by hand, as data, each with its steps. `{url}` stands for the connection's
//! URL.

use serde_json::{Value, json};

use crate::tables;

/// The ways, the better one first.
pub(super) fn setup() -> Value {
    json!([by_webhook(), by_workflow()])
}

/// A webhook of the developer space: signed by Zoho, with the record in its body.
fn by_webhook() -> Value {
    let with_events = tables::all().filter(|table| !table.events.is_empty());
    let events = with_events.map(|table| {
        let names: Vec<&str> = table.events.iter().map(|event| event.name).collect();
        format!("{}: {}", table.name, names.join(", "))
    });
    let events = events.collect::<Vec<_>>().join("; ");
    let steps = [
        "In Zoho Desk: Setup > Developer Space > Webhooks (in some portals: Setup > Automation > Webhooks) > \
         New Webhook. It needs an edition with webhooks (Professional: 5, Enterprise: 10) and a profile that may \
         create them."
            .to_owned(),
        "URL to notify: {url}".to_owned(),
        format!("Choose the events of the tables you read, without filters. {events}"),
        "Test Run, then Save. `serve` must be running: Zoho calls the URL.".to_owned(),
    ];
    json!({"title": "By hand, as a webhook of the developer space", "steps": steps})
}

/// An action of a workflow rule: any body, no signature.
fn by_workflow() -> Value {
    json!({
        "title": "By hand, as an action of a workflow rule (signs nothing and retries by its own settings)",
        "steps": [
            "In the connection file, under [config]: signature = \"off\" and refetch = \"always\"",
            "In Zoho Desk: Setup > Automation > Workflows, a rule of the module Tickets for create and edit; \
             deletes are found by polling.",
            "Add an instant action of the type Webhook: method POST, body type JSON, URL to notify: {url}",
            "Body: {\"eventType\": \"Ticket_Update\", \"payload\": {\"id\": \"${Cases.Case Id}\"}}",
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::setup;

    #[test]
    fn each_way_names_the_url_once_and_the_first_every_event() {
        let setup = setup();
        for way in setup.as_array().unwrap() {
            let steps = way["steps"].as_array().unwrap();
            let urls = steps.iter().filter(|step| step.as_str().unwrap().contains("{url}"));
            assert_eq!(urls.count(), 1, "{way}");
        }
        let events = crate::tables::ALL.iter().flat_map(|table| table.events);
        let first = setup[0].to_string();
        events.for_each(|event| assert!(first.contains(event.name), "{}", event.name));
    }
}
