//! Known secrets, and their removal from every text that leaves the process.
//!
//! Knows nothing of where secrets come from or where text goes.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

/// Shortest configured secret that is searched for; a shorter one would blank out ordinary words.
const CONFIGURED_BYTES_MIN: usize = 4;
/// Shortest text in a session that is taken for a secret: sessions also hold words like `Bearer`.
const SESSION_BYTES_MIN: usize = 8;
/// What is shown instead.
const MASK: &str = "[secret]";

/// Removes known secrets from text. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor {
    needles: Arc<RwLock<Vec<String>>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Remembers a secret of the configuration.
    pub fn learn(&self, secret: &str) {
        if secret.len() >= CONFIGURED_BYTES_MIN {
            self.add(secret);
        }
    }

    /// Remembers every text in a session, however deep. Plain origins such as `https://host` stay readable.
    pub fn learn_session(&self, session: &str) {
        match serde_json::from_str::<Value>(session) {
            Ok(value) => self.learn_value(&value, SESSION_BYTES_MIN),
            Err(_) => self.learn(session),
        }
    }

    /// Remembers every text in a value of the configuration.
    pub fn learn_config(&self, value: &Value) {
        self.learn_value(value, CONFIGURED_BYTES_MIN);
    }

    fn learn_value(&self, value: &Value, bytes_min: usize) {
        match value {
            Value::String(text) if text.len() >= bytes_min && !is_origin(text) => {
                self.add(text);
            }
            Value::Array(items) => {
                items.iter().for_each(|item| self.learn_value(item, bytes_min));
            }
            Value::Object(members) => {
                members.values().for_each(|item| self.learn_value(item, bytes_min));
            }
            _ => {}
        }
    }

    fn add(&self, secret: &str) {
        let mut needles = self.needles.write().unwrap_or_else(PoisonError::into_inner);
        for form in [secret.to_owned(), percent_encoded(secret), json_escaped(secret)] {
            if !needles.contains(&form) {
                needles.push(form);
            }
        }
        // Longest first, so that a secret within another does not leave a piece of it.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    }

    /// The text without the secrets.
    pub fn redact(&self, text: &str) -> String {
        let needles = self.needles.read().unwrap_or_else(PoisonError::into_inner);
        let mut clean = text.to_owned();
        for needle in needles.iter() {
            if clean.contains(needle.as_str()) {
                clean = clean.replace(needle.as_str(), MASK);
            }
        }
        clean
    }

    /// The value without the secrets in its texts only, so that one made of digits does not break the JSON
    /// around it.
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
    use super::Redactor;

    #[test]
    fn secrets_are_removed_in_every_spelling() {
        let redactor = Redactor::default();
        redactor.learn("p/ss w\"rd");
        let text = r#"p/ss w"rd and p%2Fss%20w%22rd and {"k":"p/ss w\"rd"}"#;
        let clean = redactor.redact(text);
        assert_eq!(clean, r#"[secret] and [secret] and {"k":"[secret]"}"#);
    }

    #[test]
    fn sessions_are_searched_to_their_depth_but_hosts_stay() {
        let redactor = Redactor::default();
        redactor.learn_session(
            r#"{"v":1,"type":"Bearer","tokens":[{"access":"1000.abcdef"}],"api":"https://api.example.com"}"#,
        );
        let clean = redactor.redact("1000.abcdef Bearer https://api.example.com/x");
        assert_eq!(clean, "[secret] Bearer https://api.example.com/x");
    }

    #[test]
    fn a_secret_within_another_leaves_nothing() {
        let redactor = Redactor::default();
        redactor.learn("abcd");
        redactor.learn("xxabcdxx");
        assert_eq!(redactor.redact("xxabcdxx abcd"), "[secret] [secret]");
    }

    #[test]
    fn its_debug_form_holds_no_secret() {
        let redactor = Redactor::default();
        redactor.learn("very secret");
        assert!(!format!("{redactor:?}").contains("secret\""));
        assert!(!format!("{redactor:?}").contains("very"));
    }
}
