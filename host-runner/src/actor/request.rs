//! Requests to the actor of a server: answered between two batches, because only the actor may call the component and
//! write to the sink. What they change is carried over into the schedule.

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::respond::{Effect, Responder, SinkAccess};
use super::subscribing::Subscribing;
use super::{Actor, End, Work, until_stopped};
use crate::change::Table;
use crate::error::{Origin, Result};
use crate::request::Request;
use crate::sinks::Target;

/// The answer to a request, as JSON.
pub type Answer = Result<Value>;

/// A request with the channel for its answer.
pub struct Ask {
    /// The request.
    pub request: Request,
    /// Takes the answer.
    pub reply: oneshot::Sender<Answer>,
}

impl Actor {
    /// Answers a request. `tables` are those of the last discovery.
    pub(super) async fn respond(
        &mut self,
        request: &Request,
        sink: &Target,
        tables: Option<&[Table]>,
    ) -> Result<Result<(Value, Effect)>, End> {
        let mut responder = Responder {
            describe: &self.describe,
            sandbox: &mut self.sandbox,
            store: &self.store,
            sink: SinkAccess::Open(sink),
            journal: self.journal.path(),
            tables,
        };
        until_stopped(&mut self.stop, responder.answer(request)).await
    }

    /// Sends an answer; counts a failure of the source.
    pub(super) fn reply(&self, ask: Ask, answer: Answer) {
        if let Err(error) = &answer
            && matches!(error.origin, Origin::Component | Origin::Sandbox)
        {
            self.meters.failed(error);
        }
        let _sender_left = ask.reply.send(answer);
    }
}

impl Work {
    /// Answers a request and carries over what it changed.
    pub(super) async fn answer(&mut self, ask: Ask) -> Result<(), End> {
        let answer = match self.respond(&ask.request).await? {
            Ok((value, effect)) => {
                self.follow(effect).await?;
                Ok(value)
            }
            Err(error) => Err(error),
        };
        self.actor.reply(ask, answer);
        Ok(())
    }

    /// Answers a request without carrying over what it changed.
    pub(super) async fn respond(&mut self, request: &Request) -> Result<Result<(Value, Effect)>, End> {
        self.actor.respond(request, &self.target, Some(&self.tables)).await
    }

    /// Carries over into the schedule what a request changed.
    pub(super) async fn follow(&mut self, effect: Effect) -> Result<(), End> {
        let now = Instant::now();
        let connection = self.actor.store.name();
        match effect {
            Effect::None => {}
            Effect::Discovered(tables) => self.discovered(tables).await?,
            Effect::Reset(tables) => {
                tracing::info!(connection, tables = tables.join(","), "new snapshots start now");
                for table in &tables {
                    self.agenda.restart(table, now);
                    self.actor.meters.count(|counters| counters.table(table).complete = false);
                }
            }
            Effect::Subscribed { stored, is_new } => {
                self.subscribing.subscribed(stored, now);
                if is_new {
                    tracing::info!(connection, "subscribed");
                    // Changes from before the registration were not delivered.
                    self.agenda.all_due(now);
                }
            }
            Effect::Unsubscribed => {
                tracing::info!(connection, "unsubscribed");
                self.subscribing = Subscribing::new(None, None, now);
            }
            Effect::UrlChanged => self.subscribing.changed(now),
        }
        Ok(())
    }
}
