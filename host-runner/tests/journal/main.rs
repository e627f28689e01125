//! The journal in a process that is killed, has a full disk, or a disk that fails: every answered delivery is
//! there afterward.
//!
//! The journal runs in a child process, which is this binary with [`FOLDER`] set. That is why it has no test
//! harness: the child is not a test.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use host_runner::delivery::Delivery;
use host_runner::journal::{Journal, JournalLimits};

/// Environment variable with the folder of the child's journal.
const FOLDER: &str = "JOURNAL_TEST_FOLDER";
const CONNECTIONS: [&str; 3] = ["a", "b", "c"];
/// Kills; each after another number of answers.
const ROUNDS: u64 = 30;
const TESTS: [(&str, fn()); 3] = [
    ("an_answered_delivery_survives_a_kill_at_any_time", an_answered_delivery_survives_a_kill_at_any_time),
    ("a_full_disk_rejects_appends_until_there_is_space", a_full_disk_rejects_appends_until_there_is_space),
    ("a_disk_that_fails_rejects_appends_until_it_works", a_disk_that_fails_rejects_appends_until_it_works),
];
/// Options of the standard harness that are followed by a value, which is not the name of a test.
const OPTIONS_WITH_VALUE: [&str; 5] = ["--color", "--format", "--logfile", "--skip", "--test-threads"];

/// Runs the child, or the tests whose name contains one of the arguments, as the standard harness does.
fn main() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        return runtime.expect("a runtime").block_on(child(Path::new(&folder)));
    }
    let arguments: Vec<String> = std::env::args().collect();
    let is_name =
        |pair: &&[String]| !pair[1].starts_with('-') && !OPTIONS_WITH_VALUE.contains(&pair[0].as_str());
    let names: Vec<&String> = arguments.windows(2).filter(is_name).map(|pair| &pair[1]).collect();
    let is_list = arguments.iter().any(|argument| argument == "--list");
    for (name, test) in TESTS {
        if !names.is_empty() && !names.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        if is_list {
            println!("{name}: test");
            continue;
        }
        println!("test {name} ...");
        // A failed assertion ends the process with exit code 101.
        test();
        println!("test {name} ... ok");
    }
}

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

/// Appends to every connection until it is killed, acknowledges every twenty deliveries, and reports both on
/// standard output.
async fn child(folder: &Path) {
    let (journal, _) = Journal::open(folder.join("journal.db"), JournalLimits::default()).expect("opened");
    let tasks = CONNECTIONS.map(|connection| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let mut failing = false;
            for number in 1.. {
                match journal.append(connection, delivery(connection, number)).await {
                    Ok(seq) => report(&format!("{connection} {seq} {number}")),
                    Err(error) if !failing => {
                        failing = true;
                        report(&format!("{connection} failed {error}"));
                    }
                    Err(_) => {}
                }
                if number % 20 == 0
                    && let Ok(stored) = journal.next(connection, 0, 15, usize::MAX)
                    && let Some(last) = stored.last()
                {
                    // Reported before the call: after a kill in between, either outcome is right.
                    report(&format!("{connection} through {}", last.seq));
                    let seqs: Vec<u64> = stored.iter().map(|stored| stored.seq).collect();
                    let journal = journal.clone();
                    let done = tokio::task::spawn_blocking(move || journal.acknowledge(connection, &seqs));
                    let _when_full = done.await.expect("no panic");
                }
            }
        })
    });
    for task in tasks {
        task.await.expect("no panic");
    }
}

fn report(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "= {line}").and_then(|()| out.flush()).expect("reported");
}

/// The reports of a child: `= connection word rest`.
struct Reports {
    lines: Lines<BufReader<ChildStdout>>,
}

impl Reports {
    fn next(&mut self) -> Option<Vec<String>> {
        loop {
            // A line that was cut off by the kill is not a report.
            let line = self.lines.next()?.ok()?;
            if let Some((_, report)) = line.split_once("= ") {
                return Some(report.splitn(3, ' ').map(str::to_owned).collect());
            }
        }
    }
}

