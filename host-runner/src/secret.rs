//! The redactor: replaces known secrets in every text that is printed or stored.
//!
//! Secrets belong to a connection and are forgotten with it. Of its sessions, whose tokens are renewed again
//! and again, the newest is kept, and a few texts of former ones. Knows neither the origin of secrets nor
//! the destination of text.
//!
//! Secrets count in texts of their connection alone ([`Redactor::of`]): the author of a connection file, and
//! a component, which chooses the texts of its sessions, could otherwise blank out words of others, and learn
//! from a mask that others have a secret. No lock is held while a text is searched or an automaton is built.

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
/// Shortest line of a configured secret of several that is searched for by itself, as an error quotes it.
const LINE_BYTES_MIN: usize = 8;
/// Lines of a configured secret that are searched for, the first ones. A private key has some fifty.
const LINES_MAX: usize = 256;
/// The member of an object, and the field of an event, that names the connection that it is about.
pub(crate) const CONNECTION: &str = "connection";
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

/// The secrets that count in a text.
#[derive(Clone, Default)]
enum Scope {
    /// All: a command has one connection.
    #[default]
    All,
    /// Everything configured: the text is of a server of many, and about none of them.
    Server,
    /// Those of the connection that the text is about.
    Of(Arc<str>),
}

#[derive(Default)]
struct Known {
    /// By the name of the connection.
    connections: HashMap<String, Secrets>,
    /// Finds the configured secrets of all connections in one pass. Keeps those of a removed one until the
    /// next build.
    configuration: Arc<Search>,
}

/// The secrets of one connection.
#[derive(Default)]
struct Secrets {
    /// Of the connection file, of grants, and of the webhook URL.
    configured: HashSet<String>,
    /// Finds them.
    configuration: Arc<Search>,
    /// Of the newest session, the longest first.
    session: Vec<String>,
    /// Of earlier sessions, the newest last; of one session the longest last.
    former: VecDeque<String>,
    /// Finds the texts of its sessions.
    sessions: Arc<Search>,
}

