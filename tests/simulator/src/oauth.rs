//! The accounts host: codes, refresh tokens, access tokens, and their limits (reference, §2).
//!
//! Errors go out with HTTP 200, as the service does it. Time is an argument.

pub(crate) mod endpoints;
pub(crate) mod scopes;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::oauth::scopes::Scopes;
use crate::options::Options;
use crate::rng::mix;
use crate::settings::Settings;

/// Refresh tokens a user may have; one more removes the oldest.
const REFRESH_TOKENS_MAX: usize = 20;
/// The window of the throttle, in milliseconds.
const THROTTLE_WINDOW_MS: i64 = 600_000;

/// An error of the accounts host, as its JSON names it.
pub(crate) type OauthError = &'static str;

/// A generated code.
#[derive(Clone, Debug)]
struct Code {
    scopes: Arc<Scopes>,
    expires: Option<i64>,
    reusable: bool,
    used: bool,
}

/// A refresh token.
#[derive(Clone, Debug)]
struct Refresh {
    token: String,
    scopes: Arc<Scopes>,
    /// When access tokens were issued, oldest first.
    issued: VecDeque<i64>,
    /// The access tokens that are still good, oldest first.
    active: VecDeque<String>,
}

/// An access token.
#[derive(Clone, Debug)]
struct Access {
    scopes: Arc<Scopes>,
    expires: i64,
}

/// Everything the accounts host knows.
#[derive(Debug)]
pub(crate) struct Accounts {
    codes: BTreeMap<String, Code>,
    refresh: VecDeque<Refresh>,
    access: BTreeMap<String, Access>,
    /// Numbers the issued tokens, so that no two are equal.
    issued: u64,
    seed: u64,
}

/// Tokens that were issued together.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    pub(crate) scopes: Arc<Scopes>,
}

impl Accounts {
    /// An accounts host with the one code of the options.
    pub(crate) fn new(options: &Options, now: i64) -> Accounts {
        let mut accounts = Accounts {
            codes: BTreeMap::new(),
            refresh: VecDeque::new(),
            access: BTreeMap::new(),
            issued: 0,
            seed: options.seed,
        };
        let scopes = match &options.scopes {
            Some(list) => Scopes::from_list(list.iter().map(String::as_str)),
            None => Scopes::all(),
        };
        let life = options.grant_code_life_ms;
        accounts.add_code(&options.grant_code, scopes, life, options.grant_code_reusable, now);
        accounts
    }

    /// Adds a code that can be exchanged.
    pub(crate) fn add_code(
        &mut self,
        code: &str,
        scopes: Scopes,
        life_ms: Option<u64>,
        reusable: bool,
        now: i64,
    ) {
        let expires = life_ms.map(|life| now + life as i64);
        let code_entry = Code { scopes: Arc::new(scopes), expires, reusable, used: false };
        self.codes.insert(code.to_owned(), code_entry);
    }

    /// Exchanges a code for an access and a refresh token.
    pub(crate) fn exchange(
        &mut self,
        code: &str,
        now: i64,
        settings: &Settings,
    ) -> Result<Grant, OauthError> {
        let entry = self.codes.get_mut(code).ok_or("invalid_code")?;
        let expired = entry.expires.is_some_and(|at| at <= now);
        if expired || (entry.used && !entry.reusable) {
            return Err("invalid_code");
        }
        entry.used = true;
        let scopes = Arc::clone(&entry.scopes);
        let token = self.token();
        if self.refresh.len() >= REFRESH_TOKENS_MAX
            && let Some(oldest) = self.refresh.pop_front()
        {
            self.forget(&oldest.active);
        }
        self.refresh.push_back(Refresh {
            token: token.clone(),
            scopes,
            issued: VecDeque::new(),
            active: VecDeque::new(),
        });
        let grant = self.issue(&token, now, settings)?;
        Ok(Grant { refresh: Some(token), ..grant })
    }

    /// Issues a further access token for a refresh token.
    pub(crate) fn issue(
        &mut self,
        refresh: &str,
        now: i64,
        settings: &Settings,
    ) -> Result<Grant, OauthError> {
        let access = self.token();
        let known = self.refresh.iter_mut().find(|known| known.token == refresh);
        let known = known.ok_or("invalid_code")?;
        known.issued.retain(|at| *at > now - THROTTLE_WINDOW_MS);
        let throttle = settings.token_throttle as usize;
        if throttle > 0 && known.issued.len() >= throttle {
            return Err("Access Denied");
        }
        known.issued.push_back(now);
        known.active.push_back(access.clone());
        let scopes = Arc::clone(&known.scopes);
        if known.active.len() > settings.active_tokens_max
            && let Some(oldest) = known.active.pop_front()
        {
            self.access.remove(&oldest);
        }
        let expires = now + settings.token_life_seconds as i64 * 1000;
        self.access.insert(access.clone(), Access { scopes: Arc::clone(&scopes), expires });
        Ok(Grant { access, refresh: None, scopes })
    }

    /// Issues an access token without a refresh token.
    pub(crate) fn issue_alone(&mut self, scopes: Scopes, now: i64, settings: &Settings) -> Grant {
        let (access, scopes) = (self.token(), Arc::new(scopes));
        let expires = now + settings.token_life_seconds as i64 * 1000;
        self.access.insert(access.clone(), Access { scopes: Arc::clone(&scopes), expires });
        Grant { access, refresh: None, scopes }
    }

    /// The scopes of an access token that is good now.
    pub(crate) fn scopes_of(&self, access: &str, now: i64) -> Option<Arc<Scopes>> {
        let known = self.access.get(access).filter(|known| known.expires > now);
        known.map(|known| Arc::clone(&known.scopes))
    }

    /// Invalidates one access token.
    pub(crate) fn invalidate(&mut self, access: &str) {
        self.access.remove(access);
    }

    /// Invalidates every access token.
    pub(crate) fn expire_all(&mut self) {
        self.access.clear();
    }

    /// Revokes a refresh token with all it issued; none revokes every one. False when unknown.
    pub(crate) fn revoke(&mut self, refresh: Option<&str>) -> bool {
        let is_meant = |known: &Refresh| refresh.is_none_or(|token| token == known.token);
        let gone: Vec<Refresh> = self.refresh.iter().filter(|known| is_meant(known)).cloned().collect();
        self.refresh.retain(|known| !is_meant(known));
        gone.iter().for_each(|known| self.forget(&known.active));
        !gone.is_empty()
    }

    /// Gives every code and token, used and new, other scopes.
    pub(crate) fn set_scopes(&mut self, scopes: Scopes) {
        let scopes = Arc::new(scopes);
        self.codes.values_mut().for_each(|code| code.scopes = Arc::clone(&scopes));
        self.refresh.iter_mut().for_each(|refresh| refresh.scopes = Arc::clone(&scopes));
        self.access.values_mut().for_each(|access| access.scopes = Arc::clone(&scopes));
    }

    fn forget(&mut self, active: &VecDeque<String>) {
        active.iter().for_each(|token| self.invalidate(token));
    }

    fn token(&mut self) -> String {
        self.issued += 1;
        let part = |stream| {
            let (high, low) = (mix(self.seed, stream, self.issued), mix(self.seed, stream + 1, self.issued));
            format!("{high:016x}{low:016x}")
        };
        format!("1000.{}.{}", part(90), part(92))
    }
}
