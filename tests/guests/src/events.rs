//! The body of a delivery.

use serde::Deserialize;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Event {
    /// `things`; `trap` traps, `fail` fails with the kind in `op`, `leak` with the secret; others
    /// are ignored.
    pub table: String,
    /// The row's number.
    #[serde(default)]
    pub id: String,
    /// `create`, `update` or `delete`.
    #[serde(default)]
    pub op: String,
    /// Unix milliseconds, and the row's version.
    #[serde(default)]
    pub time: u64,
}

/// The events of a body.
pub fn parse(body: &[u8]) -> Result<Vec<Event>, String> {
    serde_json::from_slice(body).map_err(|wrong| format!("the body: {wrong}"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_body_is_a_list_of_events() {
        let events = parse(br#"[{"table":"things","id":"7","op":"delete","time":9}]"#).expect("events");
        assert_eq!((events[0].id.as_str(), events[0].time), ("7", 9));
        assert!(parse(b"nonsense").is_err());
    }
}
