//! Wrong clocks: the source's is slow, fast, or jumps. The target equals the truth.

use serde_json::json;

use crate::support::Setup;
use crate::world::{HOUR_MS, TABLES, options, shows_the_changes, within, world};

/// Changes some tickets, creates and deletes others, then reads.
fn change_and_read(setup: &Setup, round: u32) {
    for (change, count) in [("update", 10), ("moveToTrash", 3), ("create", 4)] {
        let bulk =
            json!({"op": "bulk", "table": "tickets", "change": change, "from": round * 12, "count": count});
        setup.simulator.mutate(bulk).expect("changes");
    }
    within(setup, &["sync"], 400).exits(0);
    shows_the_changes(setup, "tickets");
}

#[test]
fn a_source_whose_clock_is_an_hour_slow_is_followed() {
    let setup = world(options(60), &TABLES);
    setup.simulator.set_clock_offset_ms(-(HOUR_MS as i64));
    setup.sync();
    change_and_read(&setup, 1);
    change_and_read(&setup, 2);
}

#[test]
fn a_source_whose_clock_is_an_hour_fast_is_followed() {
    let mut options = options(60);
    options.settings.token_life_seconds = 1_000_000;
    let setup = world(options, &TABLES);
    setup.simulator.set_clock_offset_ms(HOUR_MS as i64);
    setup.sync();
    change_and_read(&setup, 1);
    change_and_read(&setup, 2);
}

#[test]
fn a_source_whose_clock_jumps_forward_is_followed() {
    let mut options = options(60);
    options.settings.token_life_seconds = 1_000_000;
    let setup = world(options, &TABLES);
    setup.sync();
    setup.simulator.set_clock_offset_ms(6 * HOUR_MS as i64);
    change_and_read(&setup, 1);
}

#[test]
fn a_source_whose_clock_was_fast_and_is_set_back_a_little_is_followed() {
    let setup = world(options(60), &TABLES);
    setup.simulator.set_clock_offset_ms(120_000);
    setup.sync();
    change_and_read(&setup, 1);
    setup.simulator.set_clock_offset_ms(0);
    change_and_read(&setup, 2);
}
