//! Requests to the actor of a server: executed between two batches, because only the actor may call the
//! component and write to the sink. The schedule then follows the changes.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::core::until_stopped;
use super::respond::{QueueAccess, Responder, SinkAccess, json};
use super::{Actor, Stopped};
use crate::blocking;
use crate::error::{Origin, Result};
use crate::request::Request;

/// The answer to a request, as JSON.
pub(crate) type Answer = Result<Value>;

/// A request with the channel for its answer.
pub(crate) struct Command {
    /// The request.
    pub request: Request,
    /// Takes the answer.
    pub reply: oneshot::Sender<Answer>,
}

impl Actor<'_> {
    /// Executes a request and sends the answer.
    pub(super) async fn answer(&mut self, command: Command) -> Result<(), Stopped> {
        self.core.connection.sandbox.unreserve();
        self.settle().await?;
        let answer = self.execute(&command.request).await?;
        // The counters show every failure of the source.
        if let Err(error) = &answer
            && matches!(error.origin, Origin::Component | Origin::Sandbox)
        {
            self.core.meters.failed(error);
        }
        let _client_left = command.reply.send(answer);
        Ok(())
    }

    /// Executes a request and carries its changes over into the schedule.
    pub(super) async fn execute(&mut self, request: &Request) -> Result<Answer, Stopped> {
        if matches!(request, Request::Discover) {
            return Ok(self.discover().await?.and_then(json));
        }
        let mut responder = Responder {
            connection: &mut self.core.connection,
            sink: SinkAccess::Open(&self.core.sink),
            queue: match &self.queue {
                Some(queue) => QueueAccess::Open(Arc::clone(queue.consumer())),
                None => QueueAccess::None,
            },
            tables: self.discovery.is_done().then(|| self.discovery.tables()),
        };
        let answer = until_stopped(&mut self.core.stop, responder.answer(request)).await?;
        if let Ok(answer) = &answer {
            self.carry_over(request, answer).await?;
        }
        Ok(answer)
    }

    async fn carry_over(&mut self, request: &Request, answer: &Value) -> Result<()> {
        let now = Instant::now();
        let connection = &self.core.connection.name;
        match request {
            Request::Reset { .. } => {
                let tables = answer.as_array().into_iter().flatten().filter_map(Value::as_str);
                for table in tables {
                    tracing::info!(%connection, table, "a new snapshot starts");
                    self.poll.schedule.restart(table, now);
                    self.core.meters.count(|readings| readings.table(table).snapshot_complete = false);
                }
            }
            Request::Subscribe { .. } | Request::Unsubscribe => {
                let store = self.core.connection.store.clone();
                let stored = blocking::spawn(move || store.subscription()).await??;
                if self.subscription.renewed(stored, now) {
                    tracing::info!(%connection, "subscribed");
                    // No webhook brought the changes from before the registration.
                    self.poll.schedule.all_due(now);
                }
            }
            Request::RotateUrl { .. } | Request::UrlChanged => self.subscription.changed(now),
            Request::Authorize { .. }
            | Request::Check
            | Request::Discover
            | Request::Count { .. }
            | Request::Invoke { .. }
            | Request::State
            | Request::DeleteSession => {}
        }
        Ok(())
    }
}
