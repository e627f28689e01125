//! A client of HTTP/1.1 that is small enough to misbehave on purpose: half requests, raw bytes, kept
//! connections.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest wait for an answer before it counts as none.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// One connection, kept open between requests.
pub(crate) struct Client {
    host: String,
    stream: BufReader<TcpStream>,
}

/// A URL as host with port, and path.
pub(crate) fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("{url}: not http"));
    rest.find('/').map_or((rest, "/"), |at| rest.split_at(at))
}

impl Client {
    /// Connects to the host of a URL, which must have a listener.
    #[track_caller]
    pub(crate) fn connect(url: &str) -> Client {
        Client::try_connect(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// Connects to the host of a URL.
    pub(crate) fn try_connect(url: &str) -> std::io::Result<Client> {
        let (host, _) = split(url);
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { host: host.to_owned(), stream: BufReader::new(stream) })
    }

    /// The head of a request whose body has this length.
    pub(crate) fn head(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: Option<usize>,
    ) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(length) = length {
            head.push_str(&format!("content-type: application/json\r\ncontent-length: {length}\r\n"));
        }
        head.push_str("\r\n");
        head
    }

    /// Writes bytes as they are; false when the other side has closed.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.get_mut().write_all(bytes).is_ok()
    }

    /// One request; no answer is an error.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Answer> {
        let length = (method == "POST").then_some(body.len());
        let head = self.head(method, path, headers, length);
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        self.answer(method != "HEAD")
    }

    /// The answer to the request.
    pub(crate) fn answer(&mut self, has_body: bool) -> std::io::Result<Answer> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other(format!("no answer: {line:?}")))?;
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
        }
        let mut body = vec![0; if has_body { length } else { 0 }];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// One request on a new connection, which must be answered.
#[track_caller]
pub(crate) fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let (_, path) = split(url);
    let answer = Client::connect(url).send(method, path, headers, body);
    answer.unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}
