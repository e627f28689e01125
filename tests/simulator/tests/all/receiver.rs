//! A webhook receiver: a plain listener that keeps what it is sent and answers what it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::Value;

/// One request that came in.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) method: String,
    pub(crate) signature: Option<String>,
    pub(crate) body: Value,
}

/// Answers every request with the status that `answer` gives for its method and body.
pub(crate) struct Hook {
    pub(crate) url: String,
    incoming: Receiver<Delivery>,
}

/// Chooses a status by method and body.
pub(crate) type Answer = fn(&str, &Value) -> u16;

impl Hook {
    /// Listens on a free port.
    pub(crate) fn start(answer: Answer) -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || serve(stream, answer, &sender));
            }
        });
        Hook { url, incoming }
    }

    /// The next request; panics when none comes.
    pub(crate) fn next(&self) -> Delivery {
        self.incoming.recv_timeout(Duration::from_secs(10)).expect("a delivery")
    }

    /// Every request that came in so far.
    pub(crate) fn drain(&self) -> Vec<Delivery> {
        self.incoming.try_iter().collect()
    }
}

fn serve(stream: TcpStream, answer: Answer, sender: &Sender<Delivery>) -> Option<()> {
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
        sender.send(Delivery { method, signature, body }).ok()?;
        let reply = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        stream.get_mut().write_all(reply.as_bytes()).ok()?;
    }
}
