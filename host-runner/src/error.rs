//! The one error of this crate: who failed, what the caller can do, and what a person should read.
//!
//! Knows nothing of printing, exit codes or retries; [`crate::policy`] decides from it.

use std::fmt;

/// Who failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Usage,
    /// The connection file or the key file.
    Configuration,
    /// The component answered with an error.
    Component,
    /// The component was stopped or refused by the sandbox.
    Sandbox,
    /// The target could not take the rows.
    Sink,
    /// The runner's own files under the data folder.
    State,
    /// Anything else in the runner.
    Host,
}

/// What the caller can do about it; the contract's kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A person must change the configuration.
    Config,
    /// Authorise again.
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

impl Kind {
    /// The name used in the contract, in logs and in `--json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::NotFound => "not-found",
            Self::RateLimited => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::Data => "data",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }
}

impl Kind {
    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [
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
        all.into_iter().find(|kind| kind.name() == name)
    }
}

impl<'de> serde::Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| serde::de::Error::custom(format!("`{name}` is no kind of failure")))
    }
}

impl serde::Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Origin {
    /// The name used in logs and in `--json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Configuration => "configuration",
            Self::Component => "component",
            Self::Sandbox => "sandbox",
            Self::Sink => "sink",
            Self::State => "state",
            Self::Host => "host",
        }
    }

    /// The origin of that name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Usage,
            Self::Configuration,
            Self::Component,
            Self::Sandbox,
            Self::Sink,
            Self::State,
            Self::Host,
        ];
        all.into_iter().find(|origin| origin.name() == name)
    }
}

/// A failure, ready to be shown or decided upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Who failed.
    pub origin: Origin,
    /// What can be done.
    pub kind: Kind,
    /// The thing first, then what happened; lower case, no full stop.
    pub message: String,
    /// What to try next.
    pub hint: Option<String>,
    /// The source's own code.
    pub code: Option<String>,
    /// When the same call may be made again.
    pub retry_after_ms: Option<u64>,
    /// The contract's attributes.
    pub attributes: Vec<(String, String)>,
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with nothing but the essentials.
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

    /// The command line asks for something that cannot be.
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

    /// The target failed.
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

    /// The component broke the contract: what it sent cannot be used.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Origin::Component, Kind::Data, message)
    }

    /// Says what to try next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts the thing that failed in front of what happened.
    pub fn about(mut self, thing: impl fmt::Display) -> Self {
        self.message = format!("{thing}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
