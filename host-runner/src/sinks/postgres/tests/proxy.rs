//! A proxy between the sink and the server that loses the answer to a `COMMIT`, or the `COMMIT` itself.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// What to lose of the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Lose {
    Nothing = 0,
    Answer = 1,
    Commit = 2,
}

/// A running proxy; it ends with the process.
pub(super) struct Proxy {
    pub(super) url: String,
    lose: Arc<AtomicU8>,
}

impl Proxy {
    /// None where the server has no Unix socket.
    pub(super) fn start(url: &str) -> Option<Self> {
        let (user, rest) = url.strip_prefix("postgres://")?.split_once('@')?;
        let (folder, database) = rest.split_once('/')?;
        let socket = PathBuf::from(folder.replace("%2F", "/")).join(".s.PGSQL.5432");
        if !socket.exists() {
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let lose = Arc::new(AtomicU8::new(Lose::Nothing as u8));
        let shared = Arc::clone(&lose);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, lose) = (client.expect("a client"), Arc::clone(&shared));
                let server = UnixStream::connect(&socket).expect("the server");
                std::thread::spawn(move || forward(&client, &server, &lose));
            }
        });
        Some(Self { url: format!("postgres://{user}@127.0.0.1:{port}/{database}"), lose })
    }

    pub(super) fn lose(&self, what: Lose) {
        self.lose.store(what as u8, Ordering::SeqCst);
    }
}

/// Forwards both ways until the commit that is to be lost.
fn forward(client: &TcpStream, server: &UnixStream, lose: &AtomicU8) {
    let (mut from_server, mut to_client) =
        (server.try_clone().expect("one"), client.try_clone().expect("one"));
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(bytes @ 1..) = from_server.read(&mut buffer) {
            // Read on: a server that cannot answer rolls back.
            let _lost = to_client.write_all(&buffer[..bytes]);
        }
        let _gone = to_client.shutdown(Shutdown::Both);
    });
    let (mut from_client, mut to_server) = (client, server);
    let mut buffer = vec![0; 1 << 16];
    while let Ok(bytes @ 1..) = from_client.read(&mut buffer) {
        let sent = &buffer[..bytes];
        let is_commit = sent.windows(7).any(|window| window == b"COMMIT\0");
        if is_commit && lose.load(Ordering::SeqCst) != Lose::Nothing as u8 {
            // No answer reaches the client from here on.
            let _gone = client.shutdown(Shutdown::Both);
            if lose.swap(Lose::Nothing as u8, Ordering::SeqCst) == Lose::Answer as u8 {
                to_server.write_all(sent).expect("sent");
            }
            break;
        }
        if to_server.write_all(sent).is_err() {
            break;
        }
    }
    // The server reads the end after the last statement.
    let _gone = server.shutdown(Shutdown::Write);
}