/// Where new secrets are searched for.
#[derive(Clone, Copy)]
enum Place<'a> {
    Configuration,
    ConfigurationOf(&'a str),
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

    /// For texts of a server of many connections that are about none of them, for example lines of its log.
    pub fn of_server(&self) -> Self {
        Self { scope: Scope::Server, ..self.clone() }
    }

    /// For texts of an unknown origin.
    pub fn of_all(&self) -> Self {
        Self { scope: Scope::All, ..self.clone() }
    }

    /// The connection whose texts it is for.
    pub(crate) fn connection(&self) -> Option<&str> {
        match &self.scope {
            Scope::Of(name) => Some(name),
            Scope::All | Scope::Server => None,
        }
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

    /// Adds the value of a variable that a connection's file refers to. A short one, and an origin, may be no
    /// secret.
    pub(crate) fn learn_referenced(&self, connection: &str, value: &str) {
        let mut found = Vec::new();
        texts(&Value::from(value), SESSION_BYTES_MIN, &mut found);
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

    /// Drops the secrets of a connection that was removed; from the texts of a server with the next build.
    pub fn forget(&self, connection: &str) {
        self.write().connections.remove(connection);
    }

    fn learn_all(&self, connection: &str, found: Vec<String>) {
        let lines: Vec<String> = found.iter().flat_map(|text| lines(text)).collect();
        let new = self.edit(connection, |secrets| {
            let all = found.into_iter().chain(lines);
            all.filter(|text| secrets.configured.insert(text.clone())).collect()
        });
        self.search_for(Place::ConfigurationOf(connection), &new);
        self.search_for(Place::Configuration, &new);
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
        self.redact_beginning(text, text.len())
    }

    /// At most the first `bytes` of a text, without the secrets that start there: none is left in part.
    pub(crate) fn redact_beginning(&self, text: &str, bytes: usize) -> String {
        let searches = self.read().searches(&self.scope);
        let longest = searches.iter().map(|search| search.longest()).max().unwrap_or(0);
        let kept = text.floor_char_boundary(bytes);
        let searched = &text[..text.ceil_char_boundary(kept.saturating_add(longest))];
        let found = searches.iter().flat_map(|search| search.find(searched)).collect();
        let (mut clean, mut end) = (String::with_capacity(kept), 0);
        for found in joined(found).into_iter().take_while(|found| found.start < kept) {
            clean.push_str(&text[end..found.start]);
            clean.push_str(MASK);
            end = found.end;
        }
        clean.push_str(text.get(end..kept).unwrap_or_default());
        clean
    }

    /// The value without the secrets in its texts. Numbers stay, so that a secret of digits does not break
    /// the JSON. In texts of a server, an object with the member `connection` is about that one.
    pub fn redact_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::from(self.redact(text)),
            Value::Array(items) => items.iter().map(|item| self.redact_value(item)).collect(),
            Value::Object(members) => {
                let about = members.get(CONNECTION).filter(|_| matches!(self.scope, Scope::Server));
                let of = about.and_then(Value::as_str).map(|name| self.of(name));
                let redactor = of.as_ref().unwrap_or(self);
                let redacted = |(key, item): (&String, &Value)| match of {
                    Some(_) if key == CONNECTION => (key.clone(), item.clone()),
                    _ => (key.clone(), redactor.redact_value(item)),
                };
                members.iter().map(redacted).collect()
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
            Place::Configuration => &mut self.configuration,
            Place::ConfigurationOf(connection) => &mut self.connections.get_mut(connection)?.configuration,
            Place::SessionsOf(connection) => &mut self.connections.get_mut(connection)?.sessions,
        };
        Some(Arc::make_mut(search))
    }

    fn texts(&self, place: Place<'_>) -> Box<dyn Iterator<Item = &String> + '_> {
        let of = |name| self.connections.get(name).into_iter();
        match place {
            Place::Configuration => Box::new(self.connections.values().flat_map(|one| &one.configured)),
            Place::ConfigurationOf(name) => Box::new(of(name).flat_map(|one| &one.configured)),
            Place::SessionsOf(name) => Box::new(of(name).flat_map(Secrets::of_sessions)),
        }
    }

    fn searches(&self, scope: &Scope) -> Vec<Arc<Search>> {
        let configuration = || std::iter::once(Arc::clone(&self.configuration));
        let sessions = |one: &Secrets| Arc::clone(&one.sessions);
        let both = |one: &Secrets| [Arc::clone(&one.configuration), Arc::clone(&one.sessions)];
        match scope {
            Scope::Server => configuration().collect(),
            Scope::All => configuration().chain(self.connections.values().map(sessions)).collect(),
            Scope::Of(name) => self.connections.get(&**name).into_iter().flat_map(both).collect(),
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

/// The lines of a text of several, those of some length: a private key in PEM, of which an error quotes one.
fn lines(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().map(str::trim).filter(|line| line.len() >= LINE_BYTES_MIN);
    let count = if text.lines().nth(1).is_some() { LINES_MAX } else { 0 };
    lines.take(count).map(str::to_owned)
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
        assert_eq!(redactor.of("acme").redact("shared-by-both"), "shared-by-both");
        assert_eq!(redactor.redact("of-acme-alone"), "of-acme-alone");
        assert_eq!(redactor.redact("secret-number-999 secret-number-0"), "[secret] [secret]");
    }

    #[test]
    fn a_text_of_a_server_is_searched_once_however_many_connections_there_are() {
        let redactor = Redactor::default();
        let secret = |connection: usize| format!("secret-of-connection-{connection}");
        (0..1_000).for_each(|number| redactor.learn(&format!("c{number}"), &secret(number)));
        let server = redactor.of_server();
        let searched = || {
            let searches = redactor.read().searches(&server.scope);
            assert_eq!(searches.len(), 1);
            searches.iter().map(|search| (search.built(), search.recent())).next().unwrap_or_default()
        };
        for number in [0, 1, 500, 998, 999] {
            assert_eq!(server.redact(&secret(number)), "[secret]");
        }
        let (built, recent) = searched();
        assert!((4_000..=5_000).contains(&(built + recent)), "{built}, {recent}: the spellings of 1,000");
        assert!(recent <= built / 8, "{recent} of {built} are searched one by one");
        // Those of removed connections go with the next build.
        (0..1_000).for_each(|number| redactor.forget(&format!("c{number}")));
        (0..200).for_each(|number| redactor.learn("new", &format!("another-secret-{number}")));
        assert!(searched().0 <= 1_000, "{:?}", searched());
        assert_eq!(server.redact(&secret(7)), secret(7));
        assert_eq!(server.redact("another-secret-199"), "[secret]");
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
    fn the_secrets_of_a_connection_mask_no_text_of_another_one_and_its_session_none_of_a_server() {
        let redactor = Redactor::default();
        redactor.learn("bank", "configured");
        redactor.learn("evil", "running");
        redactor.learn_session("evil", r#"["degraded","connection=","Ticket_Add","department"]"#);
        let text = "running connection=bank degraded configured";
        let redacted = |redactor: &Redactor| redactor.redact(text);
        assert_eq!(redacted(&redactor.of("bank")), "running connection=bank degraded [secret]");
        let of_evil = "[secret] [secret]bank [secret] configured";
        assert_eq!(redacted(&redactor.of("evil")), of_evil, "no word about the secrets of others");
        assert_eq!(redacted(&redactor.of_server()), "[secret] connection=bank degraded [secret]");
        assert_eq!(redacted(&redactor.of_all()), "[secret] [secret]bank [secret] [secret]");
        assert_eq!(redacted(&redactor.of("unknown")), text);
        let letters =
            json!([{ "connection": "bank", "reason": text }, { "connection": "running", "reason": text }]);
        let shown = redactor.of_server().redact_value(&letters);
        assert_eq!(shown[0]["reason"], "running connection=bank degraded [secret]");
        assert_eq!((&shown[1]["connection"], &shown[1]["reason"]), (&json!("running"), &json!(text)));
        redactor.forget("evil");
        assert_eq!(redactor.of("evil").redact("Ticket_Add"), "Ticket_Add");
    }

    #[test]
    fn a_configured_secret_of_several_lines_is_redacted_as_a_whole_and_line_by_line() {
        let redactor = Redactor::default();
        let key = "-----BEGIN KEY-----\r\n  MIIEvQIBADANBg\nfQ==\n-----END KEY-----\n";
        redactor.learn("acme", key);
        redactor.learn("acme", "one line of words");
        assert_eq!(redactor.redact(&format!("bad key: {key}!")), "bad key: [secret]!");
        let indented = "-----BEGIN KEY-----\n    MIIEvQIBADANBg\n    fQ==\n";
        assert_eq!(redactor.redact(indented), "[secret]\n    [secret]\n    fQ==\n");
        assert_eq!(redactor.redact("one line"), "one line");
    }

    #[test]
    fn a_text_is_cut_without_a_part_of_a_secret() {
        let redactor = Redactor::default();
        redactor.learn("acme", "correct horse battery");
        let text = format!("{}the phrase correct horse battery is refused", "ü".repeat(8));
        for bytes in 0..text.len() + 10 {
            let begins = redactor.redact_beginning(&text, bytes);
            let expected = redactor.redact(&text);
            assert!(expected.starts_with(&begins) && begins.len() <= bytes.max(28 + 8), "{bytes}: {begins}");
        }
        assert_eq!(redactor.redact_beginning(&text, 30), format!("{}the phrase [secret]", "ü".repeat(8)));
    }

    #[test]
    fn the_debug_output_holds_no_secret() {
        let redactor = Redactor::default();
        redactor.learn("acme", "very secret");
        assert!(!format!("{redactor:?}").contains("secret\""));
        assert!(!format!("{redactor:?}").contains("very"));
    }
}
