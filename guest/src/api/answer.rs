//! Answers of the API: rows, nothing, or an error of a kind the host can act on. Pure.
//!
//! Source: `zoho-desk-api.md` §3.1 (204 means empty), §5.1 (error envelope), §5.2 (429).

use std::borrow::Cow;
use std::num::NonZeroU64;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::members::Members;
use crate::row::{self, PartialRow, RowMeta};
use crate::time;
use crate::transport::Response;

/// A successful answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    label: String,
    body: Vec<u8>,
    /// The source's clock when it answered (`Date`), less a second because the header counts whole seconds.
    pub(crate) as_of_ms: Option<u64>,
}

/// The error envelope.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refusal<'a> {
    #[serde(borrow)]
    error_code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    errors: Vec<FieldProblem<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FieldProblem<'a> {
    #[serde(borrow)]
    field_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error_message: Option<Cow<'a, str>>,
}

/// One entry of `GET /organizations`.
#[derive(Debug)]
pub(crate) struct Organization {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) edition: Option<String>,
}

impl Answer {
    /// [`Answer::as_of_ms`], also of a refusal.
    pub(crate) fn time_of(answer: &Result<Self>) -> Option<u64> {
        match answer {
            Ok(answer) => answer.as_of_ms,
            Err(error) => error.as_of_ms(),
        }
    }

    /// The bytes of the body.
    pub(crate) fn size(&self) -> usize {
        self.body.len()
    }

    /// The bare object of a single record, or none when the body is empty.
    pub(crate) fn object(&self) -> Result<Option<&RawValue>> {
        let text = self.text()?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let raw: &RawValue = self.parse(text)?;
        if raw.get().starts_with('{') { Ok(Some(raw)) } else { Err(self.unusable("not a JSON object")) }
    }

