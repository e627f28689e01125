//! The accounts host (reference, §2).

use std::time::Duration;

use desk_simulator::{CLIENT_ID, CLIENT_SECRET, GRANT_CODE, ORGANIZATION_ID, Options, Simulator};
use serde_json::{Value, json};

use crate::client::Client;
use crate::support::{small, start, start_with, token};

/// The answer of a new simulator to the exchange of its code, with these parameters replaced or added.
fn exchange(options: Options, more: &[(&str, &str)]) -> Value {
    let simulator = Simulator::start(options).expect("the simulator starts");
    let mut client = Client::connect(&simulator.url()).expect("it listens");
    let code = [("grant_type", "authorization_code"), ("code", GRANT_CODE)];
    let mut form: Vec<(&str, &str)> = code.to_vec();
    form.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    form.extend(more);
    token(&mut client, &form)
}

#[test]
fn a_code_is_exchanged_once_also_with_parameters_in_the_query() {
    let simulator = Simulator::start(small(1)).expect("the simulator starts");
    let mut client = Client::connect(&simulator.url()).expect("it listens");
    let credentials = format!("client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&code={GRANT_CODE}");
    let path = format!("/oauth/v2/token?grant_type=authorization_code&{credentials}");
    let first = client.send("POST", &path, "").expect("an answer").json();
    assert!(first["access_token"].as_str().is_some_and(|token| token.starts_with("1000.")));
    assert!(first["refresh_token"].as_str().is_some_and(|token| token.starts_with("1000.")));
    assert_eq!(first["expires_in"], json!(3600));
    assert_eq!(first["api_domain"], json!("https://www.zohoapis.com"));
    let second = client.send("POST", &path, "").expect("an answer");
    assert_eq!((second.status, second.json()), (200, json!({"error": "invalid_code"})));
}

#[test]
fn a_reusable_code_is_exchanged_twice() {
    let mut options = small(1);
    options.grant_code_reusable = true;
    let mut fixture = start_with(options);
    let form = [("grant_type", "authorization_code"), ("code", GRANT_CODE)];
    assert!(token(&mut fixture.client, &form)["access_token"].is_string());
}

#[test]
fn errors_are_answered_with_200_and_a_name() {
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[("client_id", "1000.NOBODY")], "invalid_client"),
        (&[("client_secret", "wrong")], "invalid_client_secret"),
        (&[("code", "1000.no.such")], "invalid_code"),
        (&[("code", "1000.otherdc.code")], "invalid_client"),
        (&[("grant_type", "password")], "unsupported_grant_type"),
        (&[("grant_type", "client_credentials")], "missing_org_info"),
    ];
    for (more, error) in cases {
        assert_eq!(exchange(small(1), more), json!({"error": error}), "{more:?}");
    }
    let mut elsewhere = small(1);
    elsewhere.settings.wrong_data_center = true;
    assert_eq!(exchange(elsewhere, &[]), json!({"error": "invalid_client"}));
    let mut expired = small(1);
    expired.grant_code_life_ms = Some(0);
    assert_eq!(exchange(expired, &[]), json!({"error": "invalid_code"}));
}

#[test]
fn client_credentials_require_the_organization_and_known_scopes() {
    let soid = format!("ZohoDesk.{ORGANIZATION_ID}");
    let grant = |scope: &str, soid: &str| {
        exchange(small(1), &[("grant_type", "client_credentials"), ("scope", scope), ("soid", soid)])
    };
    assert_eq!(grant("Desk.tickets.READ", "ZohoDesk.1")["error"], json!("invalid_soid"));
    assert_eq!(grant("Desk.nothing.READ", &soid)["error"], json!("invalid_scope"));
    let granted = grant("Desk.tickets.READ", &soid);
    assert!(granted["access_token"].is_string() && granted["refresh_token"].is_null());
}

#[test]
fn a_refresh_token_does_not_rotate() {
    let mut fixture = start(1);
    let refresh = fixture.refresh_token.clone();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let (first, second) = (token(&mut fixture.client, &form), token(&mut fixture.client, &form));
    for grant in [&first, &second] {
        assert!(grant["access_token"].is_string() && grant["refresh_token"].is_null(), "{grant}");
        assert!(grant["scope"].as_str().is_some_and(|scopes| scopes.contains("Desk.tickets.ALL ")));
    }
    assert_ne!(first["access_token"], second["access_token"]);
}

