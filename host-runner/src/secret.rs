//! The redactor: replaces known secrets in every text that is printed or stored.
//!
//! Secrets of the configuration are kept until the process ends. Of sessions, whose tokens are renewed again
//! and again, only the newest are kept. Knows neither the origin of secrets nor the destination of text.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

/// Shortest configured secret that is searched for; a shorter one would blank out ordinary words.
const CONFIGURED_BYTES_MIN: usize = 4;
/// Shortest text in a session that counts as a secret: sessions also hold words like `Bearer`.
const SESSION_BYTES_MIN: usize = 8;
/// Texts kept of a connection's earlier sessions. A replaced token may be valid for another hour; a source
/// allows about ten new tokens in ten minutes, and a component usually requests one in an hour.
const FORMER_MAX: usize = 64;
/// The replacement of a secret.
const MASK: &str = "[secret]";

/// Removes known secrets from text. Clones share the secrets.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    /// Secrets of configurations.
    permanent: Vec<String>,
    /// Secrets of sessions, by connection; the newest last.
    sessions: HashMap<String, VecDeque<String>>,
    /// All of them in every encoding, longest first, so that no part is left around a secret within another.
    needles: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Adds a secret of the configuration, until the process ends.
    pub fn learn(&self, secret: &str) {
        if secret.len() >= CONFIGURED_BYTES_MIN {
            self.change(|known| known.add_permanent(vec![secret.to_owned()]));
        }
    }

    /// Adds the texts of a connection's newest session at any depth, and drops those of its oldest. Origins
    /// such as `https://host` stay readable; every other text of some length may be a secret.
    pub fn learn_session(&self, connection: &str, session: &str) {
        let mut found = Vec::new();
        match serde_json::from_str::<Value>(session) {
            Ok(value) => texts(&value, SESSION_BYTES_MIN, &mut found),
            Err(_) => found.push(session.to_owned()),
        }
        self.change(|known| known.add_session(connection, found));
    }

    /// Adds every text in a value of the configuration, until the process ends.
    pub fn learn_config(&self, value: &Value) {
        let mut found = Vec::new();
        texts(value, CONFIGURED_BYTES_MIN, &mut found);
        self.change(|known| known.add_permanent(found));
    }

    fn change(&self, change: impl FnOnce(&mut Known) -> bool) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if change(&mut known) {
            known.encode();
        }
    }

    /// The text without the secrets.
    pub fn redact(&self, text: &str) -> String {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut clean = text.to_owned();
        for needle in &known.needles {
            if clean.contains(needle.as_str()) {
                clean = clean.replace(needle.as_str(), MASK);
            }
        }
        clean
    }

    /// The value without the secrets in its texts. Numbers stay, so that a secret of digits does not break
    /// the JSON.
    pub fn redact_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::from(self.redact(text)),
            Value::Array(items) => items.iter().map(|item| self.redact_value(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(key, item)| (key.clone(), self.redact_value(item))).collect()
            }
            other => other.clone(),
        }
    }
}

impl Known {
    /// Adds permanent secrets; true if one is new.
    fn add_permanent(&mut self, found: Vec<String>) -> bool {
        let before = self.permanent.len();
        for text in found {
            if !self.permanent.contains(&text) {
                self.permanent.push(text);
            }
        }
        self.permanent.len() > before
    }

    /// Adds the texts of a connection's newest session; true if one is new.
    fn add_session(&mut self, connection: &str, found: Vec<String>) -> bool {
        let texts = self.sessions.entry(connection.to_owned()).or_default();
        let is_new = found.iter().any(|text| !texts.contains(text));
        texts.retain(|text| !found.contains(text));
        let former = texts.len().saturating_sub(FORMER_MAX);
        texts.drain(..former);
        texts.extend(found);
        is_new
    }

    /// Encodes all secrets as they may occur in text.
    fn encode(&mut self) {
        let all = self.permanent.iter().chain(self.sessions.values().flatten());
        let mut needles: Vec<String> =
            all.flat_map(|secret| [secret.clone(), percent_encoded(secret), json_escaped(secret)]).collect();
        needles.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        needles.dedup();
        self.needles = needles;
    }
}

/// Every text in a value that is long enough.
fn texts(value: &Value, bytes_min: usize, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.len() >= bytes_min && !is_origin(text) => {
            found.push(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, bytes_min, found)),
        Value::Object(members) => {
            members.values().for_each(|item| texts(item, bytes_min, found));
        }
        _ => {}
    }
}

fn is_origin(text: &str) -> bool {
    let Some(host) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
    host.trim_end_matches('/').bytes().all(plain)
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn json_escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{FORMER_MAX, Redactor};

    #[test]
    fn secrets_are_removed_in_every_encoding() {
        let redactor = Redactor::default();
        redactor.learn("p/ss w\"rd");
        let text = r#"p/ss w"rd and p%2Fss%20w%22rd and {"k":"p/ss w\"rd"}"#;
        let clean = redactor.redact(text);
        assert_eq!(clean, r#"[secret] and [secret] and {"k":"[secret]"}"#);
    }

    #[test]
    fn texts_at_any_depth_of_a_session_are_secrets_but_origins_are_not() {
        let redactor = Redactor::default();
        redactor.learn_session(
            "acme",
            r#"{"v":1,"type":"Bearer","tokens":[{"access":"1000.abcdef"}],"api":"https://api.example.com"}"#,
        );
        let clean = redactor.redact("1000.abcdef Bearer https://api.example.com/x");
        assert_eq!(clean, "[secret] Bearer https://api.example.com/x");
    }

    #[test]
    fn the_texts_of_sessions_are_bounded_and_a_valid_secret_is_always_redacted() {
        let redactor = Redactor::default();
        redactor.learn("configured");
        let token = |number: usize| format!("1000.access-token-{number}.");
        let renew = |connection: &str, number: usize| {
            let session =
                serde_json::json!({ "refresh": format!("{connection}-refresh-1"), "access": token(number) });
            redactor.learn_session(connection, &session.to_string());
        };
        renew("other", 1_000_000);
        (0..10_000).for_each(|number| renew("acme", number));
        let count = redactor.known.read().expect("read").needles.len();
        assert!(count <= FORMER_MAX + 10, "{count} are known");
        let live = ["configured", "acme-refresh-1", "other-refresh-1", &token(1_000_000)];
        for secret in live.into_iter().map(str::to_owned).chain((10_000 - FORMER_MAX..10_000).map(token)) {
            assert_eq!(redactor.redact(&secret), "[secret]", "{secret}");
        }
        assert_eq!(redactor.redact(&token(17)), token(17), "replaced long ago");
        // The texts of the session before an empty one, as after a reset, stay secret.
        redactor.learn_session("acme", "{}");
        assert_eq!(redactor.redact("acme-refresh-1"), "[secret]");
    }

    #[test]
    fn a_secret_within_another_is_removed_with_it() {
        let redactor = Redactor::default();
        redactor.learn("abcd");
        redactor.learn("xxabcdxx");
        assert_eq!(redactor.redact("xxabcdxx abcd"), "[secret] [secret]");
    }

    #[test]
    fn the_debug_output_holds_no_secret() {
        let redactor = Redactor::default();
        redactor.learn("very secret");
        assert!(!format!("{redactor:?}").contains("secret\""));
        assert!(!format!("{redactor:?}").contains("very"));
    }
}
