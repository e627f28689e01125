//! A server whose disk is full: commits wait, change nothing, and continue once there is space.
//!
//! The disk is a small one that root mounts; another user's run says that it leaves this out.

use std::path::Path;
use std::time::{Duration, Instant};

use postgres_server::Server;

use super::super::session::wait;
use super::{KIND, Postgres, TEST_URL, change, commit, reader, settings, table};
use crate::error::{Kind, Origin};
use crate::sinks::{Place, Sink, inspect};

/// A new cluster takes 40 MiB, its log of changes grows by 16.
const DISK_MIB: u32 = 96;
/// Longest wait for the server, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_servers_full_disk_makes_the_sink_wait_and_loses_nothing() {
    if std::env::var(TEST_URL).is_err() {
        return;
    }
    let Some(mut server) = Server::start_on_small_disk(DISK_MIB).expect("a server") else {
        eprintln!("left out: only root may mount a small disk");
        return;
    };
    let place = Place { url: Some(&server.url()), ..Place::default() };
    let location = KIND.locate(&place, Path::new(""), "acme").expect("a location");
    let settings = settings(location);
    let mut sink = Postgres::open(&settings).expect("opened");
    sink.prepare(&[table("{\"n\":{\"type\":\"integer\"}}")]).expect("prepared");
    // Compresses badly, so that a few hundred batches fill any disk.
    let text = |n: u64| (0..64).map(|part| format!("{:x}", part * 7_919 + n * 104_729)).collect::<String>();
    let rows = |n: u64| -> Vec<_> {
        (0..500)
            .map(|id| {
                change(&format!("{n}-{id}"), &format!("{{\"n\":{n},\"t\":\"{}\"}}", text(n * 500 + id)), n)
            })
            .collect()
    };
    let mut committed = 0;
    for (fills, batches) in [(false, 2), (true, 2_000), (false, 2)] {
        if fills {
            server.fill_disk().expect("filled");
        }
        let mut error = None;
        for n in committed + 1..=committed + batches {
            match commit(&mut sink, &rows(n), &n.to_string()) {
                Ok(_) => committed = n,
                Err(refusal) => {
                    error = Some(refusal);
                    break;
                }
            }
        }
        assert_eq!(error.is_some(), fills, "{error:?}");
        let Some(error) = error else { continue };
        assert_eq!((error.origin, error.kind), (Origin::Sink, Kind::Unavailable), "{error}");
        assert!(error.hint.is_some(), "{error}");
        server.free_disk().expect("freed");
        let started = Instant::now();
        loop {
            // A server that could not write its log of changes has ended.
            server.revive().expect("resumed");
            match commit(&mut sink, &rows(committed + 1), &(committed + 1).to_string()) {
                Ok(_) => break,
                Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        committed += 1;
    }
    let progress = inspect(&settings).expect("inspected").expect("a sink");
    assert_eq!(progress.tables[0].cursor, Some(committed.to_string()));
    let client = reader(&server.url());
    let counted = wait(async {
        let row = client.query_one("SELECT count(*) FROM acme.things_live", &[]).await?;
        Ok(row.get::<_, i64>(0))
    });
    assert_eq!(counted.expect("a count"), i64::try_from(committed * 500).expect("few"));
}
