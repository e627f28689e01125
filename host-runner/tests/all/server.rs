//! A server of one answer, on a free port of this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A test that waits longer than this has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// Answers every request with the same bytes and keeps connections open; without an answer it is silent.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicUsize>,
    arrived: Mutex<Receiver<()>>,
    connections: Arc<AtomicUsize>,
    /// Connections that are open now.
    open: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn new(answer: Option<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicUsize::new(0));
        let connections = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let (announce, arrived) = channel();
        let (requested, connected) = (Arc::clone(&requests), Arc::clone(&connections));
        let opened = Arc::clone(&open);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                connected.fetch_add(1, Ordering::SeqCst);
                opened.fetch_add(1, Ordering::SeqCst);
                let (requested, answer) = (Arc::clone(&requested), answer.clone());
                let closes = Arc::clone(&opened);
                let announce = announce.clone();
                std::thread::spawn(move || {
                    let mut lines = BufReader::new(stream.try_clone().expect("cloned")).lines();
                    while let Some(Ok(line)) = lines.next() {
                        if !line.is_empty() {
                            continue;
                        }
                        requested.fetch_add(1, Ordering::SeqCst);
                        let _nobody_waits = announce.send(());
                        if let Some(answer) = &answer {
                            let _gone = stream.write_all(answer);
                        }
                    }
                    closes.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, requests, arrived: Mutex::new(arrived), connections, open }
    }

    /// A complete answer with this body.
    pub(crate) fn ok(body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        Self::new(Some([head.as_bytes(), body].concat()))
    }

    /// Returns once a request has arrived.
    pub(crate) fn wait(&self) {
        self.arrived.lock().expect("not poisoned").recv_timeout(DEADLINE).expect("a request");
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}
