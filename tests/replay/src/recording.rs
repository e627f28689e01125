//! The recording: which exchange answers a request. Pure.
//!
//! The format is HAR 1.2, which browsers and proxies write; of each entry `request.method`, `request.url`,
//! `response.status`, `response.headers`, `response.content` and `startedDateTime` are read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;

/// Headers of a recorded answer about the form in which its bytes were sent. The content is stored without.
const OF_THE_TRANSFER: [&str; 3] = ["content-encoding", "content-length", "transfer-encoding"];

/// The exchanges, in the order of the recording.
#[derive(Debug)]
pub struct Recording {
    /// When it was started, in milliseconds since 1970.
    pub started_at_ms: u64,
    exchanges: Vec<Exchange>,
}

#[derive(Debug)]
struct Exchange {
    method: String,
    path: String,
    query: String,
    answer: Answer,
    is_played: bool,
}

/// A recorded answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "startedDateTime")]
    started: String,
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
}

#[derive(Deserialize)]
struct Response {
    status: u16,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default)]
    content: Content,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Default, Deserialize)]
struct Content {
    #[serde(default)]
    text: String,
    encoding: Option<String>,
}

impl Recording {
    /// Reads a file. An error says which entry is wrong.
    pub fn parse(har: &[u8]) -> Result<Self, String> {
        let har: Har = serde_json::from_slice(har).map_err(|error| format!("not a HAR file: {error}"))?;
        let first = har.log.entries.first().ok_or("the recording is empty")?;
        let started: Timestamp =
            first.started.parse().map_err(|_| "entry 0: its startedDateTime is no time".to_owned())?;
        let exchange = |(index, entry): (usize, Entry)| {
            let wrong = |what: &str| format!("entry {index}: {what}");
            let (path, query) =
                path_and_query(&entry.request.url).ok_or_else(|| wrong("its URL has no path"))?;
            let content = entry.response.content;
            let body = match content.encoding.as_deref() {
                Some("base64") => {
                    STANDARD.decode(&content.text).map_err(|_| wrong("its content is no base64"))?
                }
                _ => content.text.into_bytes(),
            };
            let headers = entry.response.headers.into_iter().map(|header| (header.name, header.value));
            let kept = headers.filter(|(name, _)| {
                !name.starts_with(':')
                    && !OF_THE_TRANSFER.iter().any(|known| name.eq_ignore_ascii_case(known))
            });
            let answer = Answer { status: entry.response.status, headers: kept.collect(), body };
            Ok(Exchange {
                method: entry.request.method,
                path: path.to_owned(),
                query: query.to_owned(),
                answer,
                is_played: false,
            })
        };
        let exchanges =
            har.log.entries.into_iter().enumerate().map(exchange).collect::<Result<_, String>>()?;
        let started_at_ms = u64::try_from(started.as_millisecond()).map_err(|_| "recorded before 1970")?;
        Ok(Self { started_at_ms, exchanges })
    }

    /// The answer to a request: the first one to an equal request that was not given yet, else the last one
    /// to an equal request, else the first one to another query of the same path that was not given yet,
    /// because times in a query differ from run to run.
    pub fn answer(&mut self, method: &str, path_with_query: &str) -> Option<Answer> {
        let (path, query) = path_with_query.split_once('?').unwrap_or((path_with_query, ""));
        let is_of = |exchange: &Exchange| exchange.method == method && exchange.path == path;
        let is_equal = |exchange: &Exchange| is_of(exchange) && exchange.query == query;
        let fresh = |exchange: &Exchange| !exchange.is_played;
        let all = &self.exchanges;
        let index = (all.iter().position(|exchange| is_equal(exchange) && fresh(exchange)))
            .or_else(|| all.iter().rposition(is_equal))
            .or_else(|| all.iter().position(|exchange| is_of(exchange) && fresh(exchange)))?;
        let exchange = self.exchanges.get_mut(index)?;
        exchange.is_played = true;
        Some(exchange.answer.clone())
    }
}

/// The path and the query of an absolute URL.
fn path_and_query(url: &str) -> Option<(&str, &str)> {
    let (_, rest) = url.split_once("://")?;
    let path_with_query = &rest[rest.find('/')?..];
    let without_fragment = path_with_query.split('#').next()?;
    Some(without_fragment.split_once('?').unwrap_or((without_fragment, "")))
}

#[cfg(test)]
mod tests {
    use super::Recording;

    const HAR: &str = r#"{"log": {"version": "1.2", "entries": [
        {"startedDateTime": "2026-11-26T06:00:00.250Z", "request": {"method": "GET", "url": "https://desk.zoho.eu/api/v1/tickets?from=1&limit=2"},
         "response": {"status": 200, "headers": [{"name": "Content-Type", "value": "application/json"},
             {"name": "content-length", "value": "5"}], "content": {"text": "first"}}},
        {"startedDateTime": "2026-11-26T06:00:00.250Z", "request": {"method": "GET", "url": "https://desk.zoho.eu/api/v1/tickets?from=1&limit=2"},
         "response": {"status": 200, "content": {"text": "c2Vjb25k", "encoding": "base64"}}},
        {"startedDateTime": "2026-11-26T06:00:00.250Z", "request": {"method": "GET", "url": "https://desk.zoho.eu/api/v1/tickets/search?since=1#top"},
         "response": {"status": 204}},
        {"startedDateTime": "2026-11-26T06:00:00.250Z", "request": {"method": "POST", "url": "https://accounts.zoho.eu/oauth/v2/token"},
         "response": {"status": 200, "content": {"text": "{}"}}}]}}"#;

    #[test]
    fn a_request_is_answered_as_recorded_and_then_as_it_was_last() {
        let mut recording = Recording::parse(HAR.as_bytes()).expect("a recording");
        let list = "/api/v1/tickets?from=1&limit=2";
        let first = recording.answer("GET", list).expect("recorded");
        assert_eq!(recording.started_at_ms, 1_795_672_800_250);
        assert_eq!(first.body, b"first");
        assert_eq!(first.headers, [("Content-Type".to_owned(), "application/json".to_owned())]);
        assert_eq!(recording.answer("GET", list).expect("recorded").body, b"second");
        assert_eq!(recording.answer("GET", list).expect("recorded").body, b"second");
    }

    #[test]
    fn another_query_is_answered_once_and_another_path_or_method_never() {
        let mut recording = Recording::parse(HAR.as_bytes()).expect("a recording");
        let search = "/api/v1/tickets/search?since=2";
        assert_eq!(recording.answer("GET", search).expect("another time").status, 204);
        assert_eq!(recording.answer("GET", search), None);
        assert_eq!(recording.answer("GET", "/api/v1/contacts"), None);
        assert_eq!(recording.answer("GET", "/oauth/v2/token"), None);
        assert!(recording.answer("POST", "/oauth/v2/token").is_some());
    }

    #[test]
    fn what_is_no_recording_is_refused_with_its_place() {
        assert!(Recording::parse(b"[]").expect_err("refused").starts_with("not a HAR file"));
        assert_eq!(
            Recording::parse(br#"{"log": {"entries": []}}"#).expect_err("refused"),
            "the recording is empty"
        );
        let nowhere = r#"{"log": {"entries": [{"startedDateTime": "2026-11-26T06:00:00Z",
            "request": {"method": "GET", "url": "tickets"},
            "response": {"status": 200}}]}}"#;
        assert_eq!(
            Recording::parse(nowhere.as_bytes()).expect_err("refused"),
            "entry 0: its URL has no path"
        );
    }
}
