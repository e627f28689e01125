//! `/oauth/…`: token, revocation and server list. Errors are answered with HTTP 200, as §2.2 says.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::http::answer::{Answer, JSON};
use crate::http::request::{Call, decode};
use crate::oauth::scopes::Scopes;
use crate::oauth::{Grant, OauthError};
use crate::shared::Shared;

/// Answers a request to the accounts host.
pub(crate) fn answer(shared: &Shared, call: &Call) -> Answer {
    match (&call.method, call.path.as_str()) {
        (&Method::POST, "/oauth/v2/token") => match token(shared, call) {
            Ok(grant) => Answer::value(&success(shared, &grant)),
            Err(error) => Answer::value(&json!({"error": error})),
        },
        (&Method::POST, "/oauth/v2/token/revoke") => {
            let parameters = parameters(call);
            let token = get(&parameters, "token");
            let revoked = token.is_some_and(|token| shared.accounts().revoke(Some(token)));
            Answer::value(&if revoked {
                json!({"status": "success"})
            } else {
                json!({"error": "invalid_token"})
            })
        }
        (&Method::GET, "/oauth/serverinfo") => Answer::value(&json!({
            "result": "success",
            "locations": {
                "us": shared.url(), "eu": "https://accounts.zoho.eu", "in": "https://accounts.zoho.in",
            },
        })),
        (_, "/oauth/v2/token" | "/oauth/v2/token/revoke" | "/oauth/serverinfo") => {
            Answer::of(StatusCode::METHOD_NOT_ALLOWED, JSON, b"{\"error\":\"general_error\"}".to_vec())
        }
        _ => Answer::of(StatusCode::NOT_FOUND, "text/html", b"<html>404</html>".to_vec()),
    }
}

/// The parameters of the query and of a form body: both are accepted (§2.1).
fn parameters(call: &Call) -> Vec<(String, String)> {
    let mut all = call.query.clone();
    all.extend(decode(&String::from_utf8_lossy(&call.body)));
    all
}

fn get<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn token(shared: &Shared, call: &Call) -> Result<Grant, OauthError> {
    let parameters = parameters(call);
    let get = |name| get(&parameters, name);
    let settings = shared.settings();
    let options = &shared.options;
    let grant_type = get("grant_type").ok_or("unsupported_grant_type")?;
    if settings.wrong_data_center || get("client_id") != Some(&options.client_id) {
        return Err("invalid_client");
    }
    if get("client_secret") != Some(&options.client_secret) {
        return Err("invalid_client_secret");
    }
    let now = shared.clock.now_ms();
    let mut accounts = shared.accounts();
    let grant = match grant_type {
        "authorization_code" => {
            let code = get("code").ok_or("invalid_code")?;
            // Codes with this prefix stand for codes of another data center; see README.md.
            if code.starts_with("1000.otherdc.") {
                return Err("invalid_client");
            }
            accounts.exchange(code, now, &settings)?
        }
        "refresh_token" => accounts.issue(get("refresh_token").ok_or("invalid_code")?, now, &settings)?,
        "client_credentials" => {
            let organization = get("soid").ok_or("missing_org_info")?;
            if organization != format!("ZohoDesk.{}", options.organization_id) {
                return Err("invalid_soid");
            }
            let scopes = get("scope").and_then(Scopes::parse).ok_or("invalid_scope")?;
            accounts.issue_alone(scopes, now, &settings)
        }
        _ => return Err("unsupported_grant_type"),
    };
    shared.meter.issued();
    Ok(grant)
}

fn success(shared: &Shared, grant: &Grant) -> Value {
    let mut answer = json!({
        "access_token": grant.access, "api_domain": "https://www.zohoapis.com",
        "token_type": "Bearer", "expires_in": shared.settings().token_life_seconds,
    });
    match &grant.refresh {
        Some(refresh) => answer["refresh_token"] = json!(refresh),
        None => answer["scope"] = json!(grant.scopes.to_string()),
    }
    answer
}
