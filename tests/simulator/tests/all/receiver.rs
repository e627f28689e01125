//! A webhook receiver: keeps the requests it gets and answers with a chosen status.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Requests, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// Longest wait for a delivery before a test fails.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) signature: Option<String>,
    pub(crate) body: Value,
}

/// A running receiver.
pub(crate) struct Receiver {
    pub(crate) url: String,
    requests: Requests<Request>,
}

/// Blocks the first POST to a receiver until it is dropped.
pub(crate) struct Gate {
    blocked: Requests<()>,
    _open: Sender<()>,
}

impl Gate {
    /// Waits until the first POST is blocked; panics when none arrives.
    pub(crate) fn wait(&self) {
        self.blocked.recv_timeout(WAIT_MAX).expect("a POST");
    }
}

/// Chooses a status by method and body.
type Answer = dyn Fn(&str, &Value) -> u16 + Send + Sync;

impl Receiver {
    /// Answers every request with the status that `answer` gives for its method and body.
    pub(crate) fn start(answer: impl Fn(&str, &Value) -> u16 + Send + Sync + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let (sender, requests) = channel();
        let answer: Arc<Answer> = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, answer) = (sender.clone(), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &*answer, &sender));
            }
        });
        Receiver { url, requests }
    }

    /// Answers every request with 200.
    pub(crate) fn accepting() -> Receiver {
        Receiver::start(|_, _| 200)
    }

    /// Answers the first POST with 200 once the gate is dropped, and every other request at once. The blocked
    /// request itself arrives in the order of its answer.
    pub(crate) fn gated() -> (Receiver, Gate) {
        let ((open, opened), (block, blocked)) = (channel::<()>(), channel());
        let first = Mutex::new(Some((opened, block)));
        let receiver = Receiver::start(move |method, _| {
            let first = if method == "POST" { first.lock().expect("no panic").take() } else { None };
            if let Some((opened, block)) = first {
                let _ = block.send(());
                // Returns when the gate is dropped.
                let _ = opened.recv();
            }
            200
        });
        (receiver, Gate { blocked, _open: open })
    }

    /// The next request; panics when none arrives.
    pub(crate) fn next(&self) -> Request {
        self.requests.recv_timeout(WAIT_MAX).expect("a request")
    }

    /// The first event of the next request; panics when none arrives.
    pub(crate) fn next_event(&self) -> Value {
        self.next().body[0].clone()
    }

    /// The requests that have arrived and were not taken yet.
    pub(crate) fn drain(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }

    /// The events of these requests, in the order of arrival.
    pub(crate) fn drain_events(&self) -> Vec<Value> {
        let requests = self.drain();
        requests.iter().flat_map(|request| request.body.as_array().cloned().unwrap_or_default()).collect()
    }
}

fn serve(stream: TcpStream, answer: &Answer, sender: &Sender<Request>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let method = line.split(' ').next()?.to_owned();
        let (mut length, mut signature) = (0, None);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok()?,
                "x-zdesk-jwt" => signature = Some(value.to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let status = answer(&method, &body);
        sender.send(Request { method, signature, body }).ok()?;
        let reply = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        stream.get_mut().write_all(reply.as_bytes()).ok()?;
    }
}