    /// The rows of a list or search; empty when the body is (204).
    pub(crate) fn rows(&self) -> Result<Vec<&RawValue>> {
        #[derive(Deserialize)]
        struct Page<'a> {
            #[serde(borrow, default)]
            data: Option<Vec<&'a RawValue>>,
        }
        let text = self.text()?;
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let page: Page<'_> = self.parse(text)?;
        page.data.ok_or_else(|| self.unusable("no `data` in it"))
    }

    /// The rows in the array `member` of the body, or in `data`; empty when the body is (204).
    pub(crate) fn rows_in(&self, member: &str) -> Result<Vec<&RawValue>> {
        let text = self.text()?;
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let members: Members<'_> = self.parse(text)?;
        let rows = members.get(member).or_else(|| members.get("data"));
        self.parse(rows.ok_or_else(|| self.unusable(&format!("no `{member}` in it")))?)
    }

    /// The error about a row without the member of its identity.
    pub(crate) fn no_id(&self, member: &str) -> Error {
        self.unusable(&format!("a row has no usable `{member}`"))
    }

    /// The rows of a list or search, each with its [`RowMeta`].
    ///
    /// The usual body, `{"data":[…`, is scanned row by row, so that no byte is parsed twice; any other is
    /// parsed by [`Answer::rows`] first.
    pub(crate) fn rows_with_meta(&self) -> Result<Vec<(RowMeta, &str)>> {
        let no_id = || self.no_id("id");
        let text = self.text()?;
        let Some(rows) = text.trim_start().strip_prefix("{\"data\":[") else {
            let rows = self.rows()?.into_iter().map(RawValue::get);
            return rows.map(|row| Ok((row::meta(row).ok_or_else(no_id)?, row))).collect();
        };
        let mut found = Vec::with_capacity(128);
        let mut rest = rows.trim_start();
        while !rest.starts_with(']') {
            let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<PartialRow<'_>>();
            let partial = match stream.next() {
                Some(Ok(partial)) => partial,
                Some(Err(error)) => return Err(self.unparsable(&error)),
                None => return Err(self.broke_off()),
            };
            let (row, after) = rest.split_at(stream.byte_offset());
            found.push((partial.meta().ok_or_else(no_id)?, row));
            rest = after.trim_start();
            if let Some(next) = rest.strip_prefix(',') {
                rest = next.trim_start();
            } else if !rest.starts_with(']') {
                return Err(self.broke_off());
            }
        }
        // The rest of the body is small; it only has to be complete.
        if rest.trim_end().ends_with('}') { Ok(found) } else { Err(self.broke_off()) }
    }

    /// The `count` of a count or search, a number or digits in a string; an empty body (204) counts none.
    pub(crate) fn count(&self) -> Result<u64> {
        #[derive(Deserialize)]
        struct Counted<'a> {
            #[serde(borrow)]
            count: &'a RawValue,
        }
        if self.body.is_empty() {
            return Ok(0);
        }
        let counted: Counted<'_> = self.parse(self.text()?)?;
        counted.count.get().trim_matches('"').parse().map_err(|_| self.unusable("`count` is not a number"))
    }

    /// Any JSON.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        let text = self.text()?;
        if text.trim().is_empty() { Ok(serde_json::Value::Null) } else { self.parse(text) }
    }

    /// False when the body obviously broke off or is no JSON, so that the call can be repeated.
    fn is_whole(&self) -> bool {
        let body = self.body.trim_ascii();
        body.is_empty() || matches!((body[0], body[body.len() - 1]), (b'{', b'}') | (b'[', b']'))
    }

    fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).map_err(|_| self.unusable("not UTF-8"))
    }

    fn parse<'a, V: Deserialize<'a>>(&self, text: &'a str) -> Result<V> {
        serde_json::from_str(text).map_err(|error| self.unparsable(&error))
    }

    /// JSON that does not parse was cut by the network or a proxy and may be complete next time; JSON of
    /// another shape will not change.
    fn unparsable(&self, error: &serde_json::Error) -> Error {
        if error.is_eof() || error.is_syntax() {
            self.broke_off()
        } else {
            self.unusable(&format!("unexpected JSON at column {}", error.column()))
        }
    }

    fn broke_off(&self) -> Error {
        Error::new(Kind::Unavailable, format!("{}: the answer broke off or is no JSON", self.label))
            .code("BROKEN")
            .hint(
                "try again; if that does not help, check that `desk_url` is the address of Zoho Desk itself",
            )
    }

    fn unusable(&self, what: &str) -> Error {
        Error::new(Kind::Data, format!("{}: the answer cannot be used: {what}", self.label)).hint(
            "try again; if that does not help, check that `desk_url` is the address of Zoho Desk itself",
        )
    }
}

/// The organizations a token sees.
pub(super) fn organizations(answer: &Answer) -> Result<Vec<Organization>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        id: serde_json::Value,
        company_name: Option<String>,
        edition: Option<String>,
    }
    answer
        .rows()?
        .into_iter()
        .map(|raw| {
            let row: Row = serde_json::from_str(raw.get())
                .map_err(|error| answer.unusable(&format!("an organization: {error}")))?;
            let id = row.id.as_str().map_or_else(|| row.id.to_string(), str::to_owned);
            Ok(Organization { id, name: row.company_name, edition: row.edition })
        })
        .collect()
}

/// Success or an error, from the complete response. `label` is method and path.
pub(super) fn read(label: &str, response: Response) -> Result<Answer> {
    match response.status {
        200..=299 => {
            let as_of_ms = as_of_ms(&response);
            let body = if response.status == 204 { Vec::new() } else { response.body };
            let answer = Answer { label: label.to_owned(), body, as_of_ms };
            if answer.is_whole() { Ok(answer) } else { Err(answer.broke_off()) }
        }
        status => Err(refusal(label, status, &response)),
    }
}

/// The source's clock when it answered, in whole seconds.
pub(super) fn date_ms(response: &Response) -> Option<u64> {
    response.header("date").and_then(time::parse_http_date)
}

/// See [`Answer::as_of_ms`].
fn as_of_ms(response: &Response) -> Option<u64> {
    date_ms(response).map(|ms| ms.saturating_sub(1000))
}

