//! The accounts host (reference, §2).

use std::time::Duration;

use desk_simulator::{CLIENT_ID, CLIENT_SECRET, GRANT_CODE, ORGANIZATION_ID, Options, Simulator};
use serde_json::{Value, json};

use crate::client::Client;
use crate::support::{small, start, start_with, token};

fn exchange(options: Options, more: &[(&str, &str)]) -> Value {
    let simulator = Simulator::start(options).expect("starts");
    let mut client = Client::connect(&simulator.url()).expect("listens");
    let code = [("grant_type", "authorization_code"), ("code", GRANT_CODE)];
    let mut form: Vec<(&str, &str)> = code.to_vec();
    form.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    form.extend(more);
    token(&mut client, &form)
}

#[test]
fn a_code_works_once_and_in_the_query_as_well() {
    let simulator = Simulator::start(small(1)).expect("starts");
    let mut client = Client::connect(&simulator.url()).expect("listens");
    let path = format!(
        "/oauth/v2/token?grant_type=authorization_code&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&code={GRANT_CODE}"
    );
    let first = client.send("POST", &path, "").expect("answers").json();
    assert!(first["access_token"].as_str().is_some_and(|token| token.starts_with("1000.")));
    assert_eq!(first["expires_in"], json!(3600));
    assert_eq!(first["api_domain"], json!("https://www.zohoapis.com"));
    let second = client.send("POST", &path, "").expect("answers");
    assert_eq!((second.status, second.json()), (200, json!({"error": "invalid_code"})));
}

#[test]
fn errors_come_with_http_200_and_their_names() {
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[("client_id", "1000.NOBODY")], "invalid_client"),
        (&[("client_secret", "wrong")], "invalid_client_secret"),
        (&[("code", "1000.no.such")], "invalid_code"),
        (&[("code", "1000.otherdc.code")], "invalid_client"),
        (&[("grant_type", "password")], "unsupported_grant_type"),
        (&[("grant_type", "client_credentials")], "missing_org_info"),
    ];
    for (more, error) in cases {
        assert_eq!(exchange(small(1), more), json!({"error": error}));
    }
    let mut elsewhere = small(1);
    elsewhere.settings.wrong_data_center = true;
    assert_eq!(exchange(elsewhere, &[]), json!({"error": "invalid_client"}));
    let mut expired = small(1);
    expired.grant_code_life_ms = Some(0);
    assert_eq!(exchange(expired, &[]), json!({"error": "invalid_code"}));
}

#[test]
fn client_credentials_need_the_organisation_and_known_scopes() {
    let soid = format!("ZohoDesk.{ORGANIZATION_ID}");
    let ask = |scope: &str, soid: &str| {
        exchange(small(1), &[("grant_type", "client_credentials"), ("scope", scope), ("soid", soid)])
    };
    assert_eq!(ask("Desk.tickets.READ", "ZohoDesk.1")["error"], json!("invalid_soid"));
    assert_eq!(ask("Desk.nothing.READ", &soid)["error"], json!("invalid_scope"));
    let grant = ask("Desk.tickets.READ", &soid);
    assert!(grant["access_token"].is_string() && grant["refresh_token"].is_null());
}

#[test]
fn refresh_tokens_do_not_rotate_and_are_throttled() {
    let mut fixture = start(1);
    let refresh = fixture.refresh_token.clone();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    for _ in 0..9 {
        let grant = token(&mut fixture.client, &form);
        assert!(grant["access_token"].is_string() && grant["refresh_token"].is_null());
        assert!(grant["scope"].as_str().is_some_and(|scopes| scopes.contains("Desk.tickets.ALL ")));
    }
    assert_eq!(token(&mut fixture.client, &form), json!({"error": "Access Denied"}));
    fixture.simulator.advance(Duration::from_secs(601));
    assert!(token(&mut fixture.client, &form)["access_token"].is_string());
    fixture.simulator.revoke_tokens();
    assert_eq!(token(&mut fixture.client, &form), json!({"error": "invalid_code"}));
    assert_eq!(fixture.refusal("tickets").0, 401);
}

#[test]
fn the_sixteenth_access_token_removes_the_first() {
    let mut options = small(1);
    options.settings.token_throttle = 0;
    let mut fixture = start_with(options);
    let refresh = fixture.refresh_token.clone();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    for _ in 0..14 {
        token(&mut fixture.client, &form);
    }
    assert_eq!(fixture.get("departments").status, 200);
    token(&mut fixture.client, &form);
    assert_eq!(fixture.refusal("departments"), (401, "INVALID_OAUTH".to_owned()));
}

#[test]
fn tokens_end_after_their_life() {
    let mut fixture = start(1);
    fixture.simulator.advance(Duration::from_secs(3_599));
    assert_eq!(fixture.get("departments").status, 200);
    fixture.simulator.advance(Duration::from_secs(2));
    assert_eq!(fixture.refusal("departments"), (401, "INVALID_OAUTH".to_owned()));
}

#[test]
fn credentials_organisation_and_scopes_are_checked() {
    let mut fixture = start(1);
    let authorised = fixture.client.headers.clone();
    let bearer = authorised[0].1.replace("Zoho-oauthtoken", "Bearer");
    fixture.client.headers = vec![("authorization".to_owned(), bearer)];
    assert_eq!(fixture.get("organizations").status, 200, "orgId is optional, Bearer works");
    fixture.client.headers.push(("orgId".to_owned(), "1".to_owned()));
    assert_eq!(fixture.refusal("tickets"), (403, "OAUTH_ORG_MISMATCH".to_owned()));
    fixture.client.headers.clear();
    assert_eq!(fixture.refusal("tickets"), (401, "UNAUTHORIZED".to_owned()));
    fixture.client.headers = authorised;
    fixture.simulator.set_scopes(&["Desk.tickets.READ", "Desk.settings.READ"]);
    assert_eq!(fixture.get("tickets").status, 200);
    assert_eq!(fixture.get("organizationFields?module=tickets").status, 200);
    for path in ["tickets/search", "contacts", "ticketsCount"] {
        assert_eq!(fixture.refusal(path), (403, "SCOPE_MISMATCH".to_owned()), "{path}");
    }
    let trash = fixture.call("POST", "tickets/moveToTrash", &json!({"ticketIds": ["1"]}));
    assert_eq!(trash.status, 403);
}
