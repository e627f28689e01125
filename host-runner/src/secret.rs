//! The redactor: replaces known secrets in every text that is printed or stored.
//!
//! Secrets belong to a connection and are forgotten with it. Of its sessions, whose tokens are renewed again
//! and again, the newest is kept, and a few texts of former ones. Knows neither the origin of secrets nor
//! the destination of text.
//!
//! All connections share it, and each log line waits for its lock: an automaton is built without it.

mod search;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};

use serde_json::{Map, Value};

use self::search::Search;

/// Shortest configured secret that is searched for; a shorter one would blank out ordinary words.
const CONFIGURED_BYTES_MIN: usize = 4;
/// Shortest text in a session that counts as a secret: sessions also hold words like `Bearer`.
const SESSION_BYTES_MIN: usize = 8;
/// Texts of a session that are searched for, the longest: a session holds a few tokens and keys, which are
/// longer than other texts. A component that hands over thousands would slow down the log of all connections.
const SESSION_TEXTS_MAX: usize = 64;
/// Texts kept of a connection's earlier sessions. A replaced token may be valid for another hour, and a
/// component usually requests one in an hour; more are kept because a restart requests one early.
const FORMER_MAX: usize = 8;
/// The replacement of a secret.
const MASK: &str = "[secret]";

/// Removes known secrets from text. Clones share the secrets.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
    /// Held during a build: one at a time.
    building: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Known {
    /// By the name of the connection.
    connections: HashMap<String, Secrets>,
    search: Search,
}

/// The secrets of one connection.
#[derive(Default)]
struct Secrets {
    /// Of the connection file, of grants, and of the webhook URL.
    configured: HashSet<String>,
    /// Of the newest session, the longest first.
    session: Vec<String>,
    /// Of earlier sessions, the newest last; of one session the longest last.
    former: VecDeque<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Adds a secret of a connection's configuration.
    pub fn learn(&self, connection: &str, secret: &str) {
        if secret.len() >= CONFIGURED_BYTES_MIN {
            self.learn_all(connection, vec![secret.to_owned()]);
        }
    }

    /// Adds every text in a value of a connection's configuration.
    pub fn learn_config(&self, connection: &str, value: &Value) {
        let mut found = Vec::new();
        texts(value, CONFIGURED_BYTES_MIN, &mut found);
        self.learn_all(connection, found);
    }

    /// Adds the longest texts of a connection's newest session at any depth, and drops those of its oldest.
    /// Origins such as `https://host` and public keys stay readable; every other text of some length may be a
    /// secret.
    pub fn learn_session(&self, connection: &str, session: &str) {
        let mut found = Vec::new();
        match serde_json::from_str::<Value>(session) {
            Ok(value) => texts(&value, SESSION_BYTES_MIN, &mut found),
            Err(_) if session.len() >= SESSION_BYTES_MIN => found.push(session.to_owned()),
            Err(_) => {}
        }
        found.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        found.dedup();
        found.truncate(SESSION_TEXTS_MAX);
        self.change(connection, |secrets| secrets.renew(found));
    }

    /// Drops the secrets of a connection that was removed.
    pub fn forget(&self, connection: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // They are searched for until the next build.
        known.connections.remove(connection);
    }

    fn learn_all(&self, connection: &str, found: Vec<String>) {
        self.change(connection, |secrets| {
            found.into_iter().filter(|text| secrets.configured.insert(text.clone())).collect()
        });
    }

    /// Changes the secrets of a connection; `change` returns the new ones.
    fn change(&self, connection: &str, change: impl FnOnce(&mut Secrets) -> Vec<String>) {
        let new = {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            change(known.connections.entry(connection.to_owned()).or_default())
        };
        let new: Vec<String> = new.iter().flat_map(|secret| spellings(secret)).collect();
        let is_stale = {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            new.into_iter().for_each(|text| known.search.add(text));
            known.search.is_stale()
        };
        if is_stale {
            self.build();
        }
    }

    /// Builds the automaton of all secrets, unless another thread does: a later change builds it then.
    fn build(&self) {
        let _turn = match self.building.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let (all, recent) = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let all: HashSet<String> = known.connections.values().flat_map(Secrets::all).cloned().collect();
            (all, known.search.recent())
        };
        let built = Search::of(all.iter().flat_map(|secret| spellings(secret)).collect());
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.search.replace(built, recent);
    }

    /// The text without the secrets.
    pub fn redact(&self, text: &str) -> String {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (mut clean, mut end) = (String::with_capacity(text.len()), 0);
        for found in known.search.find(text) {
            clean.push_str(&text[end..found.start]);
            clean.push_str(MASK);
            end = found.end;
        }
        clean.push_str(&text[end..]);
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

impl Secrets {
    fn all(&self) -> impl Iterator<Item = &String> {
        self.configured.iter().chain(&self.session).chain(&self.former)
    }

    /// Replaces the texts of the session; returns those that are new.
    fn renew(&mut self, session: Vec<String>) -> Vec<String> {
        let is_known = |text: &&String| !self.session.contains(text) && !self.former.contains(text);
        let new = session.iter().filter(is_known).cloned().collect();
        let before = std::mem::replace(&mut self.session, session);
        // The oldest and shortest are dropped first.
        self.former.extend(before.into_iter().rev().filter(|text| !self.session.contains(text)));
        self.former.retain(|text| !self.session.contains(text));
        let excess = self.former.len().saturating_sub(FORMER_MAX);
        self.former.drain(..excess);
        new
    }
}

/// A secret in every encoding in which it may occur in text.
fn spellings(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned(), percent_encoded(secret), json_escaped(secret)];
    all.sort_unstable();
    all.dedup();
    all
}

