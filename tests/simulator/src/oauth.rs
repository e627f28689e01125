//! The accounts host: codes, refresh tokens, access tokens, and their limits (reference, §2).
//!
//! Time is an argument. [`endpoints`] translates from and to HTTP.

pub(crate) mod endpoints;
pub(crate) mod scopes;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::oauth::scopes::Scopes;
use crate::options::Options;
use crate::rng::mix;
use crate::settings::Settings;

/// Refresh tokens of a user; one more removes the oldest (§2.3).
const REFRESH_TOKENS_MAX: usize = 20;
/// The period in which access tokens per refresh token are limited (§2.3).
const THROTTLE_WINDOW_MS: i64 = 600_000;

/// The `error` of a JSON answer.
pub(crate) type OauthError = &'static str;

/// A generated code.
#[derive(Clone, Debug)]
struct Code {
    scopes: Arc<Scopes>,
    expires: Option<i64>,
    is_reusable: bool,
    is_used: bool,
}

/// A refresh token.
#[derive(Clone, Debug)]
struct Refresh {
    token: String,
    scopes: Arc<Scopes>,
    /// The times at which access tokens were issued, oldest first.
    issued: VecDeque<i64>,
    /// The valid access tokens, oldest first.
    active: VecDeque<String>,
}

/// An access token.
#[derive(Clone, Debug)]
struct Access {
    scopes: Arc<Scopes>,
    expires: i64,
}

/// The state of the accounts host.
#[derive(Debug)]
pub(crate) struct Accounts {
    codes: BTreeMap<String, Code>,
    refresh: VecDeque<Refresh>,
    access: BTreeMap<String, Access>,
    /// Tokens issued so far. Each token is derived from this number, so that no two are equal.
    issued: u64,
    seed: u64,
}

/// A code to be added.
#[derive(Debug)]
pub(crate) struct NewCode {
    pub(crate) code: String,
    pub(crate) scopes: Scopes,
    /// None: valid until it is used.
    pub(crate) life_ms: Option<u64>,
    pub(crate) is_reusable: bool,
}

/// Tokens that were issued together.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    pub(crate) scopes: Arc<Scopes>,
}

impl Accounts {
    /// An accounts host with the code of the options.
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
        let new = NewCode {
            code: options.grant_code.clone(),
            scopes,
            life_ms: options.grant_code_life_ms,
            is_reusable: options.grant_code_reusable,
        };
        accounts.add_code(new, now);
        accounts
    }

    /// Adds a code that can be exchanged.
    pub(crate) fn add_code(&mut self, new: NewCode, now: i64) {
        let code = Code {
            scopes: Arc::new(new.scopes),
            expires: new.life_ms.map(|life| now + life as i64),
            is_reusable: new.is_reusable,
            is_used: false,
        };
        self.codes.insert(new.code, code);
    }

    /// Exchanges a code for an access and a refresh token.
    pub(crate) fn exchange(
        &mut self,
        code: &str,
        now: i64,
        settings: &Settings,
    ) -> Result<Grant, OauthError> {
        let entry = self.codes.get_mut(code).ok_or("invalid_code")?;
        let is_expired = entry.expires.is_some_and(|at| at <= now);
        if is_expired || (entry.is_used && !entry.is_reusable) {
            return Err("invalid_code");
        }
        entry.is_used = true;
        let scopes = Arc::clone(&entry.scopes);
        let token = self.token();
        if self.refresh.len() >= REFRESH_TOKENS_MAX
            && let Some(oldest) = self.refresh.pop_front()
        {
            self.invalidate_all(&oldest.active);
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

    /// Issues an access token for a refresh token.
    pub(crate) fn issue(
        &mut self,
        refresh: &str,
        now: i64,
        settings: &Settings,
    ) -> Result<Grant, OauthError> {
        let access = self.token();
        let found = self.refresh.iter_mut().find(|known| known.token == refresh);
        let known = found.ok_or("invalid_code")?;
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
        Ok(self.grant(access, scopes, now, settings))
    }

    /// Issues an access token without a refresh token (client credentials).
    pub(crate) fn issue_alone(&mut self, scopes: Scopes, now: i64, settings: &Settings) -> Grant {
        let (access, scopes) = (self.token(), Arc::new(scopes));
        self.grant(access, scopes, now, settings)
    }

    fn grant(&mut self, access: String, scopes: Arc<Scopes>, now: i64, settings: &Settings) -> Grant {
        let expires = now + settings.token_life_seconds as i64 * 1000;
        self.access.insert(access.clone(), Access { scopes: Arc::clone(&scopes), expires });
        Grant { access, refresh: None, scopes }
    }

    /// The scopes of an access token; none when it is unknown or expired.
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

    /// Revokes a refresh token and the access tokens issued for it; `None` revokes every refresh token. False
    /// when nothing was revoked.
    pub(crate) fn revoke(&mut self, refresh: Option<&str>) -> bool {
        let matches = |known: &Refresh| refresh.is_none_or(|token| token == known.token);
        let all = std::mem::take(&mut self.refresh);
        let (revoked, kept): (VecDeque<Refresh>, _) = all.into_iter().partition(matches);
        self.refresh = kept;
        revoked.iter().for_each(|known| self.invalidate_all(&known.active));
        !revoked.is_empty()
    }

    /// Replaces the scopes of every code and token.
    pub(crate) fn set_scopes(&mut self, scopes: Scopes) {
        let scopes = Arc::new(scopes);
        self.codes.values_mut().for_each(|code| code.scopes = Arc::clone(&scopes));
        self.refresh.iter_mut().for_each(|refresh| refresh.scopes = Arc::clone(&scopes));
        self.access.values_mut().for_each(|access| access.scopes = Arc::clone(&scopes));
    }

    fn invalidate_all(&mut self, active: &VecDeque<String>) {
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
