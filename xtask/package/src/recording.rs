//! The recording that a connector is composed with.

use anyhow::{Context, Result};
use serde_json::Value;

/// A HAR without the parts that `replay` does not read: headers and bodies of requests hold tokens and client
/// secrets, and would make the component larger.
pub fn read_by_replay(recording: &[u8]) -> Result<Vec<u8>> {
    let mut har: Value = serde_json::from_slice(recording)?;
    let entries = har.pointer_mut("/log/entries").and_then(Value::as_array_mut).context("has no entries")?;
    for request in entries.iter_mut().filter_map(|entry| entry["request"].as_object_mut()) {
        request.retain(|name, _| matches!(name.as_str(), "method" | "url"));
    }
    Ok(serde_json::to_vec(&har)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::read_by_replay;

    #[test]
    fn headers_and_bodies_of_requests_are_left_out() {
        let answer = json!({ "status": 200, "content": { "text": "{}" } });
        let entry =
            |request: Value| json!({ "log": { "entries": [{ "request": request, "response": answer }] } });
        let whole = entry(json!({
            "method": "POST",
            "url": "https://x/token",
            "headers": [{ "name": "Authorization", "value": "secret" }],
            "postData": { "text": "client_secret=secret" },
        }));
        let read = read_by_replay(whole.to_string().as_bytes()).expect("a HAR");
        let read: Value = serde_json::from_slice(&read).expect("JSON");
        assert_eq!(read, entry(json!({ "method": "POST", "url": "https://x/token" })));
        assert!(read_by_replay(b"{}").is_err());
    }
}
