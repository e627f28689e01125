//! OAuth tokens: when one must be renewed, the requests for one, and the meaning of the answers. Pure.
//!
//! Source: `zoho-desk-api.md` §2. Zoho sends most token errors with HTTP 200, so the body decides, not the
//! status.

use serde::Deserialize;
use serde_json::Value;

use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::session::Session;
use crate::transport::{Method, Request, Response};
use crate::url;

const TOKEN_PATH: &str = "/oauth/v2/token";

/// The credential that a person exchanges for tokens.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    /// Generated for a self client, or carried by the redirect of a server client.
    code: Option<String>,
    /// Only for a server client: the redirect URI registered with it.
    redirect_uri: Option<String>,
    /// Instead of a code: an existing refresh token.
    refresh_token: Option<String>,
}

/// The credential of a token request; decides the meaning of `invalid_code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Code,
    RefreshToken,
}

impl Grant {
    pub(crate) fn parse(json: &str) -> Result<Self> {
        let grant: Self = serde_json::from_str(json).map_err(|error| {
            Error::new(Kind::Config, format!("grant: {error}")).hint(r#"pass {"code": "1000.…"}"#)
        })?;
        let filled =
            |field: Option<String>| field.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let Self { code, redirect_uri, refresh_token } = grant;
        let grant = Self {
            code: filled(code),
            redirect_uri: filled(redirect_uri),
            refresh_token: filled(refresh_token),
        };
        if grant.code.is_some() == grant.refresh_token.is_some() {
            return Err(Error::new(Kind::Config, "grant: give either a code or a refresh token").hint(
                "generate a code at the Zoho API console, tab Generate Code, and pass it before it expires",
            ));
        }
        Ok(grant)
    }

    pub(crate) fn credential(&self) -> Credential {
        if self.refresh_token.is_some() { Credential::RefreshToken } else { Credential::Code }
    }

    /// The refresh token, when the grant is one.
    pub(crate) fn refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_deref()
    }
}

/// True when `session` holds an access token that outlives a call made at `now_ms`.
pub(crate) fn is_fresh(session: &Session, now_ms: u64) -> bool {
    session.access_token.is_some() && session.access_token_ends_ms > now_ms + limits::TOKEN_MARGIN_MS
}

/// The code of a 401 that is about the token; others may be about the call (`zoho-desk-api.md` §5.1).
const TOKEN_REFUSED: &str = "INVALID_OAUTH";

pub(crate) fn is_about_token(error: &Error) -> bool {
    error.code.as_deref() == Some(TOKEN_REFUSED)
}

/// True when a refused call is worth a new token: at most one each minute, because Zoho gives ten in ten
/// minutes, and fewer where the call is as likely the reason, which a new token would not help.
pub(crate) fn renews(session: &Session, error: &Error, now_ms: u64) -> bool {
    let is_worth = match is_about_token(error) {
        true => !is_young(session, now_ms) || session.access_token_replacements == 0,
        false => age_ms(session, now_ms) >= limits::TOKEN_NEW_MS,
    };
    error.kind == Kind::Auth && is_worth
}

/// True when a replacement may be replaced again, should the API refuse it in another call, too.
pub(crate) fn may_renew_again(session: &Session, error: &Error) -> bool {
    is_about_token(error) && session.access_token_replacements < limits::TOKEN_REPLACEMENTS_MAX
}

/// Replaced tokens in a row after the next renewal.
pub(crate) fn next_replacement(session: &Session, now_ms: u64) -> u32 {
    if is_young(session, now_ms) { session.access_token_replacements + 1 } else { 1 }
}

fn is_young(session: &Session, now_ms: u64) -> bool {
    age_ms(session, now_ms) < limits::TOKEN_YOUNG_MS
}

fn age_ms(session: &Session, now_ms: u64) -> u64 {
    now_ms.abs_diff(session.access_token_since_ms)
}

