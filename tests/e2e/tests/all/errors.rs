//! Every failure a person meets: the thing, the failure, a hint, and a separate exit code.
//!
//! `UPDATE_EXPECT=1` rewrites the expected texts.

use std::time::Duration;

use desk_simulator::{Edition, GRANT_CODE, Options, Settings};
use expect_test::{Expect, expect};

use crate::compare::Database;
use crate::support::{ConnectionFile, Setup, sizes, wait_until};

/// A small portal.
fn small() -> Options {
    Options { sizes: sizes(5), ..Options::default() }
}

/// The runner's messages, without the parts that differ between runs.
fn normal(setup: &Setup, text: &str) -> String {
    let url = setup.simulator.url();
    let own = url.trim_start_matches("http://");
    let mut text = text.replace(own, "127.0.0.1:N").replace(&setup.folder().display().to_string(), "DIR");
    if let (Some(start), Some(end)) = (text.find("core ("), text.find("; or all")) {
        text.replace_range(start..end, "EVERY GROUP WITH ITS TABLES");
    }
    for before in ["127.0.0.1:", "max_wait = \"", "in use by process "] {
        text = without_numbers(&text, before);
    }
    let is_log = |line: &&str| line.starts_with("20") && line.contains("Z  WARN ");
    text.lines().filter(|line| !is_log(line)).map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The text with `N` for every number that follows `before`.
fn without_numbers(text: &str, before: &str) -> String {
    let mut parts = text.split(before);
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        clean.push_str(before);
        clean.push_str(if rest.len() < part.len() { "N" } else { "" });
        clean.push_str(rest);
    }
    clean
}

/// Runs a command that must fail with this code and these words on stderr.
#[track_caller]
fn check(setup: &Setup, words: &[&str], code: i32, expected: Expect) {
    let run = setup.host(words).exits(code);
    let said = normal(setup, &run.stderr);
    expected.assert_eq(&said);
    assert!(said.contains("error: ") && said.contains("hint: "), "no error or no hint: {said}");
}

/// A `sync` that must fail with this code and begin with these words; a hint is required, its text is not
/// compared.
#[track_caller]
fn check_words(setup: &Setup, code: i32, words: &str) {
    let run = setup.host(&["sync"]).exits(code);
    let said = normal(setup, &run.stderr);
    assert!(said.starts_with(words), "{said}");
    assert!(said.contains("\n\nhint: "), "no hint: {said}");
    assert_eq!(said.lines().count(), 3, "an error is one line and a hint: {said}");
}

