//! Tests of the policy: the whole table as printed text, its invariants, and the arithmetic of waiting.

use std::fmt::Write as _;
use std::time::Duration;

use super::{
    Backoff, Batch, Budget, CREDENTIALS, Decision, Disposition, Failure, LONG, LONG_MAX, SHORT, SHORT_MAX,
    Scope, backoff, decide, failure, growing_wait, policy,
};
use crate::error::{Error, Kind, Origin};
use crate::limits::Limits;

/// Every pair with its row. A change of any cell shows here.
const TABLE: &str = "\
usage         config       Manual      Connection Retry         Whole    AllAndScope   2
usage         auth         Manual      Connection Retry         Whole    AllAndScope   2
usage         permission   Manual      Connection Retry         Whole    AllAndScope   2
usage         not-found    Manual      Connection Retry         Whole    AllAndScope   2
usage         rate-limited Manual      Connection Retry         Whole    AllAndScope   2
usage         unavailable  Manual      Connection Retry         Whole    AllAndScope   2
usage         data         Manual      Connection Retry         Whole    AllAndScope   2
usage         unsupported  Manual      Connection Retry         Whole    AllAndScope   2
usage         internal     Manual      Connection Retry         Whole    AllAndScope   2
configuration config       Manual      Connection Retry         Whole    AllAndScope   3
configuration auth         Manual      Connection Retry         Whole    AllAndScope   3
configuration permission   Manual      Connection Retry         Whole    AllAndScope   3
configuration not-found    Manual      Connection Retry         Whole    AllAndScope   3
configuration rate-limited Manual      Connection Retry         Whole    AllAndScope   3
configuration unavailable  Manual      Connection Retry         Whole    AllAndScope   3
configuration data         Manual      Connection Retry         Whole    AllAndScope   3
configuration unsupported  Manual      Connection Retry         Whole    AllAndScope   3
configuration internal     Manual      Connection Retry         Whole    AllAndScope   3
component     config       Manual      Connection DeadLetter    Whole    All           3
component     auth         Credentials Connection Retry         Whole    All           4
component     permission   Long        Call       DeadLetter    Whole    OneOrRefusal  5
component     not-found    Long        Call       DeadLetter    Whole    One           6
component     rate-limited Short       Call       Retry         Whole    All           7
component     unavailable  Short       Call       RetryOrGiveUp Whole    OneOrOutage   8
component     data         Long        Call       DeadLetter    OneByOne One           9
component     unsupported  Long        Call       DeadLetter    Whole    One          10
component     internal     Defect      Call       Suspect       OneByOne One           1
sandbox       config       Defect      Call       Suspect       OneByOne One          11
sandbox       auth         Defect      Call       Suspect       OneByOne One          11
sandbox       permission   Long        Call       Retry         Whole    All          11
sandbox       not-found    Defect      Call       Suspect       OneByOne One          11
sandbox       rate-limited Short       Call       RetryOrGiveUp OneByOne OneOrOutage  11
sandbox       unavailable  Short       Call       RetryOrGiveUp OneByOne OneOrOutage  11
sandbox       data         Defect      Call       Suspect       OneByOne One          11
sandbox       unsupported  Defect      Call       Suspect       OneByOne One          11
sandbox       internal     Defect      Call       Suspect       OneByOne One          11
sink          config       Long        Connection Retry         Whole    AllAndScope  12
sink          auth         Defect      Connection Retry         Whole    AllAndScope  12
sink          permission   Defect      Connection Retry         Whole    AllAndScope  12
sink          not-found    Defect      Connection Retry         Whole    AllAndScope  12
sink          rate-limited Defect      Connection Retry         Whole    AllAndScope  12
sink          unavailable  Short       Call       Retry         Whole    AllAndScope  12
sink          data         Defect      Connection Retry         Whole    AllAndScope  12
sink          unsupported  Defect      Connection Retry         Whole    AllAndScope  12
sink          internal     Defect      Connection Retry         Whole    AllAndScope  12
state         config       Manual      Connection Retry         Whole    AllAndScope  12
state         auth         Defect      Connection Retry         Whole    AllAndScope  12
state         permission   Defect      Connection Retry         Whole    AllAndScope  12
state         not-found    Defect      Connection Retry         Whole    AllAndScope  12
state         rate-limited Defect      Connection Retry         Whole    AllAndScope  12
state         unavailable  Short       Call       Retry         OneByOne AllAndScope  12
state         data         Defect      Connection Retry         Whole    AllAndScope  12
state         unsupported  Defect      Connection Retry         Whole    AllAndScope  12
state         internal     Defect      Connection Retry         Whole    AllAndScope  12
host          config       Manual      Connection Retry         Whole    AllAndScope   3
host          auth         Defect      Connection Retry         Whole    AllAndScope   4
host          permission   Defect      Connection Retry         Whole    AllAndScope   5
host          not-found    Defect      Connection Retry         Whole    AllAndScope   6
host          rate-limited Defect      Connection Retry         Whole    AllAndScope   7
host          unavailable  Short       Call       Retry         Whole    AllAndScope   8
host          data         Defect      Connection Retry         Whole    AllAndScope   9
host          unsupported  Defect      Connection Retry         Whole    AllAndScope  10
host          internal     Defect      Connection Retry         Whole    AllAndScope   1
";

