//! Access tokens end, are refused and are scarce: few are asked for, and the session outlives its process.

use std::collections::BTreeMap;
use std::time::Duration;

use desk_simulator::{Options, Settings};

use crate::compare::{check_sqlite, truths};
use crate::support::{Setup, sizes, wait_until};

/// Tokens that the simulator has issued.
fn issued(setup: &Setup) -> u64 {
    setup.simulator.stats()["tokensIssued"].as_u64().expect("tokensIssued")
}

/// Answers 401 that the simulator gave.
fn refused(setup: &Setup) -> u64 {
    setup.simulator.stats()["requests"]["(auth)"]["401"].as_u64().unwrap_or(0)
}

#[test]
fn one_token_serves_many_processes() {
    let setup = Setup::authorized(100);
    for words in [["sync"].as_slice(), &["check"], &["count"], &["discover"], &["sync", "--full-refresh"]] {
        setup.host(words).exits(0);
    }
    assert_eq!(issued(&setup), 1, "the session survives the end of its process");
}

#[test]
fn a_token_near_its_end_is_renewed_before_it_is_refused() {
    // Tokens are renewed two minutes before their end: these after two seconds, while the read takes four.
    let settings = Settings { token_life_seconds: 122, latency_ms: 10, ..Settings::default() };
    let options = Options { sizes: sizes(800), settings, ..Options::default() };
    let setup = Setup::with(options, |file| {
        file.set("sandbox.max_concurrent_requests", 2).set("batch.max_rows", 100)
    });
    setup.authorize();
    setup.sync();
    let tokens = issued(&setup);
    assert!((2..=6).contains(&tokens), "{tokens} tokens");
    assert_eq!(refused(&setup), 0, "renewed early, not on a refusal");
}

#[test]
fn tokens_that_end_during_the_read_are_renewed_once_for_all_requests_under_way() {
    let settings = Settings { latency_ms: 2, ..Settings::default() };
    let options = Options { sizes: sizes(1_200), settings, ..Options::default() };
    let setup = Setup::with(options, |file| file.set("batch.max_rows", 100));
    setup.authorize();
    let mut running = setup.start(&["sync"]);
    for expiry in 1..=3 {
        let goal = expiry * 300;
        wait_until("requests", || setup.requests_to("GET /tickets/{id}") >= goal || running.has_ended());
        setup.simulator.expire_tokens();
    }
    setup.remember(running.wait()).exits(0);
    let tokens = issued(&setup);
    assert!((2..=4).contains(&tokens), "{tokens} tokens for three expiries: one refresh each");
    assert!(refused(&setup) > 0, "no token was refused: the test proves nothing");
    check_sqlite(&setup, &truths(&setup.simulator, true), &BTreeMap::new());
}

#[test]
fn a_session_that_lay_for_days_is_renewed_with_one_request() {
    let setup = Setup::authorized(60);
    setup.sync();
    setup.simulator.advance(Duration::from_secs(3 * 86_400));
    setup.simulator.expire_tokens();
    setup.sync();
    assert_eq!(issued(&setup), 2);
    check_sqlite(&setup, &truths(&setup.simulator, true), &BTreeMap::new());
}

#[test]
fn a_renewed_token_is_kept_even_when_the_command_fails() {
    let setup = Setup::authorized_with(60, |file| file.set("retry.max_attempts", 1));
    setup.simulator.expire_tokens();
    setup.simulator.set(|settings| settings.daily_credits = Some(20));
    setup.host(&["sync"]).exits(7);
    assert_eq!(issued(&setup), 2);
    setup.simulator.set(|settings| settings.daily_credits = None);
    setup.sync();
    assert_eq!(issued(&setup), 2, "the token of the failed run is used again");
}

#[test]
fn the_command_that_renews_says_how_long_the_token_lasts() {
    let setup = Setup::authorized(5);
    let run = setup.host(&["invoke", "refresh-token", "--json"]).exits(0);
    assert!(run.stdout.contains("valid_until_ms"), "{run}");
    assert_eq!(issued(&setup), 2);
}
