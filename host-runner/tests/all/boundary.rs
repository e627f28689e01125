//! Limits on what a component hands over, each crossed by a component that misbehaves: a clear error, the
//! other table is read, and the process ends by itself. The limits are in `docs/SECURITY.md`.

use crate::serve::{Server, event, eventually, later, until_read};
use crate::support::Place;

/// Why a component's value is refused.
fn over(call: &str, what: &str, size: &str, max: &str) -> String {
    format!("{call}: {what}: {size}, and at most {max} are accepted")
}

fn crossing(limit: &str) -> Place {
    Place::new(&format!("rows = 3\ncrosses = \"{limit}\"\n[retry]\nmax_attempts = 1"))
}

#[test]
fn a_batch_beyond_a_limit_is_refused_and_the_other_table_is_read() {
    let crossed = [
        ("changes", over("read", "changes of a batch", "10001", "10000")),
        ("listings", over("read", "listings of a batch", "10001", "10000")),
        ("listed-keys", over("read", "keys of the listings of a batch", "20001", "20000")),
        ("parent", over("read", "parent of a listing", "17KiB", "16KiB")),
        ("cursor", over("read", "cursor", "4097KiB", "4MiB")),
        ("key", over("read", "key of a row", "17KiB", "16KiB")),
        ("change-id", over("read", "id of a change", "3KiB", "2KiB")),
        (
            "change-table",
            "read: table ` 2026-11-23T12:00:00Z  INFO at work connection=bank[2J`: a name has".into(),
        ),
    ];
    for (limit, error) in crossed {
        let place = crossing(limit);
        let ran = place.expect(&["sync"], 11);
        assert!(ran.stderr.contains(&format!("error: table `things`: {error}")), "{limit}: {ran:#?}");
        assert_eq!(place.query("SELECT count(*) || '' FROM pairs"), "3", "{limit}");
        assert_eq!(place.query("SELECT count(*) || '' FROM things"), "0", "{limit}");
    }
}

#[test]
fn tables_beyond_a_limit_are_refused() {
    let crossed = [
        ("tables", over("discover", "tables", "1001", "1000")),
        ("table-name", over("discover", "table name", "129B", "128B")),
        (
            "table-path",
            "discover: table `../outside`: a name has letters, digits, `_`, `.` and `-` only".into(),
        ),
        ("schema", over("discover", "schema", "1025KiB", "1MiB")),
        ("path-parts", over("discover", "parts of an x-path", "100000", "16")),
        ("key-members", over("discover", "members of a primary key", "17", "16")),
        ("key-name", over("discover", "name of a member of a primary key", "129B", "128B")),
    ];
    for (limit, error) in crossed {
        let ran = crossing(limit).expect(&["sync"], 11);
        assert!(ran.stderr.contains(&error), "{limit}: {ran:#?}");
    }
}

#[test]
fn sessions_subscriptions_answers_and_check_items_beyond_a_limit_are_refused() {
    let public = ["webhook", "subscribe", "--public-url", "https://a.example"];
    let crossed: [(&str, &[&str], String); 4] = [
        ("session", &["check"], over("check", "session", "136KiB", "64KiB")),
        ("subscription", &public, over("subscribe", "subscription", "257KiB", "256KiB")),
        ("answer", &["invoke", "echo", "1"], over("command", "answer", "8193KiB", "8MiB")),
        ("check-items", &["check"], over("check", "check items", "102", "100")),
    ];
    for (limit, command, error) in crossed {
        let ran = crossing(limit).expect(command, 11);
        assert!(ran.stderr.contains(&error), "{limit}: {ran:#?}");
    }
}

#[test]
fn a_session_beyond_its_limit_costs_no_answer() {
    let place = crossing("session");
    let ran = place.expect(&["sync"], 0);
    assert_eq!(place.query("SELECT count(*) || '' FROM things"), "3");
    let errors = ran.stderr.matches("session: 136KiB, and at most 64KiB are accepted").count();
    assert_eq!(errors, 1, "one for all calls: {ran:#?}");
    let server = Server::start(&place);
    server.deliver(&place, &event("things", "9", "create", later()));
    eventually("the delivery", || server.metric("deliveries_applied_total") == Some(1.0));
    assert_ne!(server.metric("dead_letters{"), Some(1.0));
    server.stop();
}