#[test]
fn a_failure_ends_by_a_person_by_itself_or_by_a_developer() {
    for (origin, kind, expected) in [
        (Origin::Usage, Kind::Config, Failure::Config),
        (Origin::Configuration, Kind::Unavailable, Failure::Config),
        (Origin::Component, Kind::Auth, Failure::Config),
        (Origin::Component, Kind::Permission, Failure::Config),
        (Origin::Host, Kind::NotFound, Failure::Config),
        (Origin::Component, Kind::RateLimited, Failure::Transient),
        (Origin::Sandbox, Kind::Unavailable, Failure::Transient),
        (Origin::Sink, Kind::Unavailable, Failure::Transient),
        (Origin::Component, Kind::Data, Failure::System),
        (Origin::Sandbox, Kind::Internal, Failure::System),
    ] {
        assert_eq!(failure(&Error::new(origin, kind, "x")), expected, "{origin} {kind}");
    }
}

fn pairs() -> impl Iterator<Item = (Origin, Kind)> {
    Origin::ALL.into_iter().flat_map(|origin| Kind::ALL.into_iter().map(move |kind| (origin, kind)))
}

fn error(kind: Kind) -> Error {
    Error::new(Origin::Component, kind, "it failed")
}

fn asking(ms: u64) -> Error {
    Error { retry_after_ms: Some(ms), ..error(Kind::RateLimited) }
}

fn limits(attempts: u32, wait_max_s: u64) -> Limits {
    let mut limits = Limits::default();
    limits.retry.max_attempts = attempts;
    limits.retry.max_wait = Duration::from_secs(wait_max_s);
    limits
}

fn run() -> Budget {
    Budget::run(&limits(8, 300))
}

fn wait(decision: Decision) -> Duration {
    match decision {
        Decision::Retry(wait) => wait,
        other => panic!("{other:?}"),
    }
}

