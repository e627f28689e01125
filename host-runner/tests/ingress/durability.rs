//! A delivery that was answered 200 is in the journal, whenever the process is killed.
//!
//! The server is a child process: this test binary, run with the filter `durability::child`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use host_runner::ingress::{Ingress, Options};
use host_runner::journal::{Journal, JournalLimits};
use host_runner::stop::channel;
use host_runner::webhook_url::{UrlRegistry, UrlSecrets};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{KEY, bind, request, secret};

const FOLDER: &str = "INGRESS_TEST_FOLDER";
const GENERATION: u64 = 1_700_000_000_000;
/// Kills, each after a different number of answers.
const ROUNDS: u64 = 12;
const SENDERS: u64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let path = Path::new(&folder).join("journal.db");
    let (journal, _) = Journal::open(path, JournalLimits::default()).expect("opened");
    let registry = UrlRegistry::default();
    registry.set("acme", UrlSecrets::generate(&KEY, "acme", GENERATION));
    let ingress = Ingress::new(bind(), Options::default(), registry, journal).expect("made");
    eprintln!("listening on {}", ingress.local_addr);
    let (_stopper, stop) = channel();
    ingress.run(stop).await;
}

fn start(folder: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "durability::child", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut lines = stderr.lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
    (child, address.expect("listening"))
}

#[tokio::test(flavor = "multi_thread")]
async fn answered_deliveries_survive_a_kill_at_any_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let secrets = UrlSecrets::generate(&KEY, "acme", GENERATION);
    let path = Arc::new(format!("/hooks/acme/{}", secret(&secrets, "acme")));
    let mut answered: HashMap<u64, u64> = HashMap::new();
    for round in 0..ROUNDS {
        let (mut child, address) = start(folder.path());
        // Spread over the first answers, and the same in every run.
        let kill_after = 1 + (round * round * 37) % 400;
        let (count, killed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let tasks: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (address, path) = (address.clone(), Arc::clone(&path));
                let (count, killed) = (Arc::clone(&count), Arc::clone(&killed));
                let first = answered.get(&sender).copied().unwrap_or(0);
                tokio::spawn(async move {
                    let mut last = first;
                    let Ok(mut stream) = TcpStream::connect(&address).await else { return (sender, last) };
                    while !killed.load(Ordering::Relaxed) {
                        let text = request("POST", &path, &format!("{sender} {}", last + 1));
                        if stream.write_all(text.as_bytes()).await.is_err() || !is_ok(&mut stream).await {
                            break;
                        }
                        last += 1;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    (sender, last)
                })
            })
            .collect();
        while count.load(Ordering::Relaxed) < kill_after {
            tokio::task::yield_now().await;
        }
        child.kill().expect("killed");
        killed.store(true, Ordering::Relaxed);
        child.wait().expect("ended");
        for task in tasks {
            let (sender, last) = task.await.expect("no panic");
            answered.insert(sender, last);
        }
        verify(folder.path(), &answered, round);
    }
    assert!(answered.values().sum::<u64>() > ROUNDS);
}

async fn is_ok(stream: &mut TcpStream) -> bool {
    use tokio::io::AsyncReadExt;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    head.starts_with(b"HTTP/1.1 200 ")
}

fn verify(folder: &Path, answered: &HashMap<u64, u64>, round: u64) {
    let path = folder.join("journal.db");
    let (journal, found) = Journal::open(path, JournalLimits::default()).expect("opened");
    assert_eq!((found.corrupt, &found.replaced), (0, &None), "round {round}: {found}");
    let stored = journal.next("acme", 0, usize::MAX, usize::MAX).expect("read");
    let mut last: HashMap<u64, u64> = HashMap::new();
    for stored in stored {
        let text = String::from_utf8(stored.delivery.body).expect("text");
        let (sender, number) = text.split_once(' ').expect("two numbers");
        let (sender, number): (u64, u64) = (sender.parse().expect("a"), number.parse().expect("b"));
        // A delivery that was written and not answered is sent again in the next round.
        let before = last.insert(sender, number).unwrap_or(0);
        assert!(number == before + 1 || number == before, "round {round}: {before} then {number}");
    }
    for (sender, number) in answered {
        let found = last.get(sender).copied().unwrap_or(0);
        assert!(found >= *number, "round {round}: sender {sender}: answered {number}, found {found}");
    }
}
