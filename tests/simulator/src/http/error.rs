//! The API's errors: status, code, message, and the envelope of §5.1.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::http::answer::{Answer, JSON};
use crate::world::change::ChangeError;

/// An error of the API.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: Cow<'static, str>,
    message: String,
    /// Further keys of the envelope. Boxed, to keep results small.
    more: Box<Map<String, Value>>,
    retry_after: Option<u64>,
}

impl ApiError {
    /// An error with a message.
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> ApiError {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        ApiError {
            status,
            code: code.into(),
            message: message.into(),
            more: Box::default(),
            retry_after: None,
        }
    }

    /// 401: no access token.
    pub(crate) fn unauthorized() -> ApiError {
        ApiError::new(401, "UNAUTHORIZED", "You are not authenticated to perform this operation.")
    }

    /// 401: the access token is unknown, expired or revoked.
    pub(crate) fn invalid_oauth() -> ApiError {
        ApiError::new(401, "INVALID_OAUTH", "The OAuth Token you provided is invalid.")
    }

    /// 403: the access token lacks a scope.
    pub(crate) fn scope_mismatch() -> ApiError {
        let message = "The OAuth Token does not have the scope that this operation needs.";
        ApiError::new(403, "SCOPE_MISMATCH", message)
    }

    /// 403: the access token belongs to another organization than `orgId`.
    pub(crate) fn organization_mismatch() -> ApiError {
        let message = "The OAuth Token is not valid for the given organization.";
        ApiError::new(403, "OAUTH_ORG_MISMATCH", message)
    }

    /// 403: no access to a resource.
    pub(crate) fn forbidden() -> ApiError {
        ApiError::new(403, "FORBIDDEN", "You do not have access to this resource.")
    }

    /// 403: the edition lacks the feature, or has at most `max` of it.
    pub(crate) fn license(feature: &str, edition: &str, max: usize) -> ApiError {
        let message = "The license of this organization does not allow this operation.";
        let mut error = ApiError::new(403, "LICENSE_ACCESS_LIMITED", message);
        let more = json!({
            "maxAllowedEntity": max, "unitName": feature, "feature": feature,
            "editionType": edition, "isTrial": edition == "TRIAL",
        });
        if let Value::Object(more) = more {
            *error.more = more;
        }
        error
    }

    /// 404: unknown path or record.
    pub(crate) fn not_found() -> ApiError {
        ApiError::new(404, "URL_NOT_FOUND", "The URL you requested could not be found.")
    }

    /// 405.
    pub(crate) fn method_not_allowed() -> ApiError {
        ApiError::new(405, "METHOD_NOT_ALLOWED", "The method is not allowed on this URL.")
    }

    /// 413.
    pub(crate) fn too_large() -> ApiError {
        ApiError::new(413, "RESOURCE_SIZE_EXCEEDED", "The request is too large.")
    }

    /// 422 with `UNPROCESSABLE_ENTITY`: a parameter out of range, unknown or missing.
    pub(crate) fn unprocessable(message: impl Into<String>) -> ApiError {
        ApiError::new(422, "UNPROCESSABLE_ENTITY", message)
    }

    /// 422 with `INVALID_DATA` for one field.
    pub(crate) fn invalid(field: &str, kind: &str, message: &str) -> ApiError {
        let general = "The data does not comply to the validation restrictions defined.";
        let mut error = ApiError::new(422, "INVALID_DATA", general);
        let errors = json!([{"fieldName": format!("/{field}"), "errorType": kind, "errorMessage": message}]);
        error.more.insert("errors".to_owned(), errors);
        error
    }

    /// 429: the credits of the day are used up. `Retry-After` has the seconds until the next day.
    pub(crate) fn threshold(retry_after: u64) -> ApiError {
        let message = "The maximum number of API calls that can be made per day has been exceeded.";
        let mut error = ApiError::new(429, "THRESHOLD_EXCEEDED", message);
        error.retry_after = Some(retry_after);
        error
    }

    /// 429: too many concurrent calls, without `Retry-After`.
    pub(crate) fn too_many() -> ApiError {
        let message = "You have exceeded the number of Concurrent API Calls allowed.";
        ApiError::new(429, "TOO_MANY_REQUESTS", message)
    }

    /// 500.
    pub(crate) fn internal() -> ApiError {
        ApiError::new(500, "INTERNAL_SERVER_ERROR", "An internal server error has occurred.")
    }

    /// Replaces code and message, where given.
    pub(crate) fn set_text(&mut self, code: Option<&str>, message: Option<&str>) {
        if let Some(code) = code {
            self.code = code.to_owned().into();
        }
        if let Some(message) = message {
            message.clone_into(&mut self.message);
        }
    }

    /// Sets `Retry-After`; none removes it.
    pub(crate) fn set_retry_after(&mut self, seconds: Option<u64>) {
        self.retry_after = seconds;
    }

    /// The answer that carries this error.
    pub(crate) fn answer(&self) -> Answer {
        let mut body = Map::clone(&self.more);
        body.insert("errorCode".to_owned(), self.code.clone().into());
        body.insert("message".to_owned(), self.message.clone().into());
        let mut answer = Answer::of(self.status, JSON, Value::Object(body).to_string().into_bytes());
        answer.retry_after = self.retry_after;
        answer
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> ApiError {
        match error {
            ChangeError::NotFound => ApiError::not_found(),
            ChangeError::Invalid(field) => ApiError::invalid(&field, "invalid", "The value is invalid."),
        }
    }
}