/// The answer of a response, for tests.
#[cfg(test)]
pub(crate) fn answer_of(status: u16, body: &str) -> Result<Answer> {
    read("GET /x", Response { status, headers: Vec::new(), body: body.into() })
}

/// The error of an answer that is not a success.
pub(super) fn refusal(label: &str, status: u16, response: &Response) -> Error {
    let parsed: Option<Refusal<'_>> = serde_json::from_slice(&response.body).ok();
    let code = parsed.as_ref().and_then(|refusal| refusal.error_code.as_deref()).map(quote);
    let text = parsed.as_ref().map(quoted).filter(|text| !text.is_empty());
    let retry_after_ms = response
        .header("retry-after")
        .and_then(|text| text.trim().parse::<u64>().ok())
        .map(|seconds| seconds.saturating_mul(1000).min(limits::RETRY_AFTER_MAX_MS));
    let (kind, hint) = meaning(status, code.as_deref());
    let mut message = format!("{label}: HTTP {status}");
    if let Some(text) = text {
        message.push_str(": ");
        message.push_str(&text);
    }
    let mut error = Error::new(kind, message).retry_after_ms(retry_after_ms);
    error.code = code.map(String::into_boxed_str);
    error.as_of = as_of_ms(response).and_then(NonZeroU64::new);
    error.hint = hint.map(str::to_owned);
    error
}

/// The envelope's message with its field problems, cut.
fn quoted(refusal: &Refusal<'_>) -> String {
    let mut text = refusal.message.as_deref().unwrap_or_default().to_owned();
    for problem in refusal.errors.iter().take(3) {
        let field = problem.field_name.as_deref().unwrap_or("?");
        let what = problem.error_message.as_deref().unwrap_or("refused");
        text.push_str(&format!(" [{field}: {what}]"));
    }
    quote(&text)
}

fn quote(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(limits::QUOTE_CHARS_MAX).collect()
}

