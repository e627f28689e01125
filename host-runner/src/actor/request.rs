//! How an actor answers: only it may call the component and write to the target, so it does what it is asked
//! between two batches.

use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::core::until_stopped;
use super::{Actor, Stopped};
use crate::check::Webhooks;
use crate::error::{Error, Origin, Result};
use crate::request::{Request, Standing, command, count};
use crate::sinks;
use crate::webhook_url::PublicUrl;

/// What was asked for, as JSON, or why not.
pub type Answer = Result<Value>;

/// A request and who waits for its answer.
pub struct Command {
    /// What is asked.
    pub request: Request,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answer>,
}

fn json<T: Serialize>(value: Result<T>) -> Answer {
    serde_json::to_value(value?).map_err(|error| Error::host(format!("an answer is not JSON: {error}")))
}

impl Actor<'_> {
    /// Does what is asked and answers.
    pub(super) async fn answer(&mut self, command: Command) -> Result<(), Stopped> {
        self.settle().await?;
        let answer = self.execute(&command.request).await?;
        // A failure of the source shows in what is counted too.
        if let Err(error) = &answer
            && matches!(error.origin, Origin::Component | Origin::Sandbox)
        {
            self.core.meters.failed(error);
        }
        // Who asked may have left.
        let _gone = command.reply.send(answer);
        Ok(())
    }

    async fn execute(&mut self, request: &Request) -> Result<Answer, Stopped> {
        let (sandbox, stop) = (&mut self.core.sandbox, &mut self.core.stop);
        Ok(match request {
            Request::Authorize { grant } => {
                json(until_stopped(stop, sandbox.authorize(grant.clone())).await?)
            }
            Request::Check => {
                let subscription = self.subscription.document().cloned();
                match until_stopped(stop, sandbox.check(subscription)).await? {
                    Ok(mut items) => json(self.webhooks().await.map(|webhooks| {
                        items.extend(webhooks.items());
                        items
                    })),
                    Err(error) => Err(error),
                }
            }
            Request::Discover => json(self.discover().await?),
            Request::Count { tables } => {
                json(until_stopped(stop, count(sandbox, &self.core.describe, tables)).await?)
            }
            Request::Command { name, arguments } => {
                until_stopped(stop, command(sandbox, name, arguments)).await?
            }
            Request::State => {
                let authorized = sandbox.has_session();
                let tables = self.core.sink.run(|sink| sink.table_states()).await;
                json(tables.map(|tables| Standing { authorized, tables }))
            }
            Request::Reset { tables } => json(self.reset(tables).await),
            Request::HooksChanged => json(Ok(self.subscription.changed(Instant::now()))),
            Request::Subscribe { .. } | Request::Unsubscribe if !self.discovery.is_done() => {
                let message = format!("connection `{}`: is not at work yet", self.core.name);
                Err(Error::state(message).hint("try again in a moment; its state is under /-/health"))
            }
            Request::Subscribe { public_url } => match PublicUrl::parse(public_url) {
                Ok(public_url) => self.subscribe(public_url).await?,
                Err(error) => Err(error),
            },
            Request::Unsubscribe => json(self.subscription.unsubscribe(&mut self.core).await?),
        })
    }

    async fn subscribe(&mut self, public_url: PublicUrl) -> Result<Answer, Stopped> {
        let tables = self.discovery.tables();
        let subscribed = self.subscription.subscribe(&mut self.core, tables, public_url).await?;
        if let Ok(is_new) = &subscribed {
            self.subscribed(*is_new);
        }
        Ok(json(subscribed.map(drop)))
    }

    /// Tables are read from the start, at once.
    async fn reset(&mut self, tables: &[String]) -> Result<Vec<String>> {
        let wanted: Vec<String> = tables.iter().map(|name| self.core.describe.table_name(name)).collect();
        let reset = self.core.sink.run(move |sink| sinks::reset(sink, &wanted)).await?;
        for table in &reset {
            self.poll.schedule.restart(table, Instant::now());
            self.core.meters.count(|readings| readings.table(table).snapshot_complete = false);
        }
        tracing::info!(connection = %self.core.name, tables = reset.join(","), "read again from the start");
        Ok(reset)
    }

    async fn webhooks(&mut self) -> Result<Webhooks> {
        let journal = self.core.sink.run(|sink| sink.journal_state()).await?;
        let mut webhooks = Webhooks {
            is_subscribed: self.subscription.document().is_some(),
            applied_at: journal.map(|journal| journal.updated_at),
            ..Webhooks::default()
        };
        if let Some(queue) = &self.queue {
            webhooks.look(queue.journal(), &self.core.name)?;
        }
        Ok(webhooks)
    }
}
