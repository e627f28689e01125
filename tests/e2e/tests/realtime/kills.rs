//! No delivery that was answered 200 is lost by a kill: polling does not run, so nothing else could bring it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use desk_simulator::Options;
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::rows::eventually;
use crate::support::http::{Client, split};
use crate::support::rng::{Rng, seeds};
use crate::support::sizes;

/// Senders at the same time.
const SENDERS: u64 = 4;
/// Kills of one seed.
const KILLS: u64 = 5;

/// A delivery that creates a ticket of this id, which the source does not have.
fn creation(template: &Value, organization: &str, id: u64) -> String {
    let mut payload = template.clone();
    payload["id"] = Value::from(id.to_string());
    let event = json!({"eventType": "Ticket_Add", "payload": payload, "orgId": organization,
        "eventTime": "1795500000000"});
    json!([event]).to_string()
}

/// Posts one delivery after the other until stopped; keeps the ids of those answered 200.
fn post_all(url: &str, first: u64, body: impl Fn(u64) -> String, stop: &AtomicBool, kept: &Mutex<Vec<u64>>) {
    let (_, path) = split(url);
    let mut client = None;
    for id in first.. {
        let connected = loop {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            // Between a kill and the next start there is no listener.
            match client.take().map_or_else(|| Client::try_connect(url), Ok) {
                Ok(connected) => break client.insert(connected),
                Err(_) => std::thread::park_timeout(Duration::from_millis(2)),
            }
        };
        match connected.send("POST", path, &[], body(id).as_bytes()) {
            Ok(answer) if answer.status == 200 => {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(id)
            }
            Ok(answer) => panic!("{}: {}", answer.status, answer.body),
            Err(_) => client = None,
        }
    }
}

#[test]
fn every_answered_delivery_is_in_the_sink_after_any_kill() {
    for seed in seeds(0..3) {
        let mut rng = Rng::new(seed);
        let options = Options { seed, sizes: sizes(10), ..Options::default() };
        let desk =
            Desk::with(options, |file| file.config_text("signature", "off").config_text("refetch", "never"));
        desk.setup.note(format!("E2E_SEED={seed} repeats these kills alone"));
        let mut serve = desk.serve();
        desk.until_read();
        let (port, url) = (serve.port(), desk.hook_url(&serve));
        let template = desk.record("tickets", &desk.live_ids("tickets")[0]);
        let organization = &desk.setup.simulator.options().organization_id;
        let (stop, kept) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let count = || kept.lock().unwrap_or_else(PoisonError::into_inner).len();
        serve = std::thread::scope(|scope| {
            for sender in 1..=SENDERS {
                let body = |id| creation(&template, organization, id);
                let (url, stop, kept) = (&url, &stop, &kept);
                scope.spawn(move || post_all(url, sender * 1_000_000_000, body, stop, kept));
            }
            for _ in 0..KILLS {
                let goal = count() + rng.within(1, 300) as usize;
                eventually("answers", || if count() >= goal { Ok(()) } else { Err(count().to_string()) });
                serve.kill();
                serve = desk.serve_on(port);
            }
            stop.store(true, Ordering::Relaxed);
            serve
        });
        desk.settle(&serve);
        let kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        let found = desk.rows.dump("SELECT id FROM tickets_live");
        let lost: Vec<_> = kept.iter().filter(|id| !found.contains(&format!("[Text(\"{id}\")]"))).collect();
        assert!(lost.is_empty(), "seed {seed}: {} of {} answered are lost: {lost:?}", lost.len(), kept.len());
        assert!(kept.len() as u64 > KILLS, "only {} answers", kept.len());
    }
}