fn start(command: &mut Command, folder: &Path) -> (Child, Reports) {
    let mut child =
        command.env(FOLDER, folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    (child, Reports { lines })
}

fn an_answered_delivery_survives_a_kill_at_any_time() {
    let this = std::env::current_exe().expect("this binary");
    let folder = tempfile::tempdir().expect("a folder");
    let mut known: HashMap<(String, u64), u64> = HashMap::new();
    let mut through: HashMap<String, u64> = HashMap::new();
    for round in 0..ROUNDS {
        let (mut child, mut reports) = start(&mut Command::new(&this), folder.path());
        // Spread over the run without randomness, so that a failure can be repeated.
        let kill_after = (round * round * 31) % 500;
        let mut count = 0;
        let mut killed = false;
        loop {
            if count >= kill_after && !killed {
                child.kill().expect("killed");
                killed = true;
            }
            let Some(words) = reports.next() else { break };
            count += 1;
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
    assert_eq!((found.corrupt, &found.replaced), (0, &None), "round {round}: {found}");
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

/// A disk of 3 MiB, which root mounts.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let disk = Self(tempfile::tempdir().expect("a folder"));
        disk.run("mount", &["-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs"]).then_some(disk)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let ran = Command::new(program).args(arguments).arg(self.0.path()).stderr(Stdio::null()).status();
        ran.is_ok_and(|status| status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process may still end.
        self.run("umount", &["-l"]);
    }
}

fn a_full_disk_rejects_appends_until_there_is_space() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("left out: only root may mount a small disk");
        return;
    };
    let this = std::env::current_exe().expect("this binary");
    rejects_appends_until(disk.0.path(), &mut Command::new(this), |_| {
        assert!(disk.run("mount", &["-o", "remount,size=64m"]));
    });
}

/// No file of the child may grow beyond 3 MiB. SQLite treats that as it treats EIO: as any failure of a write
/// but a full disk.
fn a_disk_that_fails_rejects_appends_until_it_works() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut limited = Command::new("sh");
    let this = std::env::current_exe().expect("this binary");
    limited.args(["-c", "trap '' XFSZ; ulimit -S -f 6144; exec \"$0\""]).arg(this);
    rejects_appends_until(folder.path(), &mut limited, |child| {
        let id = child.id().to_string();
        let raised = Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited"]).status();
        assert!(raised.expect("prlimit").success());
    });
}

/// Runs the child until appends fail, mends the disk, and runs it until appends work again.
fn rejects_appends_until(folder: &Path, command: &mut Command, mend: impl Fn(&Child)) {
    let (mut child, mut reports) = start(command, folder);
    let mut known: HashMap<(String, u64), u64> = HashMap::new();
    let mut failed = false;
    let mut after = 0;
    while after < 100 {
        let words = reports.next().expect("the process ended when its disk failed");
        let [connection, word, rest] = words.as_slice() else { continue };
        if word == "failed" && !failed {
            failed = true;
            mend(&child);
        } else if let (Ok(seq), Ok(number)) = (word.parse(), rest.parse()) {
            known.insert((connection.clone(), seq), number);
            after += u32::from(failed);
        }
    }
    child.kill().expect("killed");
    while let Some(words) = reports.next() {
        if let [connection, word, rest] = words.as_slice()
            && let (Ok(seq), Ok(number)) = (word.parse(), rest.parse())
        {
            known.insert((connection.clone(), seq), number);
        }
    }
    child.wait().expect("ended");
    let path = folder.join("journal.db");
    let (journal, found) = Journal::open(path, JournalLimits::default()).expect("opened");
    assert_eq!((found.corrupt, &found.replaced), (0, &None), "{found}");
    for connection in CONNECTIONS {
        let stored = journal.next(connection, 0, usize::MAX, usize::MAX).expect("read");
        let first = stored.first().map_or(u64::MAX, |stored| stored.seq);
        for ((_, seq), number) in known.iter().filter(|((name, _), _)| name == connection) {
            let found = stored.iter().find(|stored| stored.seq == *seq);
            // Deliveries before the first one were acknowledged.
            assert!(found.is_some() || *seq < first, "{connection} {seq} is lost");
            if let Some(found) = found {
                assert_eq!(found.delivery, delivery(connection, *number));
            }
        }
    }
}
