//! Embedding: a connection of another program, which brings its own loop, sinks and state.
//!
//! [`Engine`] compiles components, [`Embedded`] says what one connection may do, and [`Sandbox`] makes the
//! calls. `docs/embedding.md` has the order of calls; `examples/embed.rs` is a complete program. Knows no
//! file but the component, no sink, no schedule.

use std::sync::Arc;

use serde_json::{Map, Value};

pub use crate::change::{
    Batch, Change, ChangeSource, CheckItem, Generation, Operation, Outcome, Piece, Receipt, Table,
};
pub use crate::delivery::Delivery;
pub use crate::describe::Describe;
pub use crate::egress::policy::Target;
pub use crate::engine::{Component, Engine};
pub use crate::error::{Error, Kind, Origin, Result};
pub use crate::limits::Limits;
pub use crate::sandbox::{Sandbox, SessionStore};
pub use crate::secret::Redactor;

use crate::egress::Client;
use crate::egress::policy::Policy;

/// A connection that another program runs.
pub struct Embedded {
    /// Names the connection in the log, and its secrets in the redactor.
    pub name: String,
    /// The component's configuration.
    pub config: Map<String, Value>,
    /// The last session that `sessions` saved.
    pub session: Option<String>,
    /// Where sessions are kept.
    pub sessions: Arc<dyn SessionStore>,
    /// `host:port` that the component may call in addition to the hosts it declares, also without TLS and on
    /// private addresses.
    pub allow: Vec<Target>,
    /// Memory, time, bytes and requests.
    pub limits: Limits,
    /// Removes the connection's secrets from text; a clone shares them with the program's own log.
    pub redactor: Redactor,
}

impl Embedded {
    /// A connection without a session, with the default limits, that calls the declared hosts only.
    pub fn new(name: &str, config: Map<String, Value>, sessions: Arc<dyn SessionStore>) -> Self {
        Self {
            name: name.to_owned(),
            config,
            session: None,
            sessions,
            allow: Vec::new(),
            limits: Limits::default(),
            redactor: Redactor::default(),
        }
    }

    /// Asks the component for its description, makes the egress policy of it, and returns the sandbox. The
    /// configuration is checked by the first call.
    pub async fn open(self, component: &Component) -> Result<Sandbox> {
        let describe = component.describe(&self.limits).await?;
        for key in describe.keys().iter().filter(|key| key.is_secret()) {
            if let Some(value) = self.config.get(key.name) {
                self.redactor.learn_config(&self.name, value);
            }
        }
        if let Some(session) = &self.session {
            self.redactor.learn_session(&self.name, session);
        }
        let policy = Policy::new(describe.targets(&self.config)?, self.allow);
        let client = Client::new(policy, &self.limits, None)?;
        let config = Value::Object(self.config).to_string();
        let redactor = self.redactor.of(&self.name);
        Sandbox::new(component, config, self.session, self.sessions, redactor, client, self.limits)
    }
}