/// The accounts server rejects the client of `authorize`.
#[track_caller]
fn client_is_unknown(setup: &Setup) {
    check(
        setup,
        &["authorize", "--code", GRANT_CODE],
        4,
        expect![[r#"
        error: `client_id` is not known, says data center `us` (http://127.0.0.1:N) (invalid_client)

        hint: the usual cause is the wrong `data_center`: use the one whose address you see in the browser when you open Zoho Desk (desk.zoho.eu is `eu`); otherwise copy the Client ID again from that data center's API console
    "#]],
    );
}

/// The accounts server rejects the code of `authorize`.
#[track_caller]
fn code_is_refused(setup: &Setup) {
    check(
        setup,
        &["authorize", "--code", GRANT_CODE],
        4,
        expect![[r#"
        error: the generated code has expired, was used before, or is of another data center, says data center `us` (http://127.0.0.1:N) (invalid_code)

        hint: a code works once and only for the minutes chosen when it was generated: generate a new one and run `authorize --code CODE` at once; if it is new, check `data_center`
    "#]],
    );
}

/// The scopes of the connector but one.
fn scopes_without(scope: &str) -> Vec<String> {
    let all = ["Desk.basic.READ", "Desk.settings.READ", "Desk.search.READ", "Desk.tickets.READ"];
    all.iter().filter(|known| **known != scope).map(|known| (*known).to_owned()).collect()
}

/// Tables that were read to their end.
fn tables_read(setup: &Setup) -> Vec<String> {
    let database = Database::open(&setup.path("out.db"));
    database.texts("SELECT \"table\" FROM _sync_state WHERE complete ORDER BY \"table\"")
}

/// An address without a listener.
fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn a_wrong_client_id_is_named_with_the_data_center() {
    let setup = Setup::with(small(), |file| file.config_text("client_id", "1000.NOBODY"));
    client_is_unknown(&setup);
}

#[test]
fn a_wrong_client_secret_and_a_wrong_id_have_different_errors() {
    let setup = Setup::with(small(), |file| file.config_text("client_secret", "not-the-secret"));
    check(
        &setup,
        &["authorize", "--code", GRANT_CODE],
        4,
        expect![[r#"
        error: `client_secret` is wrong for this client, says data center `us` (http://127.0.0.1:N) (invalid_client_secret)

        hint: copy the Client Secret again from the API console; a client used in several data centers has one for each
    "#]],
    );
}

#[test]
fn an_expired_code_asks_for_a_new_one() {
    let setup = Setup::new(Options { grant_code_life_ms: Some(60_000), ..small() });
    setup.simulator.advance(Duration::from_secs(61));
    code_is_refused(&setup);
}

#[test]
fn a_used_code_asks_for_a_new_one() {
    let setup = Setup::authorized(5);
    code_is_refused(&setup);
    // The session that the code gave before still works.
    setup.sync();
}

#[test]
fn the_wrong_data_center_is_said_to_be_the_usual_cause() {
    let setup = Setup::new(small());
    setup.simulator.set(|settings| settings.wrong_data_center = true);
    client_is_unknown(&setup);
}

#[test]
fn a_connection_that_is_not_authorized_says_how() {
    let setup = Setup::new(small());
    check(
        &setup,
        &["sync"],
        4,
        expect![[r#"
            error: not authorized yet: there is no refresh token

            hint: generate a code at the Zoho API console and run `authorize --code CODE`
        "#]],
    );
}

#[test]
fn a_revoked_refresh_token_asks_to_authorize_again() {
    let setup = Setup::authorized(5);
    setup.simulator.revoke_tokens();
    check(
        &setup,
        &["sync"],
        4,
        expect![[r#"
            error: the refresh token was revoked, removed or belongs to another data center, says data center `us` (http://127.0.0.1:N) (invalid_code)

            hint: generate a new code at the API console and run `authorize --code CODE`
        "#]],
    );
}

#[test]
fn a_scope_that_is_missing_stops_its_table_only() {
    let setup = Setup::new(Options { scopes: Some(scopes_without("Desk.tickets.READ")), ..small() });
    setup.authorize();
    check(
        &setup,
        &["sync"],
        5,
        expect![[r#"
        error: table `tickets`: GET /api/v1/tickets: HTTP 403: The OAuth Token does not have the scope that this operation needs. (SCOPE_MISMATCH)

        hint: the grant lacks a scope; this table needs Desk.tickets.READ and Desk.search.READ and Desk.settings.READ: generate a new code with the scope list that `spec` prints and run `authorize` again
    "#]],
    );
    assert_eq!(tables_read(&setup), ["contracts", "departments", "organization_fields", "products"]);
}

#[test]
fn scopes_that_are_missing_in_check_name_their_tables() {
    let setup = Setup::new(Options { scopes: Some(scopes_without("Desk.tickets.READ")), ..small() });
    setup.authorize();
    let run = setup.host(&["check"]).exits(5);
    expect![[r#"
        ok      desk host      http://127.0.0.1:N answers
        ok      accounts host  http://127.0.0.1:N answers
        ok      token          accepted
        ok      organization   60001280952 (Simulated "Desk" & Sons), edition enterprise: up to 18 calls at once
        ok      4 tables       readable
                               departments, organization_fields, products,
                               contracts
        FAILED  table tickets  GET /api/v1/tickets: HTTP 403: The OAuth Token does not have the scope that this operation needs. (SCOPE_MISMATCH)
                               hint: generate a new code with Desk.tickets.READ and Desk.search.READ and Desk.settings.READ among its scopes
        ok      webhooks       can be listed
    "#]].assert_eq(&normal(&setup, &run.stdout));
}

#[test]
fn a_wrong_organization_is_a_matter_of_configuration() {
    let setup = Setup::with(small(), |file| file.config_text("organization_id", "600000000"));
    setup.authorize();
    check(
        &setup,
        &["sync"],
        3,
        expect![[r#"
            error: `organization_id` 600000000: the grant is not valid for this organization (OAUTH_ORG_MISMATCH)

            hint: the grant belongs to another organization: correct `organization_id`, or generate the code with the right portal selected
        "#]],
    );
}

#[test]
fn an_unreachable_host_is_named() {
    let closed = closed_port();
    let setup = Setup::with(small(), |file| {
        let file = file.config_text("desk_url", &format!("http://{closed}"));
        file.allow(&closed).set("retry.max_attempts", 2)
    });
    setup.authorize();
    check(
        &setup,
        &["sync"],
        8,
        expect![[r#"
            error: http://127.0.0.1:N: cannot be reached: the connection was refused (attempt 2 of 2) (UNREACHABLE)

            hint: check `data_center`, `desk_url`, `accounts_url`, and the network of this machine
        "#]],
    );
}

#[test]
fn a_host_that_the_operator_did_not_allow_is_refused() {
    let setup = Setup::with(small(), ConnectionFile::deny_all);
    check(
        &setup,
        &["authorize", "--code", GRANT_CODE],
        11,
        expect![[r#"
        error: egress: 127.0.0.1:N: refused, http without TLS

        hint: to allow it, add under [egress] in the connection file: allow = ["127.0.0.1:N"]
    "#]],
    );
    assert_eq!(setup.requests(), 0, "nothing left the sandbox");
}

#[test]
fn a_throttled_token_endpoint_says_when_to_come_back() {
    let settings = Settings { token_throttle: 1, token_life_seconds: 60, ..Settings::default() };
    let setup = Setup::with(Options { settings, ..small() }, |file| file.set("retry.max_wait", "\"1m\""));
    setup.authorize();
    check(
        &setup,
        &["sync"],
        7,
        expect![[r#"
            error: too many tokens were requested, says data center `us` (http://127.0.0.1:N); the source asks to wait 2 min (Access Denied)

            hint: run it again in 2 min; or let it wait: max_wait = "Nm" under [retry] (now "1m")
        "#]],
    );
}

#[test]
fn used_up_credits_say_when_they_are_renewed() {
    let setup = Setup::with(small(), |file| file.config("credits_reserve", "0"));
    // Half a minute past noon by the simulator's clock: the day's credits come back at midnight.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    setup.simulator.advance(Duration::from_secs((36 * 3600 + 30 - now % 86_400) % 86_400));
    setup.authorize();
    setup.simulator.set(|settings| settings.daily_credits = Some(40));
    check(
        &setup,
        &["sync"],
        7,
        expect![[r#"
            error: table `organization_fields`: more rows are left; the source asks to wait 11 h 59 min

            hint: run it again in 11 h 59 min; or let it wait: max_wait = "Nh" under [retry] (now "5m")
            warning: table `organization_fields`: the batch ended early: GET /api/v1/organizationFields: HTTP 429: The maximum number of API calls that can be made per day has been exceeded. (THRESHOLD_EXCEEDED)
            error: table `products`: GET /api/v1/products: HTTP 429: The maximum number of API calls that can be made per day has been exceeded; the source asks to wait 11 h 59 min (THRESHOLD_EXCEEDED)

            hint: run it again in 11 h 59 min; or let it wait: max_wait = "Nh" under [retry] (now "5m")
            error: table `contracts`: GET /api/v1/contracts: HTTP 429: The maximum number of API calls that can be made per day has been exceeded; the source asks to wait 11 h 59 min (THRESHOLD_EXCEEDED)

            hint: run it again in 11 h 59 min; or let it wait: max_wait = "Nh" under [retry] (now "5m")
            error: table `tickets`: GET /api/v1/tickets: HTTP 429: The maximum number of API calls that can be made per day has been exceeded; the source asks to wait 11 h 59 min (THRESHOLD_EXCEEDED)

            hint: run it again in 11 h 59 min; or let it wait: max_wait = "Nh" under [retry] (now "5m")
        "#]],
    );
}

#[test]
fn an_edition_without_contracts_reads_the_others() {
    let setup = Setup::new(Options { edition: Edition::Standard, ..small() });
    setup.authorize();
    check(
        &setup,
        &["sync"],
        5,
        expect![[r#"
        error: table `contracts`: GET /api/v1/contracts: HTTP 403: The license of this organization does not allow this operation. (LICENSE_ACCESS_LIMITED)

        hint: the organization's edition lacks this: leave the table out of `tables`
    "#]],
    );
    assert_eq!(tables_read(&setup), ["departments", "organization_fields", "products", "tickets"]);
}

#[test]
fn a_missing_component_is_named() {
    let setup = Setup::new(small());
    check(
        &setup,
        &["inspect", "--component", "nowhere.wasm"],
        2,
        expect![[r#"
        error: component nowhere.wasm: No such file or directory (os error 2)

        hint: give the component's file with --component FILE
    "#]],
    );
}

#[test]
fn a_file_that_is_no_component_is_named() {
    let setup = Setup::new(small());
    setup.write("text.wasm", "this is not WebAssembly");
    std::fs::write(setup.path("core.wasm"), b"\0asm\x01\0\0\0").expect("a core module");
    check(
        &setup,
        &["inspect", "--component", "text.wasm"],
        2,
        expect![[r#"
        error: component text.wasm: not a WebAssembly file

        hint: give the component's file with --component FILE
    "#]],
    );
    check(
        &setup,
        &["inspect", "--component", "core.wasm"],
        11,
        expect![[r#"
        error: component core.wasm: not a usable component: failed to parse WebAssembly module: attempted to parse a wasm module with a component parser

        hint: a WebAssembly component that exports connector:source is needed
    "#]],
    );
}

#[test]
fn all_problems_of_a_configuration_come_at_once() {
    let setup = Setup::with(small(), |file| {
        let file =
            file.without("organization_id").config_text("data_center", "mars").config_text("sort", "random");
        file.config("tables", "[\"Tickets\", \"cats\"]")
            .config("color", "1")
            .config("ticket_detail", "\"yes\"")
    });
    check(
        &setup,
        &["sync"],
        3,
        expect![[r#"
            error: a.toml: configuration: 6 problems
              a.toml:8: `data_center` must be one of us, eu, in, au, jp, cn, ca, sa, sg, ae, uk
              a.toml: `organization_id` is missing: the number shown under Setup > Developer Space > API
              a.toml:11: `tables` `cats` must be a table or a group of tables: EVERY GROUP WITH ITS TABLES; or all
              a.toml:12: `ticket_detail` must be true or false, without quotes
              a.toml:10: `sort` must be one of oldest, newest
              a.toml:7: `color` is not a configuration key

            hint: `spec` lists every key with its meaning
        "#]],
    );
}

#[test]
fn a_second_process_on_a_connection_is_turned_away() {
    let settings = Settings { latency_ms: 20, ..Settings::default() };
    let setup = Setup::new(Options { settings, ..small() });
    setup.authorize();
    let mut first = setup.start(&["sync"]);
    let before = setup.requests();
    wait_until("the first process at work", || setup.requests() > before || first.has_ended());
    check(
        &setup,
        &["sync"],
        12,
        expect![[r#"
        error: connection `demo`: in use by process N

        hint: wait until it ends; two processes must not refresh one connection's tokens
    "#]],
    );
    setup.remember(first.wait()).exits(0);
}

#[test]
fn a_connection_file_that_is_missing_or_wrong_is_named_with_its_line() {
    let setup = Setup::new(small());
    setup.write("a.toml", "name = \"demo\"\n[confg]\nx = 1\n");
    check(
        &setup,
        &["sync"],
        3,
        expect![[r#"
        error: a.toml:2: confg: unknown key

        hint: did you mean `config`?
    "#]],
    );
    // The range is in the message.
    setup.reconfigure(|file| file.set("batch.max_rows", 0));
    let run = setup.host(&["sync"]).exits(3);
    let said = "error: a.toml:16: batch.max_rows: 0 is out of range, 1 to 1000000\n";
    assert_eq!(normal(&setup, &run.stderr), said);
    setup.reconfigure(|file| file.config_text("client_secret", "${E2E_NOT_SET}"));
    check_words(&setup, 3, "error: a.toml:");
    setup.reconfigure(|file| file.without("client_secret").config_text("client_secret_file", "nowhere.txt"));
    check_words(
        &setup,
        3,
        "error: a.toml: config.client_secret_file: nowhere.txt: No such file or directory",
    );
    std::fs::remove_file(setup.path("a.toml")).expect("the file");
    check(
        &setup,
        &["sync"],
        3,
        expect![[r#"
        error: connection file a.toml: No such file or directory (os error 2)

        hint: write one from the component's own schema: host-runner init -o FILE
    "#]],
    );
}

#[test]
fn a_connection_file_that_is_no_toml_is_named_with_its_line() {
    let setup = Setup::new(small());
    setup.write("a.toml", "name = \"demo\"\n[config\n");
    check_words(&setup, 3, "error: a.toml:2: not TOML: ");
}

#[test]
fn a_command_without_its_connection_file_says_so() {
    let setup = Setup::new(small());
    let run = setup.raw(&["sync"]).exits(2);
    expect![[r#"
        error: no connection file given

        hint: add -c FILE; `host-runner init -o FILE` writes one
    "#]]
    .assert_eq(&normal(&setup, &run.stderr));
}

#[test]
fn a_table_that_does_not_exist_is_answered_with_those_that_do() {
    let setup = Setup::authorized(5);
    check(
        &setup,
        &["sync", "--table", "cats"],
        6,
        expect![[r#"
            error: table `cats`: this connection has none of that name

            hint: tables: departments, organization_fields, products, contracts, tickets
        "#]],
    );
}

#[test]
fn a_target_that_is_no_database_is_named() {
    let setup = Setup::authorized(5);
    setup.write(
        "out.db",
        "this is a text and not a database, and long enough to have a header of one hundred bytes, really",
    );
    check_words(&setup, 12, "error: out.db: ");
}

#[test]
fn a_session_sealed_with_another_key_is_refused() {
    let setup = Setup::authorized(5);
    setup.write("other.key", &"07".repeat(32));
    check(
        &setup,
        &["sync", "--key-file", "other.key"],
        12,
        expect![[r#"
        error: connection `demo`: its session does not open with this key

        hint: use the key it was sealed with (HOST_RUNNER_KEY, --key-file or <data>/key), or authorize again after: state reset --session
    "#]],
    );
}

#[test]
fn a_data_folder_that_is_a_file_is_named() {
    let setup = Setup::new(small());
    setup.write("flat", "");
    let run = setup.raw(&["sync", "-c", "a.toml", "--data", "flat"]).exits(12);
    let said = normal(&setup, &run.stderr);
    assert!(said.contains("flat") && said.contains("\n\nhint: "), "{said}");
}
