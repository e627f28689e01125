//! One sink, several tasks: commits of polls and deliveries interleave in any order.

use super::case::{TABLE, change, on_every_sink, position};
use crate::sinks::{Commit, Progress, SinkHandle, open};

/// Commits of each task.
const COMMITS: u64 = 20;

#[test]
fn polls_and_deliveries_that_interleave_end_in_the_newest_state() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    on_every_sink(|case| {
        let handle = SinkHandle::new(case.take());
        // Both tasks write the same keys; the deliveries have the later times.
        let polls = {
            let handle = handle.clone();
            async move {
                for n in 0..COMMITS {
                    let read = handle.run(move |sink| {
                        let changes = [change("a", Some(0), n), change("b", Some(1), 2 * n)];
                        let cursor = n.to_string();
                        let progress = Progress::Table { name: TABLE, cursor: &cursor, generation: None };
                        sink.commit(&Commit { changes: &changes, progress, as_of_ms: 0, epoch: 0 })
                    });
                    assert_eq!(read.await.expect("committed").read, 2);
                }
            }
        };
        let deliveries = {
            let handle = handle.clone();
            async move {
                for n in 0..COMMITS {
                    let received = handle.run(move |sink| {
                        let changes = [change("a", Some(2), 100 + n), change("b", None, 2 * n + 1)];
                        let position = position(n);
                        let progress = Progress::Journal(&position);
                        sink.commit(&Commit { changes: &changes, progress, as_of_ms: 0, epoch: 0 })
                    });
                    assert_eq!(received.await.expect("committed").read, 2);
                }
            }
        };
        runtime.block_on(async {
            let (polls, deliveries) = tokio::join!(tokio::spawn(polls), tokio::spawn(deliveries));
            polls.expect("polls");
            deliveries.expect("deliveries");
        });
        drop(handle);
        let sink = open(&case.settings).expect("opened again");
        let cursor = sink.table_state(TABLE).expect("a state").expect("a state").cursor;
        let applied = sink.journal_state().expect("a state").expect("a state").position.through;
        assert_eq!((cursor, applied), (Some("19".to_owned()), COMMITS - 1));
        case.expect("a=2 b-");
    });
}

#[test]
fn a_call_that_panics_is_an_error_and_the_sink_still_works() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    on_every_sink(|case| {
        let handle = SinkHandle::new(case.take());
        runtime.block_on(async {
            let failed = handle.run(|_| -> crate::error::Result<()> { panic!("a defect") }).await;
            assert!(failed.is_err_and(|error| error.message.starts_with("stopped: ")));
            let states = handle.run(|sink| sink.table_states()).await;
            assert_eq!(states.expect("states"), []);
        });
    });
}