/// Gives a 401 that renewed no token its meaning: a young token was refused, which passes, or this user may
/// not make the call.
pub(crate) fn explain_refusal(error: &mut Error) {
    if error.kind != Kind::Auth {
        return;
    }
    let (kind, hint) = match is_about_token(error) {
        true => (
            Kind::Unavailable,
            "a new token was refused at once: try again; if that does not help, check `data_center` and \
             `desk_url`",
        ),
        false => (
            Kind::Permission,
            "the user who generated the code may not do this: generate it as an administrator",
        ),
    };
    error.kind = kind;
    error.hint = Some(hint.to_owned());
}

/// The request that exchanges `grant`.
pub(crate) fn exchange(config: &Config, grant: &Grant) -> Request {
    match (&grant.code, &grant.refresh_token) {
        (Some(code), _) => {
            let mut pairs = vec![("grant_type", "authorization_code"), ("code", code)];
            if let Some(redirect_uri) = &grant.redirect_uri {
                pairs.push(("redirect_uri", redirect_uri));
            }
            token_request(config, &pairs)
        }
        (None, refresh_token) => renew(config, refresh_token.as_deref().unwrap_or_default()),
    }
}

/// The request that renews the access token.
pub(crate) fn renew(config: &Config, refresh_token: &str) -> Request {
    token_request(config, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
}

/// Secrets are in the body, never in the URL, which may be logged.
fn token_request(config: &Config, pairs: &[(&str, &str)]) -> Request {
    let mut all = vec![("client_id", config.client_id.as_str()), ("client_secret", &config.client_secret)];
    all.extend_from_slice(pairs);
    Request {
        method: Method::Post,
        origin: config.accounts.clone(),
        path_with_query: TOKEN_PATH.to_owned(),
        headers: vec![
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ("accept", "application/json".to_owned()),
        ],
        body: url::form(&all).into_bytes(),
    }
}

/// Stores the tokens of an answer in `session`, which keeps its refresh token when the answer has none.
pub(crate) fn accept(
    config: &Config,
    session: &mut Session,
    response: &Response,
    now_ms: u64,
    credential: Credential,
) -> Result<()> {
    let answer: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    let Some(access_token) = text("access_token") else {
        return Err(refused(config, response, text("error"), credential));
    };
    session.access_token = Some(access_token);
    session.access_token_ends_ms = now_ms.saturating_add(life_ms(&answer));
    session.access_token_since_ms = now_ms;
    session.access_token_replacements = 0;
    if let Some(refresh_token) = text("refresh_token") {
        session.refresh_token = Some(refresh_token);
    }
    if session.refresh_token.is_none() {
        let message = "authorization: the answer has an access token but no refresh token";
        return Err(Error::new(Kind::Auth, message).hint(
            "use a self client's generated code; a server client must ask with access_type=offline and \
             prompt=consent",
        ));
    }
    Ok(())
}

/// `expires_in` is in seconds; an old variant has `expires_in_sec`, and `expires_in` in milliseconds.
fn life_ms(answer: &Value) -> u64 {
    let number = |key: &str| {
        answer
            .get(key)
            .and_then(|value| value.as_u64().or_else(|| value.as_str().and_then(|s| s.parse().ok())))
    };
    let seconds = number("expires_in_sec").or_else(|| number("expires_in")).unwrap_or(3600);
    seconds.saturating_mul(1000).min(limits::TOKEN_LIFE_MAX_MS)
}

/// The meaning of a refusal, with what a person can do about it.
fn refused(config: &Config, response: &Response, code: Option<String>, credential: Credential) -> Error {
    let place = format!("data center `{}` ({})", config.data_center, config.accounts);
    let Some(code) = code else {
        let (kind, wait_ms) = match response.status {
            429 => (Kind::RateLimited, Some(limits::TOKEN_THROTTLE_WAIT_MS)),
            408 | ..400 | 500.. => (Kind::Unavailable, None),
            _ => (Kind::Auth, None),
        };
        return Error::new(
            kind,
            format!("{}: HTTP {} and no token in the answer", config.accounts, response.status),
        )
        .retry_after_ms(wait_ms)
        .hint("try again later; if that does not help, check `data_center` and `accounts_url`");
    };
    let (kind, what, hint) = match code.as_str() {
        "invalid_client" => (
            Kind::Auth,
            "`client_id` is not known",
            "the usual cause is the wrong `data_center`: use the one whose address you see in the browser \
             when you open Zoho Desk (desk.zoho.eu is `eu`); otherwise copy the Client ID again from that \
             data center's API console",
        ),
        "invalid_client_secret" => (
            Kind::Auth,
            "`client_secret` is wrong for this client",
            "copy the Client Secret again from the API console; a client used in several data centers has \
             one for each",
        ),
        "invalid_code" if credential == Credential::RefreshToken => (
            Kind::Auth,
            "the refresh token was revoked, removed or belongs to another data center",
            "generate a new code at the API console and run `authorize --code CODE`",
        ),
        "invalid_code" => (
            Kind::Auth,
            "the generated code has expired, was used before, or is of another data center",
            "a code works once and only for the minutes chosen when it was generated: generate a new one and \
             run `authorize --code CODE` at once; if it is new, check `data_center`",
        ),
        "invalid_grant" => {
            (Kind::Auth, "the grant is not accepted", "generate a new code and run `authorize` again")
        }
        "invalid_scope" => (
            Kind::Auth,
            "a scope of the grant is not known",
            "paste the scope list that `spec` prints when you generate the code",
        ),
        "invalid_redirect_uri" => (
            Kind::Auth,
            "the redirect URI does not match the client's",
            "use a self client, or pass the client's own `redirect_uri` in the grant",
        ),
        "Access Denied" | "access_denied" => (
            Kind::RateLimited,
            "too many tokens were requested",
            "Zoho gives 10 access tokens in 10 minutes for one refresh token: wait, and give each connection \
             its own client",
        ),
        "general_error" => (Kind::Unavailable, "the token service failed", "try again later"),
        _ => (Kind::Auth, "the token service refused", "generate a new code and run `authorize` again"),
    };
    let retry_after_ms = (kind == Kind::RateLimited).then_some(limits::TOKEN_THROTTLE_WAIT_MS);
    Error::new(kind, format!("{what}, says {place}")).code(code).hint(hint).retry_after_ms(retry_after_ms)
}

#[cfg(test)]
mod tests {
    use super::Credential::{Code, RefreshToken};
    use super::*;

    fn config() -> Config {
        Config::parse(r#"{"organization_id":"1","client_id":"id","client_secret":"s3","data_center":"eu"}"#)
            .unwrap()
    }

    fn answer(body: &str) -> Response {
        Response { status: 200, headers: Vec::new(), body: body.as_bytes().to_vec() }
    }

    fn outcome(body: &str, credential: Credential) -> std::result::Result<Session, Error> {
        let mut session = Session::default();
        accept(&config(), &mut session, &answer(body), 1_000, credential).map(|()| session)
    }

    #[test]
    fn a_token_lives_for_an_hour_at_most_and_in_either_unit() {
        let session =
            outcome(r#"{"access_token":"a","refresh_token":"r","expires_in":3600000}"#, Code).unwrap();
        assert_eq!(session.access_token_ends_ms, 1_000 + 3_600_000);
        assert!(is_fresh(&session, 1_000));
        assert!(!is_fresh(&session, 3_500_000));
        let old = outcome(
            r#"{"access_token":"a","refresh_token":"r","expires_in_sec":60,"expires_in":60000}"#,
            Code,
        );
        assert_eq!(old.unwrap().access_token_ends_ms, 61_000);
    }

    #[test]
    fn errors_sent_with_200_have_a_kind_and_a_hint() {
        for (body, credential, kind, says) in [
            (r#"{"error":"invalid_client"}"#, Code, Kind::Auth, "data_center"),
            (r#"{"error":"invalid_client_secret"}"#, Code, Kind::Auth, "Client Secret"),
            (r#"{"error":"invalid_code"}"#, Code, Kind::Auth, "generate a new one"),
            (r#"{"error":"invalid_code"}"#, RefreshToken, Kind::Auth, "authorize --code"),
            (r#"{"error":"Access Denied"}"#, RefreshToken, Kind::RateLimited, "10 access tokens"),
            (r#"<html>"#, RefreshToken, Kind::Unavailable, "try again later"),
        ] {
            let error = outcome(body, credential).unwrap_err();
            assert_eq!(error.kind, kind, "{body}");
            assert!(error.hint.unwrap().contains(says), "{body}");
        }
    }

    #[test]
    fn a_status_without_a_code_says_whether_to_wait_or_to_authorize() {
        for (status, kind, wait_ms) in [
            (429, Kind::RateLimited, Some(limits::TOKEN_THROTTLE_WAIT_MS)),
            (408, Kind::Unavailable, None),
            (200, Kind::Unavailable, None),
            (503, Kind::Unavailable, None),
            (403, Kind::Auth, None),
        ] {
            let response = Response { status, ..answer("<html>") };
            let error = accept(&config(), &mut Session::default(), &response, 0, RefreshToken).unwrap_err();
            assert_eq!((error.kind, error.retry_after_ms), (kind, wait_ms), "{status}");
        }
    }

    #[test]
    fn a_refused_call_renews_a_token_that_may_be_the_reason_and_no_other() {
        let about_token = Error::new(Kind::Auth, "m").code("INVALID_OAUTH");
        let about_call = Error::new(Kind::Auth, "m").code("UNAUTHORIZED");
        let session = |is_replacement| {
            let mut session = Session::default();
            session.access_token_since_ms = 1_000;
            session.access_token_replacements = u32::from(is_replacement);
            session
        };
        let old_ms = 1_000 + limits::TOKEN_YOUNG_MS;
        for (error, is_replacement, now_ms, expected) in [
            (&about_call, false, old_ms, false),
            (&about_call, false, 1_000 + limits::TOKEN_NEW_MS, true),
            (&Error::new(Kind::Auth, "no code"), false, 1_000 + limits::TOKEN_NEW_MS, true),
            (&Error::new(Kind::Auth, "no code"), false, old_ms, false),
            (&about_token, false, old_ms - 1, true),
            (&about_token, true, old_ms - 1, false),
            (&about_token, true, old_ms, true),
            (&Error::new(Kind::Permission, "m"), false, old_ms, false),
        ] {
            assert_eq!(renews(&session(is_replacement), error, now_ms), expected, "{error:?} {now_ms}");
        }
        let explained = |error: &Error| {
            let mut error = error.clone();
            explain_refusal(&mut error);
            error.kind
        };
        assert_eq!(explained(&about_call), Kind::Permission);
        assert_eq!(explained(&about_token), Kind::Unavailable);
    }

    #[test]
    fn secrets_are_in_the_body_only() {
        let request = exchange(&config(), &Grant::parse(r#"{"code":"1000.x"}"#).unwrap());
        assert_eq!(request.path_with_query, "/oauth/v2/token");
        let body = String::from_utf8(request.body).unwrap();
        assert_eq!(body, "client_id=id&client_secret=s3&grant_type=authorization_code&code=1000.x");
    }

    #[test]
    fn a_grant_is_a_code_or_a_refresh_token() {
        let grant = Grant::parse(r#"{"code":" ","refresh_token":" 1000.x "}"#).unwrap();
        let body = String::from_utf8(exchange(&config(), &grant).body).unwrap();
        assert!(body.ends_with("grant_type=refresh_token&refresh_token=1000.x"), "{body}");
        for bad in ["{}", r#"{"code":""}"#, r#"{"code":"a","refresh_token":"b"}"#, r#"{"cod":"a"}"#] {
            assert_eq!(Grant::parse(bad).err().unwrap().kind, Kind::Config, "{bad}");
        }
    }
}
