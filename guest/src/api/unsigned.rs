//! Requests without a token: to the accounts host, and for what the Desk host answers to everyone.

use super::Api;
use super::call::{failed, no_answer, too_slow};
use crate::error::Result;
use crate::transport::{Method, Request, Response, Transport};
use crate::url::Origin;

impl<T: Transport> Api<T> {
    /// GETs a path of the accounts host without credentials; returns the HTTP status.
    pub(crate) fn probe_accounts(&mut self, path: &str) -> Result<u16> {
        let origin = self.config.accounts.clone();
        self.get_unsigned(origin, path).map(|response| response.status)
    }

    /// GETs a path of the Desk host without credentials, and compares clocks.
    pub(crate) fn get_public(&mut self, path: &str) -> Result<Response> {
        let origin = self.config.desk.clone();
        let response = self.get_unsigned(origin, path)?;
        // A cache on the way gives the time at which it got the answer.
        if !response.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("age")) {
            self.compare_clocks(&response);
        }
        Ok(response)
    }

    fn get_unsigned(&mut self, origin: Origin, path: &str) -> Result<Response> {
        self.send_unsigned(&Request {
            method: Method::Get,
            origin,
            path_with_query: path.to_owned(),
            headers: vec![("accept", "application/json".to_owned())],
            body: Vec::new(),
        })
    }

    pub(super) fn send_unsigned(&mut self, request: &Request) -> Result<Response> {
        if self.is_over() {
            return Err(too_slow());
        }
        self.usage.requests += 1;
        match self.transport.send(std::slice::from_ref(request), 1).pop() {
            Some(Ok(response)) => Ok(response),
            Some(Err(failure)) => Err(failed(&request.origin.to_string(), failure)),
            None => Err(no_answer()),
        }
    }
}