#[test]
fn the_eleventh_access_token_in_ten_minutes_is_denied() {
    let mut fixture = start(1);
    let refresh = fixture.refresh_token.clone();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    // The exchange of the code has issued the first.
    for _ in 0..9 {
        assert!(token(&mut fixture.client, &form)["access_token"].is_string());
    }
    assert_eq!(token(&mut fixture.client, &form), json!({"error": "Access Denied"}));
    fixture.simulator.advance(Duration::from_secs(601));
    assert!(token(&mut fixture.client, &form)["access_token"].is_string());
}

#[test]
fn a_revoked_refresh_token_is_invalid_and_so_are_its_access_tokens() {
    let mut fixture = start(1);
    let refresh = fixture.refresh_token.clone();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    assert_eq!(fixture.get("tickets").status, 200);
    let path = format!("/oauth/v2/token/revoke?token={refresh}");
    let revoked = fixture.client.send("POST", &path, "").expect("an answer").json();
    assert_eq!(revoked, json!({"status": "success"}));
    assert_eq!(token(&mut fixture.client, &form), json!({"error": "invalid_code"}));
    assert_eq!(fixture.error("tickets"), (401, "INVALID_OAUTH".to_owned()));
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
    assert_eq!(fixture.error("departments"), (401, "INVALID_OAUTH".to_owned()));
}

#[test]
fn the_twenty_first_refresh_token_removes_the_first() {
    let mut options = small(1);
    options.grant_code_reusable = true;
    let mut fixture = start_with(options);
    let refresh = fixture.refresh_token.clone();
    let code = [("grant_type", "authorization_code"), ("code", GRANT_CODE)];
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    for _ in 0..19 {
        token(&mut fixture.client, &code);
    }
    assert!(token(&mut fixture.client, &form)["access_token"].is_string());
    token(&mut fixture.client, &code);
    assert_eq!(token(&mut fixture.client, &form), json!({"error": "invalid_code"}));
}

#[test]
fn an_access_token_is_valid_for_its_life() {
    let mut fixture = start(1);
    // Half a life of margin on either side: the clock runs on during the test.
    fixture.simulator.advance(Duration::from_secs(1_800));
    assert_eq!(fixture.get("departments").status, 200);
    fixture.simulator.advance(Duration::from_secs(1_800));
    assert_eq!(fixture.error("departments"), (401, "INVALID_OAUTH".to_owned()));
}

#[test]
fn bearer_works_and_the_org_id_is_optional_but_must_match() {
    let mut fixture = start(1);
    let bearer = fixture.client.headers[0].1.replace("Zoho-oauthtoken", "Bearer");
    fixture.client.headers = vec![("authorization".to_owned(), bearer)];
    assert_eq!(fixture.get("organizations").status, 200);
    fixture.client.headers.push(("orgId".to_owned(), "1".to_owned()));
    assert_eq!(fixture.error("tickets"), (403, "OAUTH_ORG_MISMATCH".to_owned()));
}

#[test]
fn a_call_without_a_token_is_401() {
    let mut fixture = start(1);
    fixture.client.headers.clear();
    assert_eq!(fixture.error("tickets"), (401, "UNAUTHORIZED".to_owned()));
}

#[test]
fn a_call_without_the_scopes_of_its_endpoint_is_403() {
    let mut fixture = start(1);
    fixture.simulator.set_scopes(&["Desk.tickets.READ", "Desk.settings.READ"]);
    assert_eq!(fixture.get("tickets").status, 200);
    assert_eq!(fixture.get("organizationFields?module=tickets").status, 200);
    for path in ["tickets/search", "contacts", "ticketsCount"] {
        assert_eq!(fixture.error(path), (403, "SCOPE_MISMATCH".to_owned()), "{path}");
    }
    let trash = fixture.call("POST", "tickets/moveToTrash", &json!({"ticketIds": ["1"]}));
    assert_eq!(trash.status, 403);
}

#[test]
fn the_server_list_names_this_host_for_the_us() {
    let mut fixture = start(1);
    let list = fixture.client.send("GET", "/oauth/serverinfo", "").expect("an answer").json();
    assert_eq!(list["locations"]["us"], json!(fixture.simulator.url()));
}
