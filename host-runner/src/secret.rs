//! The redactor: replaces known secrets in every text that is printed or stored.
//!
//! Secrets belong to a connection and are forgotten with it. Of its sessions, whose tokens are renewed again
//! and again, the newest is kept, and a few texts of former ones. Knows neither the origin of secrets nor
//! the destination of text.
//!
//! A component chooses the texts of its sessions, so that they are secrets in texts of its connection alone
//! ([`Redactor::of`]): they would blank out words of others. All connections share the configured ones. No
//! lock is held while a text is searched or an automaton is built.

mod search;
mod spellings;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use serde_json::{Map, Value};

use self::search::{Search, joined};
use self::spellings::spellings;

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
    scope: Scope,
}

/// The connections whose sessions hold secrets for a text, in addition to everything configured.
#[derive(Clone, Default)]
enum Scope {
    /// All: a command has one.
    #[default]
    All,
    /// None: the text is of a server of many.
    Server,
    /// The one that the text is about.
    Of(Arc<str>),
}

#[derive(Default)]
struct Known {
    /// By the name of the connection.
    connections: HashMap<String, Secrets>,
    /// The configured secrets of all.
    configured: Arc<Search>,
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
    /// The texts of its sessions.
    sessions: Arc<Search>,
}

/// Where new secrets are searched for.
#[derive(Clone, Copy)]
enum Place<'a> {
    Configured,
    SessionsOf(&'a str),
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// For texts of one connection.
    pub fn of(&self, connection: &str) -> Self {
        Self { scope: Scope::Of(connection.into()), ..self.clone() }
    }

    /// For texts of a server of many connections, for example lines of its log: texts of components were
    /// redacted by the sandboxes.
    pub fn of_server(&self) -> Self {
        Self { scope: Scope::Server, ..self.clone() }
    }

    /// For texts of an unknown origin.
    pub fn of_all(&self) -> Self {
        Self { scope: Scope::All, ..self.clone() }
    }

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
        let new = self.edit(connection, |secrets| secrets.renew(found));
        self.search_for(Place::SessionsOf(connection), &new);
    }

    /// Drops the secrets of a connection that was removed.
    pub fn forget(&self, connection: &str) {
        // Configured ones are searched for until the next build.
        self.write().connections.remove(connection);
    }

    fn learn_all(&self, connection: &str, found: Vec<String>) {
        let new = self.edit(connection, |secrets| {
            found.into_iter().filter(|text| secrets.configured.insert(text.clone())).collect()
        });
        self.search_for(Place::Configured, &new);
    }

    /// Changes the secrets of a connection; `change` returns the new ones.
    fn edit(&self, connection: &str, change: impl FnOnce(&mut Secrets) -> Vec<String>) -> Vec<String> {
        change(self.write().connections.entry(connection.to_owned()).or_default())
    }

    fn search_for(&self, place: Place<'_>, new: &[String]) {
        let new: Vec<String> = new.iter().flat_map(|secret| spellings(secret)).collect();
        let is_stale = {
            let mut known = self.write();
            let Some(search) = known.search_mut(place) else { return };
            new.into_iter().for_each(|text| search.add(text));
            search.is_stale()
        };
        if is_stale {
            self.build(place);
        }
    }

    /// Builds the automaton of all secrets of a place, unless another thread builds one: a later change
    /// builds it then.
    fn build(&self, place: Place<'_>) {
        let _turn = match self.building.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let (all, recent) = {
            let mut known = self.write();
            let all: HashSet<String> = known.texts(place).cloned().collect();
            (all, known.search_mut(place).map_or(0, |search| search.recent()))
        };
        let built = Search::of(all.iter().flat_map(|secret| spellings(secret)).collect());
        if let Some(search) = self.write().search_mut(place) {
            search.replace(built, recent);
        }
    }

    /// The text without the secrets.
    pub fn redact(&self, text: &str) -> String {
        let searches = self.read().searches(&self.scope);
        let found = searches.iter().flat_map(|search| search.find(text)).collect();
        let (mut clean, mut end) = (String::with_capacity(text.len()), 0);
        for found in joined(found) {
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

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// None for a connection that was forgotten. Copies the search while a text is searched, which is cheap:
    /// copies share the automaton.
    fn search_mut(&mut self, place: Place<'_>) -> Option<&mut Search> {
        let search = match place {
            Place::Configured => &mut self.configured,
            Place::SessionsOf(connection) => &mut self.connections.get_mut(connection)?.sessions,
        };
        Some(Arc::make_mut(search))
    }

    fn texts(&self, place: Place<'_>) -> Box<dyn Iterator<Item = &String> + '_> {
        match place {
            Place::Configured => Box::new(self.connections.values().flat_map(|one| &one.configured)),
            Place::SessionsOf(name) => {
                Box::new(self.connections.get(name).into_iter().flat_map(Secrets::of_sessions))
            }
        }
    }

    fn searches(&self, scope: &Scope) -> Vec<Arc<Search>> {
        let sessions = |secrets: &Secrets| Arc::clone(&secrets.sessions);
        let configured = std::iter::once(Arc::clone(&self.configured));
        match scope {
            Scope::Server => configured.collect(),
            Scope::All => configured.chain(self.connections.values().map(sessions)).collect(),
            Scope::Of(name) => configured.chain(self.connections.get(&**name).map(sessions)).collect(),
        }
    }
}

impl Secrets {
    fn of_sessions(&self) -> impl Iterator<Item = &String> {
        self.session.iter().chain(&self.former)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::{FORMER_MAX, Redactor, SESSION_TEXTS_MAX};

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
        let built = redactor.read().connections["acme"].sessions.built();
        assert!(built <= (FORMER_MAX + 10) * 4, "{built} are searched for");
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
        let search = Arc::clone(&redactor.read().connections["acme"].sessions);
        let searched = search.built() + search.recent();
        assert!(searched <= 3 * 4 * (SESSION_TEXTS_MAX + FORMER_MAX), "{searched} are searched for");
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
    fn a_session_masks_no_text_of_a_server_or_of_another_connection() {
        let redactor = Redactor::default();
        redactor.learn("bank", "configured");
        redactor.learn_session("evil", r#"["degraded","connection=","Ticket_Add","department"]"#);
        let text = "connection=bank degraded configured";
        for scoped in [redactor.of_server(), redactor.of("bank")] {
            assert_eq!(scoped.redact(text), "connection=bank degraded [secret]");
        }
        for scoped in [redactor.of("evil"), redactor.of_all()] {
            assert_eq!(scoped.redact(text), "[secret]bank [secret] [secret]");
        }
        redactor.forget("evil");
        assert_eq!(redactor.of("evil").redact("Ticket_Add"), "Ticket_Add");
    }

    #[test]
    fn the_debug_output_holds_no_secret() {
        let redactor = Redactor::default();
        redactor.learn("acme", "very secret");
        assert!(!format!("{redactor:?}").contains("secret\""));
        assert!(!format!("{redactor:?}").contains("very"));
    }
}