/// Kind and hint of a status and code.
fn meaning(status: u16, code: Option<&str>) -> (Kind, Option<&'static str>) {
    match (status, code) {
        (401, _) => (Kind::Auth, Some("run `authorize` again with a newly generated code")),
        (_, Some("SCOPE_MISMATCH")) => (
            Kind::Permission,
            Some(
                "the grant lacks a scope: generate a new code with the scope list that `spec` prints and \
                 run `authorize` again",
            ),
        ),
        (_, Some("OAUTH_ORG_MISMATCH")) => (
            Kind::Config,
            Some(
                "the grant belongs to another organization: correct `organization_id`, or generate the code \
                 with the right portal selected",
            ),
        ),
        (_, Some("LICENSE_ACCESS_LIMITED")) => {
            (Kind::Permission, Some("the organization's edition lacks this: leave the table out of `tables`"))
        }
        (403, _) => (
            Kind::Permission,
            Some("the user who generated the code may not see this: generate it as an administrator"),
        ),
        (429, Some("THRESHOLD_EXCEEDED")) => (
            Kind::RateLimited,
            Some("the day's API credits are used up: reading continues when they are renewed"),
        ),
        (429, _) => {
            (Kind::RateLimited, Some("too many calls at once in this organization: try again shortly"))
        }
        (404, _) => (
            Kind::NotFound,
            Some("check `organization_id` and `data_center`, or leave the table out of `tables`"),
        ),
        (408, _) | (500..=599, _) => (Kind::Unavailable, Some("try again later")),
        _ => (
            Kind::Data,
            Some(
                "correct what the answer names, for example `department_ids`, and try again; if that does \
                 not help, leave the table out of `tables` and report this",
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Response {
        Response { status, headers: vec![("retry-after".into(), "30".into())], body: body.into() }
    }

    #[test]
    fn an_answer_without_content_has_no_rows() {
        let answer = read("GET /x", response(204, "")).unwrap();
        assert!(answer.rows().unwrap().is_empty());
        assert_eq!(answer.rows_with_meta().unwrap(), []);
        assert_eq!((answer.count().unwrap(), answer.object().unwrap().is_none()), (0, true));
    }

    #[test]
    fn rows_are_the_same_whatever_the_order_of_the_body_is() {
        let rows = r#"[ {"a":"]},{","id":"1","n":{"id":"9"}} , {"id":"2"} ]"#;
        for body in [format!(r#"{{"data":{rows},"count":2}}"#), format!(r#"{{"count":2,"data":{rows}}}"#)] {
            let answer = read("GET /x", response(200, &body)).unwrap();
            let found = answer.rows_with_meta().unwrap();
            let ids: Vec<&str> = found.iter().map(|(meta, _)| meta.id.as_str()).collect();
            assert_eq!(ids, ["1", "2"]);
            assert_eq!(found[0].1, r#"{"a":"]},{","id":"1","n":{"id":"9"}}"#);
        }
        assert!(
            read("GET /x", response(200, r#"{"data":[]}"#)).unwrap().rows_with_meta().unwrap().is_empty()
        );
    }

    #[test]
    fn a_page_cut_anywhere_is_never_taken_for_complete() {
        let body = r#"{"data":[{"id":"1","t":"x"},{"id":"2","t":{"u":[1,2]}}]}"#;
        for length in 1..body.len() {
            let answer = read("GET /x", response(200, &body[..length]));
            let error = answer.and_then(|answer| answer.rows_with_meta().map(|_| ())).unwrap_err();
            assert_eq!(error.kind, Kind::Unavailable, "{}", &body[..length]);
        }
    }

    #[test]
    fn counts_are_numbers_or_digits() {
        for body in [r#"{"count":12}"#, r#"{"count":"12"}"#] {
            assert_eq!(read("GET /x", response(200, body)).unwrap().count().unwrap(), 12);
        }
    }

    #[test]
    fn statuses_and_codes_become_kinds() {
        for (status, body, kind) in [
            (
                401,
                r#"{"errorCode":"INVALID_OAUTH","message":"The OAuth Token you provided is invalid."}"#,
                Kind::Auth,
            ),
            (403, r#"{"errorCode":"SCOPE_MISMATCH","message":"m"}"#, Kind::Permission),
            (403, r#"{"errorCode":"OAUTH_ORG_MISMATCH","message":"m"}"#, Kind::Config),
            (404, r#"{"errorCode":"URL_NOT_FOUND","message":"m"}"#, Kind::NotFound),
            (422, r#"{"errorCode":"INVALID_DATA","message":"m"}"#, Kind::Data),
            (429, r#"{"errorCode":"THRESHOLD_EXCEEDED","message":"m"}"#, Kind::RateLimited),
            (502, "<html>bad gateway</html>", Kind::Unavailable),
        ] {
            let error = read("GET /x", response(status, body)).unwrap_err();
            assert_eq!(error.kind, kind, "{status} {body}");
            assert_eq!(error.retry_after_ms, Some(30_000));
        }
    }

    #[test]
    fn a_cut_body_is_unavailable_and_json_of_another_shape_is_not() {
        for body in [r#"{"data":[{"id":"1"#, r#"{"data":[{"id":"1"}"#, "<html></html>"] {
            let rows = read("GET /x", response(200, body)).and_then(|answer| answer.rows().map(|_| ()));
            assert_eq!(rows.unwrap_err().kind, Kind::Unavailable, "{body}");
        }
        let other = read("GET /x", response(200, r#"{"rows":[]}"#)).unwrap();
        assert_eq!(other.rows().unwrap_err().kind, Kind::Data);
    }

    #[test]
    fn the_state_is_dated_by_the_sources_clock_in_answers_and_refusals() {
        let mut dated = response(200, "{}");
        dated.headers.push(("date".into(), "Sun, 22 Nov 2026 17:25:10 GMT".into()));
        assert_eq!(read("GET /x", dated.clone()).unwrap().as_of_ms, Some(1_795_368_309_000));
        dated.status = 404;
        assert_eq!(read("GET /x", dated).unwrap_err().as_of_ms(), Some(1_795_368_309_000));
    }
}
