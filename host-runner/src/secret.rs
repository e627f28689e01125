//! Known secrets, and their removal from every text that leaves the process.
//!
//! What the configuration holds is known for good; of sessions, whose tokens are renewed for as long as the process
//! lives, the newest texts. Knows nothing of where secrets come from or where text goes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

/// Shortest configured secret that is searched for; a shorter one would blank out ordinary words.
const CONFIGURED_BYTES_MIN: usize = 4;
/// Shortest text in a session that is taken for a secret: sessions also hold words like `Bearer`.
const SESSION_BYTES_MIN: usize = 8;
/// Texts kept of a connection's sessions, besides those of the newest. A token that was replaced may work for an hour
/// more; sources allow some ten new ones in ten minutes, and mostly one an hour is asked for.
const FORMER_MAX: usize = 64;
/// What is shown instead.
const MASK: &str = "[secret]";

/// Removes known secrets from text. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    /// Of configurations.
    lasting: Vec<String>,
    /// Of sessions, by connection; the newest last.
    passing: HashMap<String, VecDeque<String>>,
    /// All of them in every spelling, longest first, so that a secret within another does not leave a piece of it.
    needles: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Remembers a secret of the configuration for good.
    pub fn learn(&self, secret: &str) {
        if secret.len() >= CONFIGURED_BYTES_MIN {
            self.change(|known| known.last(vec![secret.to_owned()]));
        }
    }

    /// Remembers what may be secret in a connection's newest session, however deep, and forgets what is older than
    /// its last few. Plain origins such as `https://host` stay readable; every other text of some length may be one,
    /// for all that is known here.
    pub fn learn_session(&self, connection: &str, session: &str) {
        let mut found = Vec::new();
        match serde_json::from_str::<Value>(session) {
            Ok(value) => texts(&value, SESSION_BYTES_MIN, &mut found),
            Err(_) => found.push(session.to_owned()),
        }
        self.change(|known| known.pass(connection, found));
    }

    /// Remembers every text in a value of the configuration for good.
    pub fn learn_config(&self, value: &Value) {
        let mut found = Vec::new();
        texts(value, CONFIGURED_BYTES_MIN, &mut found);
        self.change(|known| known.last(found));
    }

    fn change(&self, change: impl FnOnce(&mut Known) -> bool) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if change(&mut known) {
            known.spell();
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

impl Known {
    /// Adds secrets for good; true if one is new.
    fn last(&mut self, found: Vec<String>) -> bool {
        let before = self.lasting.len();
        for text in found {
            if !self.lasting.contains(&text) {
                self.lasting.push(text);
            }
        }
        self.lasting.len() > before
    }

    /// Takes the texts of a connection's newest session; true if one is new.
    fn pass(&mut self, connection: &str, found: Vec<String>) -> bool {
        let texts = self.passing.entry(connection.to_owned()).or_default();
        let is_new = found.iter().any(|text| !texts.contains(text));
        texts.retain(|text| !found.contains(text));
        let former = texts.len().saturating_sub(FORMER_MAX);
        texts.drain(..former);
        texts.extend(found);
        is_new
    }

    fn spell(&mut self) {
        let all = self.lasting.iter().chain(self.passing.values().flatten());
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
            "acme",
            r#"{"v":1,"type":"Bearer","tokens":[{"access":"1000.abcdef"}],"api":"https://api.example.com"}"#,
        );
        let clean = redactor.redact("1000.abcdef Bearer https://api.example.com/x");
        assert_eq!(clean, "[secret] Bearer https://api.example.com/x");
    }

    #[test]
    fn what_is_known_of_sessions_is_bounded_and_no_live_secret_is_ever_forgotten() {
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
        // A session that lost everything, as after a reset, is not a reason to forget at once.
        redactor.learn_session("acme", "{}");
        assert_eq!(redactor.redact("acme-refresh-1"), "[secret]");
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