fn given_up(decision: Decision) -> Error {
    match decision {
        Decision::GiveUp(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_table_is_as_printed_here() {
    let mut table = String::new();
    for (origin, kind) in pairs() {
        let row = policy(origin, kind);
        let (exit, pair) = (row.exit as u8, [origin.to_string(), kind.to_string()]);
        let cells = [
            format!("{:?}", row.backoff),
            format!("{:?}", row.scope),
            format!("{:?}", row.delivery),
            format!("{:?}", row.batch),
            format!("{:?}", row.files),
        ];
        let [backoff, scope, delivery, batch, files] = cells;
        let [origin, kind] = pair;
        let _infallible = writeln!(
            table,
            "{origin:<13} {kind:<12} {backoff:<11} {scope:<10} {delivery:<13} {batch:<8} {files:<12} \
             {exit:>2}"
        );
    }
    assert_eq!(table.trim(), TABLE.trim(), "the table is now:\n{table}");
}

#[test]
fn a_configuration_waits_for_a_person_and_stops_the_connection() {
    for (origin, kind) in pairs() {
        let row = policy(origin, kind);
        let is_manual = row.backoff == Backoff::Manual;
        let is_configuration =
            matches!(origin, Origin::Configuration | Origin::Usage) || kind == Kind::Config;
        let is_elsewhere = matches!(origin, Origin::Sandbox | Origin::Sink);
        assert_eq!(is_manual, is_configuration && !is_elsewhere, "{origin:?} {kind:?}");
        assert!(!is_manual || row.scope == Scope::Connection, "{origin:?} {kind:?}: nothing would retry it");
    }
    assert_eq!(backoff(&error(Kind::Config), 1, &run(), 0.0), None);
}

#[test]
fn a_server_that_refuses_the_sink_is_asked_again_within_a_quarter_of_an_hour() {
    let refused = Error::new(Origin::Sink, Kind::Config, "role \"desk\" is not permitted to log in");
    let budget = Budget::endless(&limits(8, 3600));
    let waits = [1, 2, 1_000].map(|attempt| backoff(&refused, attempt, &budget, 1.0));
    assert_eq!(waits, [Some(LONG), Some(LONG * 2), Some(LONG_MAX)]);
    assert_eq!(failure(&refused), Failure::Config);
    assert_eq!(decide(refused.clone(), 1, &run(), 0.5), Decision::Stop(refused));
}

#[test]
fn an_outage_never_makes_a_dead_letter_and_stops_nothing_else() {
    for origin in Origin::ALL.into_iter().filter(|origin| *origin != Origin::Sandbox) {
        let row = policy(origin, Kind::Unavailable);
        let kept = matches!(row.delivery, Disposition::Retry | Disposition::RetryOrGiveUp);
        assert!(kept, "{origin:?}");
        // The answer to one delivery may be given up alone; a call that failed as a whole never is.
        assert!(row.delivery == Disposition::Retry || row.batch == Batch::Whole, "{origin:?}");
        let is_file = matches!(origin, Origin::Usage | Origin::Configuration);
        assert_eq!(row.scope == Scope::Call, !is_file, "{origin:?}");
    }
}

#[test]
fn a_quota_is_the_fault_of_no_delivery() {
    let row = policy(Origin::Component, Kind::RateLimited);
    assert_eq!((row.delivery, row.batch, row.scope), (Disposition::Retry, Batch::Whole, Scope::Call));
}

#[test]
fn only_the_component_or_its_sandbox_can_make_a_dead_letter() {
    for (origin, kind) in pairs() {
        if !matches!(origin, Origin::Component | Origin::Sandbox) {
            assert_eq!(policy(origin, kind).delivery, Disposition::Retry, "{origin:?} {kind:?}");
        }
    }
    assert_eq!(policy(Origin::Sandbox, Kind::Permission).delivery, Disposition::Retry, "an egress refusal");
}

#[test]
fn files_and_credentials_stop_the_connection() {
    for error in [error(Kind::Auth), error(Kind::Config), Error::sink("full"), Error::state("lost")] {
        assert_eq!(decide(error.clone(), 1, &run(), 0.5), Decision::Stop(error));
    }
}

#[test]
fn a_run_retries_what_may_pass_and_gives_up_the_rest_at_once() {
    for kind in [Kind::Permission, Kind::NotFound, Kind::Data, Kind::Unsupported] {
        assert_eq!(given_up(decide(error(kind), 1, &run(), 0.5)), error(kind));
    }
    let refused = Error::sandbox(Kind::Permission, "egress");
    assert_eq!(given_up(decide(refused.clone(), 1, &run(), 0.5)), refused);
    for error in [error(Kind::Unavailable), error(Kind::RateLimited), Error::sandbox(Kind::Internal, "trap")]
    {
        wait(decide(error, 1, &run(), 0.5));
    }
}

#[test]
fn attempts_of_a_run_end_and_those_after_a_trap_sooner() {
    wait(decide(error(Kind::Unavailable), 7, &run(), 0.5));
    let last = given_up(decide(error(Kind::Unavailable), 8, &run(), 0.5));
    assert_eq!(last.message, "it failed (attempt 8 of 8)");
    let trap = || Error::sandbox(Kind::Internal, "trap");
    wait(decide(trap(), 2, &run(), 0.5));
    assert_eq!(given_up(decide(trap(), 3, &run(), 0.5)).message, "trap (attempt 3 of 3)");
}

#[test]
fn a_wait_that_the_source_asks_for_is_never_cut_short() {
    let budget = Budget::run(&limits(8, 60));
    for random in [0.0, 0.5, 1.0] {
        for asked_ms in [1, 10_000, 60_000] {
            let waits = wait(decide(asking(asked_ms), 1, &budget, random));
            assert!(waits >= Duration::from_millis(asked_ms), "{waits:?} of {asked_ms} ms");
        }
    }
    assert_eq!(wait(decide(asking(10_000), 1, &budget, 0.5)), Duration::from_secs(11));
    let hour = asking(3_600_000);
    let last = given_up(decide(hour.clone(), 1, &budget, 0.0));
    assert_eq!(
        (last.kind, last.message.as_str()),
        (Kind::RateLimited, "it failed; the source asks to wait 1 h")
    );
    assert!(last.hint.is_some_and(|hint| hint.contains("max_wait = \"1h\"")));
    // A server sits it out.
    let serve = Budget::table(&limits(8, 60));
    assert_eq!(wait(decide(hour, 1, &serve, 0.0)), Duration::from_secs(3600));
}

#[test]
fn the_short_backoff_doubles_up_to_its_longest_and_is_spread_over_half() {
    let at = |attempt, random| {
        backoff(&error(Kind::Unavailable), attempt, &Budget::endless(&Limits::default()), random)
    };
    assert_eq!(at(1, 1.0), Some(Duration::from_millis(500)));
    assert_eq!(at(1, 0.0), Some(Duration::from_millis(250)));
    assert_eq!(at(3, 1.0), Some(Duration::from_secs(2)));
    assert_eq!(at(1_000_000, 1.0), Some(SHORT_MAX));
    let quick = Budget::endless(&limits(8, 0));
    assert_eq!(backoff(&error(Kind::Unavailable), 9, &quick, 1.0), Some(SHORT), "it would spin");
}

#[test]
fn a_growing_wait_has_a_longest_and_two_random_numbers_give_two_waits() {
    let minute = Duration::from_secs(60);
    let at = |failures, random| growing_wait(minute, 4, failures, 100 * minute, random);
    assert_eq!([at(0, 1.0), at(1, 1.0), at(2, 1.0)], [minute, 4 * minute, 16 * minute]);
    assert_eq!((at(u32::MAX, 1.0), at(u32::MAX, 0.0)), (100 * minute, 50 * minute));
    assert_ne!(at(1, 0.3), at(1, 0.4));
}

#[test]
fn a_table_of_a_server_falls_to_the_long_backoff_when_its_attempts_are_used_up() {
    let budget = Budget::table(&limits(3, 3600));
    let at = |attempt| wait(decide(error(Kind::Unavailable), attempt, &budget, 1.0));
    let waits = [1, 2, 3, 4, 1_000_000].map(at);
    let millis = Duration::from_millis;
    assert_eq!(waits, [millis(500), millis(1000), LONG, LONG * 2, LONG_MAX]);
    let webhooks = Budget::endless(&limits(3, 3600));
    assert_eq!(wait(decide(error(Kind::Unavailable), 1_000_000, &webhooks, 1.0)), SHORT_MAX);
}

#[test]
fn max_wait_caps_what_the_source_did_not_ask_for_and_never_hammers_what_does_not_pass() {
    let at = |kind, attempt, wait_max_s| {
        backoff(&error(kind), attempt, &Budget::table(&limits(100, wait_max_s)), 1.0)
    };
    assert_eq!(at(Kind::Unavailable, 10, 7), Some(Duration::from_secs(7)));
    assert_eq!(at(Kind::Permission, 10, 120), Some(Duration::from_secs(120)));
    assert_eq!(at(Kind::Permission, 10, 0), Some(LONG));
    assert_eq!(at(Kind::Auth, 1, 0), Some(CREDENTIALS), "sources lock accounts");
}
