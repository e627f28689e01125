//! The journal under a process that dies or runs out of disk: what was answered is there afterwards.
//!
//! The journal runs in a child: this very binary, asked for the one test that appends when told to.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use host_runner::delivery::Delivery;
use host_runner::journal::{Journal, JournalLimits};

const FOLDER: &str = "JOURNAL_TEST_FOLDER";
const CONNECTIONS: [&str; 3] = ["a", "b", "c"];
/// Kills; each after another number of answers.
const ROUNDS: u64 = 30;

fn delivery(connection: &str, number: u64) -> Delivery {
    Delivery {
        received_at_ms: number,
        method: "POST".to_owned(),
        path_with_query: format!("/hooks/{connection}"),
        headers: vec![("n".to_owned(), number.to_string().into_bytes())],
        // Of all sizes, some larger than a page.
        body: format!("{connection} {number} {}", "x".repeat(number as usize * 997 % 20_000)).into_bytes(),
    }
}

/// Appends for ever to every connection, acknowledges now and then, and says so on standard output.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let path = Path::new(&folder).join("journal.db");
    let (journal, _) = Journal::open(path, JournalLimits::default()).expect("opened");
    let tasks = CONNECTIONS.map(|connection| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let mut failing = false;
            for number in 1.. {
                match journal.append(connection, delivery(connection, number)).await {
                    Ok(seq) => say(&format!("{connection} {seq} {number}")),
                    Err(error) if !failing => {
                        failing = true;
                        say(&format!("{connection} failed {error}"));
                    }
                    Err(_) => {}
                }
                if number % 20 == 0
                    && let Ok(stored) = journal.next(connection, 0, 15, usize::MAX)
                    && let Some(last) = stored.last()
                {
                    // Said before it is done: once it is under way, either outcome is right.
                    say(&format!("{connection} through {}", last.seq));
                    let (journal, seq) = (journal.clone(), last.seq);
                    let done = tokio::task::spawn_blocking(move || journal.acknowledge(connection, seq));
                    let _when_full = done.await.expect("no panic");
                }
            }
        })
    });
    for task in tasks {
        task.await.expect("no panic");
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "= {line}").and_then(|()| out.flush()).expect("said");
}

/// What a child said: `= connection word rest`.
struct Said {
    lines: Lines<BufReader<ChildStdout>>,
}

impl Said {
    fn next(&mut self) -> Option<Vec<String>> {
        loop {
            // A line that was cut off by the kill was not said.
            let line = self.lines.next()?.ok()?;
            if let Some((_, said)) = line.split_once("= ") {
                return Some(said.splitn(3, ' ').map(str::to_owned).collect());
            }
        }
    }
}

fn start(command: &mut Command, folder: &Path) -> (Child, Said) {
    let mut child =
        command.env(FOLDER, folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    (child, Said { lines })
}

fn this() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "child", "--nocapture"]);
    command
}

#[test]
fn what_was_answered_survives_a_kill_at_any_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut known: HashMap<(String, u64), u64> = HashMap::new();
    let mut through: HashMap<String, u64> = HashMap::new();
    for round in 0..ROUNDS {
        let (mut child, mut said) = start(&mut this(), folder.path());
        // Any spread will do; this one needs no randomness to be repeated.
        let kill_after = (round * round * 31) % 500;
        let mut heard = 0;
        let mut killed = false;
        loop {
            if heard >= kill_after && !killed {
                child.kill().expect("killed");
                killed = true;
            }
            let Some(words) = said.next() else { break };
            heard += 1;
            let [connection, word, rest] = words.as_slice() else { continue };
            if word == "through" {
                through.insert(connection.clone(), rest.parse().expect("a seq"));
            } else if let (Ok(seq), Ok(number)) = (word.parse(), rest.parse()) {
                let again = known.insert((connection.clone(), seq), number);
                assert_eq!(again, None, "round {round}: seq {seq} was used twice");
            }
        }
        child.wait().expect("ended");
        verify(folder.path(), &known, &through, round);
    }
    assert!(known.len() > 1_000, "only {} deliveries were answered", known.len());
}

fn verify(folder: &Path, known: &HashMap<(String, u64), u64>, through: &HashMap<String, u64>, round: u64) {
    let path = folder.join("journal.db");
    let (journal, found) = Journal::open(path, JournalLimits::default()).expect("opened");
    assert!(!found.is_damaged(), "round {round}: {found}");
    for connection in CONNECTIONS {
        let stored = journal.next(connection, 0, usize::MAX, usize::MAX).expect("read");
        let there: HashMap<u64, &Delivery> =
            stored.iter().map(|stored| (stored.seq, &stored.delivery)).collect();
        assert!(stored.is_sorted_by_key(|stored| stored.seq));
        let through = through.get(connection).copied().unwrap_or(0);
        for ((_, seq), number) in known.iter().filter(|((name, _), _)| name == connection) {
            if *seq > through {
                let found =
                    there.get(seq).unwrap_or_else(|| panic!("round {round}: {connection} {seq} is lost"));
                assert_eq!(**found, delivery(connection, *number), "round {round}: {connection} {seq}");
            }
        }
    }
}

#[test]
fn a_disk_that_fills_up_is_an_answer_and_it_goes_on_when_there_is_space() {
    let folder = tempfile::tempdir().expect("a folder");
    // No file of the child may grow beyond 3 MiB, which for a program looks like a full disk.
    let mut limited = Command::new("sh");
    let this = std::env::current_exe().expect("this binary");
    limited.args(["-c", "trap '' XFSZ; ulimit -S -f 6144; exec \"$0\" --exact child --nocapture"]).arg(this);
    let (mut child, mut said) = start(&mut limited, folder.path());
    let mut known: HashMap<(String, u64), u64> = HashMap::new();
    let mut failed = false;
    let mut after = 0;
    while after < 100 {
        let words = said.next().expect("the process ended on a full disk");
        let [connection, word, rest] = words.as_slice() else { continue };
        if word == "failed" && !failed {
            failed = true;
            let id = child.id().to_string();
            let raised = Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited"]).status();
            assert!(raised.expect("prlimit").success());
        } else if let (Ok(seq), Ok(number)) = (word.parse(), rest.parse()) {
            known.insert((connection.clone(), seq), number);
            after += u32::from(failed);
        }
    }
    child.kill().expect("killed");
    while let Some(words) = said.next() {
        if let [connection, word, rest] = words.as_slice()
            && let (Ok(seq), Ok(number)) = (word.parse(), rest.parse())
        {
            known.insert((connection.clone(), seq), number);
        }
    }
    child.wait().expect("ended");
    let path = folder.path().join("journal.db");
    let (journal, found) = Journal::open(path, JournalLimits::default()).expect("opened");
    assert!(!found.is_damaged(), "{found}");
    for connection in CONNECTIONS {
        let stored = journal.next(connection, 0, usize::MAX, usize::MAX).expect("read");
        let first = stored.first().map_or(u64::MAX, |stored| stored.seq);
        for ((_, seq), number) in known.iter().filter(|((name, _), _)| name == connection) {
            let found = stored.iter().find(|stored| stored.seq == *seq);
            // Those before the first were acknowledged.
            assert!(found.is_some() || *seq < first, "{connection} {seq} is lost");
            if let Some(found) = found {
                assert_eq!(found.delivery, delivery(connection, *number));
            }
        }
    }
}