/// Every text in a value that is long enough.
fn texts(value: &Value, bytes_min: usize, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.len() >= bytes_min && !is_origin(text) => {
            found.push(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, bytes_min, found)),
        Value::Object(members) if !is_public_key(members) => {
            members.values().for_each(|item| texts(item, bytes_min, found));
        }
        _ => {}
    }
}

/// A public key in JSON (RFC 7517). Private ones and shared secrets have the member `d` or `k`.
fn is_public_key(members: &Map<String, Value>) -> bool {
    members.contains_key("kty") && !members.contains_key("d") && !members.contains_key("k")
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
    use serde_json::json;

    use super::{FORMER_MAX, Redactor, SESSION_TEXTS_MAX};

    #[test]
    fn secrets_are_removed_in_every_encoding() {
        let redactor = Redactor::default();
        redactor.learn("acme", "p/ss w\"rd");
        let text = r#"p/ss w"rd and p%2Fss%20w%22rd and {"k":"p/ss w\"rd"}"#;
        let clean = redactor.redact(text);
        assert_eq!(clean, r#"[secret] and [secret] and {"k":"[secret]"}"#);
    }

    #[test]
    fn texts_at_any_depth_of_a_session_are_secrets_but_origins_and_public_keys_are_not() {
        let redactor = Redactor::default();
        let public = json!({ "kty": "RSA", "kid": "key-number-one", "n": "modulus-of-many-digits" });
        let private = json!({ "kty": "RSA", "kid": "key-number-two", "d": "private-exponent" });
        let session = json!({
            "v": 1, "type": "Bearer", "tokens": [{ "access": "1000.abcdef" }], "api": "https://api.example.com",
            "keys": [public, private],
        });
        redactor.learn_session("acme", &session.to_string());
        let clean = redactor.redact("1000.abcdef Bearer https://api.example.com/x");
        assert_eq!(clean, "[secret] Bearer https://api.example.com/x");
        let clean = redactor.redact("key-number-one modulus-of-many-digits private-exponent");
        assert_eq!(clean, "key-number-one modulus-of-many-digits [secret]");
    }

    #[test]
    fn the_texts_of_sessions_are_bounded_and_a_valid_secret_is_always_redacted() {
        let redactor = Redactor::default();
        redactor.learn("acme", "configured");
        let token = |number: usize| format!("1000.access-token-{number}.");
        let renew = |connection: &str, number: usize| {
            let session = json!({ "refresh": format!("{connection}-refresh-1"), "access": token(number) });
            redactor.learn_session(connection, &session.to_string());
        };
        renew("other", 1_000_000);
        (0..10_000).for_each(|number| renew("acme", number));
        let live = ["configured", "acme-refresh-1", "other-refresh-1", &token(1_000_000)];
        for secret in live.into_iter().map(str::to_owned).chain((10_000 - FORMER_MAX..10_000).map(token)) {
            assert_eq!(redactor.redact(&secret), "[secret]", "{secret}");
        }
        assert_eq!(redactor.redact(&token(17)), token(17), "replaced long ago");
        let built = redactor.known.read().expect("read").search.built();
        assert!(built <= FORMER_MAX + 10, "{built} are searched for");
        // The texts of the session before an empty one, as after a reset, stay secret.
        redactor.learn_session("acme", "{}");
        assert_eq!(redactor.redact("acme-refresh-1"), "[secret]");
    }

    #[test]
    fn of_a_session_with_thousands_of_texts_the_longest_are_secrets() {
        let redactor = Redactor::default();
        let token = |number: usize| format!("1000.access-token-{number}");
        for number in 0..20 {
            let texts: Vec<String> = (0..5_000).map(|text| format!("{number}-{text:06}")).collect();
            let session = json!({ "texts": texts, "twice": [token(number), token(number)] });
            redactor.learn_session("acme", &session.to_string());
            assert_eq!(redactor.redact(&token(number)), "[secret]");
        }
        assert_eq!(redactor.redact(&token(18)), "[secret]", "replaced just now, and maybe still valid");
        let search = &redactor.known.read().expect("read").search;
        let searched = search.built() + search.recent();
        assert!(searched <= 3 * (SESSION_TEXTS_MAX + FORMER_MAX), "{searched} are searched for");
    }

    #[test]
    fn the_secrets_of_a_removed_connection_are_dropped_and_those_of_others_are_kept() {
        let redactor = Redactor::default();
        redactor.learn("acme", "shared-by-both");
        redactor.learn("acme", "of-acme-alone");
        redactor.learn("other", "shared-by-both");
        redactor.forget("acme");
        // Enough to build the automaton again.
        (0..1_000).for_each(|number| redactor.learn("other", &format!("secret-number-{number}")));
        assert_eq!(redactor.redact("shared-by-both"), "[secret]");
        assert_eq!(redactor.redact("of-acme-alone"), "of-acme-alone");
        assert_eq!(redactor.redact("secret-number-999 secret-number-0"), "[secret] [secret]");
    }

    #[test]
    fn secrets_that_overlap_are_removed_together_also_if_one_is_new() {
        let redactor = Redactor::default();
        redactor.learn("acme", "abcd");
        (0..1_000).for_each(|number| redactor.learn("other", &format!("secret-number-{number}")));
        redactor.learn("acme", "xxabcdxx");
        redactor.learn("acme", "cdxxyy");
        assert_eq!(redactor.redact("xxabcdxx abcd abcdxxyy"), "[secret] [secret] [secret]");
    }

    #[test]
    fn the_debug_output_holds_no_secret() {
        let redactor = Redactor::default();
        redactor.learn("acme", "very secret");
        assert!(!format!("{redactor:?}").contains("secret\""));
        assert!(!format!("{redactor:?}").contains("very"));
    }
}
