//! The one error of this crate: origin, kind, message, hint, and its form as JSON.
//!
//! Does not decide about retries; [`crate::policy`] does.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The part that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The command line.
    Usage,
    /// The connection file or the key file.
    Configuration,
    /// The component answered with an error.
    Component,
    /// The component was stopped or refused by the sandbox.
    Sandbox,
    /// The sink could not store rows.
    Sink,
    /// The runner's own files under the data folder.
    State,
    /// Anything else in the runner.
    Host,
}

/// What the caller can do about it; the contract's kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A person must change the configuration.
    Config,
    /// Authorize again.
    Auth,
    /// Known but not allowed.
    Permission,
    /// Does not exist.
    NotFound,
    /// Over a quota.
    RateLimited,
    /// Transient.
    Unavailable,
    /// Unusable answer of the source.
    Data,
    /// Not done by this connector or runner.
    Unsupported,
    /// A defect.
    Internal,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Self; 7] = [
        Self::Usage,
        Self::Configuration,
        Self::Component,
        Self::Sandbox,
        Self::Sink,
        Self::State,
        Self::Host,
    ];
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Config,
        Self::Auth,
        Self::Permission,
        Self::NotFound,
        Self::RateLimited,
        Self::Unavailable,
        Self::Data,
        Self::Unsupported,
        Self::Internal,
    ];
}

// Serde's names, which are those of the contract, of logs, metrics and `--json`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A failure, for people and for [`crate::policy`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Error {
    /// The part that failed.
    pub origin: Origin,
    /// What the caller can do.
    pub kind: Kind,
    /// The thing first, then the failure; lower case, no full stop.
    pub message: String,
    /// What to try next.
    pub hint: Option<String>,
    /// The source's own code.
    pub code: Option<String>,
    /// When the same call may be made again.
    pub retry_after_ms: Option<u64>,
    /// The contract's attributes; not part of the JSON form.
    #[serde(skip)]
    pub attributes: Vec<(String, String)>,
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error without hint, code and attributes.
    pub fn new(origin: Origin, kind: Kind, message: impl Into<String>) -> Self {
        Self {
            origin,
            kind,
            message: message.into(),
            hint: None,
            code: None,
            retry_after_ms: None,
            attributes: Vec::new(),
        }
    }

    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Origin::Usage, Kind::Config, message)
    }

    /// The connection file is wrong.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(Origin::Configuration, Kind::Config, message)
    }

    /// The sandbox refused or stopped the component.
    pub fn sandbox(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(Origin::Sandbox, kind, message)
    }

    /// The sink failed.
    pub fn sink(message: impl Into<String>) -> Self {
        Self::new(Origin::Sink, Kind::Internal, message)
    }

    /// A file of the data folder failed.
    pub fn state(message: impl Into<String>) -> Self {
        Self::new(Origin::State, Kind::Internal, message)
    }

    /// The runner itself failed.
    pub fn host(message: impl Into<String>) -> Self {
        Self::new(Origin::Host, Kind::Internal, message)
    }

    /// The component broke the contract: its data cannot be used.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Origin::Component, Kind::Data, message)
    }

    /// Adds a hint: the command or the key to try.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts the thing that failed in front of the message.
    pub fn about(mut self, thing: impl fmt::Display) -> Self {
        self.message = format!("{thing}: {}", self.message);
        self
    }
}

/// Work on another thread or in a task panicked, or was aborted.
impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::host(format!("stopped: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json().serialize(serializer)
    }
}

impl Error {
    /// The JSON form.
    pub fn json(&self) -> Value {
        json!({
            "origin": self.origin,
            "kind": self.kind,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retry_after_ms": self.retry_after_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Kind, Origin};

    #[test]
    fn an_error_is_the_same_after_a_round_trip_through_json() {
        for (origin, kind) in Origin::ALL.iter().flat_map(|origin| Kind::ALL.map(|kind| (*origin, kind))) {
            let error = Error {
                code: Some("NO".to_owned()),
                retry_after_ms: Some(7),
                ..Error::new(origin, kind, "not allowed").hint("ask")
            };
            let text = serde_json::to_string(&error).expect("JSON");
            assert_eq!(serde_json::from_str::<Error>(&text).expect("an error"), error);
        }
    }

    #[test]
    fn names_are_those_of_the_contract() {
        let names = Kind::ALL.map(|kind| kind.to_string());
        assert_eq!(
            names.join(" "),
            "config auth permission not-found rate-limited unavailable data unsupported internal"
        );
        assert_eq!(
            Origin::ALL.map(|origin| origin.to_string()).join(" "),
            "usage configuration component sandbox sink state host"
        );
    }
}
