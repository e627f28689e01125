//! One HTTP/1.1 request of a client that is not malicious.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

/// A request for an object.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) bucket: String,
    /// The object's name, decoded.
    pub(crate) name: String,
    /// As it was sent.
    pub(crate) path: String,
    pub(crate) parameters: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The next request of a connection; none at its end. Nothing is read beyond it: a client waits for the
    /// answer before it sends the next one.
    pub(crate) fn read(connection: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(connection);
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            Some(line.trim_end().to_owned())
        };
        let first = line()?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let mut headers = Vec::new();
        loop {
            let header = line()?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        let (path, parameters) = target.split_once('?').unwrap_or((target, ""));
        let place = decoded(path.trim_start_matches('/'));
        let (bucket, name) = place.split_once('/').unwrap_or((&place, ""));
        let mut request = Self {
            method,
            bucket: bucket.to_owned(),
            name: name.to_owned(),
            path: path.to_owned(),
            parameters: parameters.to_owned(),
            headers,
            body: Vec::new(),
        };
        let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        reader.take(length).read_to_end(&mut request.body).ok()?;
        Some(request)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Whether it names the object that it replaces, or that it replaces none.
    pub(crate) fn is_conditional(&self) -> bool {
        self.header("if-match").or(self.header("if-none-match")).is_some()
    }

    /// A parameter of the query, empty if it has no value.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters.split('&').find_map(|parameter| {
            let (other, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (other == name).then(|| decoded(value))
        })
    }
}

/// A text with its `%XX` decoded.
pub(crate) fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}