#[test]
fn what_people_read_is_one_short_line_and_forges_none() {
    let ran = crossing("message").expect(&["sync"], 9);
    let forged = |line: &str| line.starts_with("2026-11-23") || line.contains('\u{1b}');
    assert!(!ran.stderr.lines().any(forged), "{ran:#?}");
    assert!(ran.stderr.len() < 20_000, "{} bytes", ran.stderr.len());
    let place = crossing("attributes");
    let ran = place.expect(&["sync"], 0);
    assert!(!ran.stderr.lines().any(forged), "{ran:#?}");
    assert!(ran.stderr.lines().count() < 60, "{} lines", ran.stderr.lines().count());
    let shown = crossing("message").run(&["check"]);
    assert!(!shown.stdout.lines().chain(shown.stderr.lines()).any(forged), "{shown:#?}");
}

#[test]
fn a_source_that_warns_without_end_fills_no_log() {
    let place = Place::new("rows = 300\npage = 1\ncrosses = \"warnings\"");
    let server = Server::start(&place);
    until_read(&server);
    let warnings = server.log().lines().filter(|line| line.contains("the source warns")).count();
    assert!((1..=64).contains(&warnings), "{warnings} lines for 300 batches with 32 each");
    server.stop();
}

#[test]
fn what_is_counted_by_a_component_makes_no_counter_fall() {
    let place = Place::new("rows = 90\ncrosses = \"credits\"");
    let server = Server::start(&place);
    until_read(&server);
    assert_eq!(server.metric("source_credits_used_total{"), Some(u64::MAX as f64));
    server.stop();
}

#[test]
fn host_memory_behind_handles_is_bounded() {
    let crossed = [
        ("methods", 9, "the host refused a method of 4 MiB"),
        ("authorities", 9, "the host refused an authority of 4 MiB"),
        ("fields", 11, "read: kept more than 256MiB behind its handles; stopped"),
        ("clones", 11, "read: kept more than 256MiB behind its handles; stopped"),
        // A body is counted as well, and needs two handles.
        ("responses", 11, "read: wanted more than 10000 handles; stopped"),
    ];
    for (limit, code, error) in crossed {
        let place = crossing(limit);
        let ran = place.expect(&["sync"], code);
        assert!(ran.stderr.contains(error), "{limit}: {ran:#?}");
        assert_eq!(place.query("SELECT count(*) || '' FROM pairs"), "3", "{limit}");
    }
}

#[test]
fn what_a_component_drops_does_not_count() {
    let place = crossing("dropped");
    place.expect(&["sync"], 0);
    assert_eq!(place.query("SELECT count(*) || '' FROM things"), "3");
}

#[test]
fn a_wait_without_end_ends_no_server() {
    let place = crossing("wait");
    let server = Server::start(&place);
    until_read(&server);
    server.deliver(&place, &event("things", "9", "create", later()));
    eventually("the delivery", || server.metric("deliveries_applied_total") == Some(1.0));
    server.stop();
}

#[test]
fn deliveries_beyond_a_limit_become_dead_letters_with_a_short_reason() {
    for (limit, kind) in [("message", "data"), ("receipt-changes", "data")] {
        let place = crossing(limit);
        let server = Server::start(&place);
        server.deliver(&place, &event("things", "9", "create", later()));
        eventually("a dead letter", || server.metric("dead_letters{") == Some(1.0));
        let dead = place.json(&["dead-letters", "list"], 0)["dead_letters"].clone();
        assert_eq!(dead[0]["kind"], kind, "{dead}");
        assert!(dead.to_string().len() < 8_000, "{limit}: {} bytes", dead.to_string().len());
        server.stop();
    }
    let place = crossing("receipt-attributes");
    let server = Server::start(&place);
    server.deliver(&place, &event("things", "9", "create", later()));
    eventually("the delivery", || server.metric("deliveries_applied_total") == Some(1.0));
    let metrics = server.request("GET", "/-/metrics", "").1;
    let ignored = metrics.lines().filter(|line| line.contains("events_ignored_total{")).count();
    assert!(ignored <= 1_000, "{ignored}");
    server.stop();
}
