//! How an actor answers: only it may call the component and write to the target, so it does what it is asked
//! between two batches.

use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Actor, End, Work, until_stopped};
use crate::check::Webhooks;
use crate::error::{Error, Origin, Result};
use crate::request::{Request, Standing, command, count};
use crate::sinks::{self, JOURNAL, Target};
use crate::webhook_url::PublicUrl;

/// What was asked for, as JSON, or why not.
pub type Answer = Result<Value>;

/// A request and who waits for its answer.
pub struct Ask {
    /// What is asked.
    pub request: Request,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answer>,
}

fn json<T: Serialize>(value: Result<T>) -> Answer {
    serde_json::to_value(value?).map_err(|error| Error::host(format!("an answer is not JSON: {error}")))
}

impl Work {
    /// Does what is asked and answers.
    pub(super) async fn answer(&mut self, ask: Ask) -> Result<(), End> {
        let answer = match &ask.request {
            Request::Subscribe { public_url } => match PublicUrl::parse(public_url) {
                Ok(public_url) => json(self.subscribe(public_url).await?),
                Err(error) => Err(error),
            },
            Request::HooksChanged => json(Ok(self.subscribing.changed(Instant::now()))),
            Request::Unsubscribe => json(self.unsubscribe().await?),
            Request::Discover => json(self.discover().await?),
            Request::Reset { tables } => json(self.reset(tables).await),
            request => self.actor.answer(request, &self.target).await?,
        };
        self.actor.reply(ask, answer);
        Ok(())
    }

    /// Tables are read from the start, at once.
    async fn reset(&mut self, tables: &[String]) -> Result<Vec<String>> {
        let reset = self.actor.reset(tables, &self.target).await?;
        for table in &reset {
            self.agenda.restart(table, Instant::now());
            self.actor.meters.count(|readings| readings.table(table).snapshot_complete = false);
        }
        tracing::info!(connection = %self.actor.name, tables = reset.join(","), "read again from the start");
        Ok(reset)
    }
}

impl Actor {
    /// Answers what needs nothing but the component and the target.
    pub(super) async fn answer(&mut self, request: &Request, target: &Target) -> Result<Answer, End> {
        let sandbox = &mut self.sandbox;
        Ok(match request {
            Request::Authorize { grant } => {
                json(until_stopped(&mut self.stop, sandbox.authorize(grant.clone())).await?)
            }
            Request::Check => {
                let subscription = self.subscriptions.load()?.map(|kept| kept.subscription);
                match until_stopped(&mut self.stop, sandbox.check(subscription)).await? {
                    Ok(mut items) => json(self.webhooks(target).await.map(|webhooks| {
                        items.extend(webhooks.items());
                        items
                    })),
                    Err(error) => Err(error),
                }
            }
            Request::Discover => json(until_stopped(&mut self.stop, sandbox.discover()).await?),
            Request::Count { tables } => {
                json(until_stopped(&mut self.stop, count(sandbox, &self.describe, tables)).await?)
            }
            Request::Command { name, arguments } => {
                until_stopped(&mut self.stop, command(sandbox, name, arguments)).await?
            }
            Request::State => {
                let authorized = sandbox.has_session();
                let tables = target.work(|sink| sinks::tables(sink)).await;
                json(tables.map(|tables| Standing { authorized, tables }))
            }
            Request::Reset { tables } => json(self.reset(tables, target).await),
            // It is seen to when the actor begins.
            Request::HooksChanged => {
                json(self.subscriptions.load().map(|kept| kept.is_some() || self.public_url.is_some()))
            }
            Request::Subscribe { .. } | Request::Unsubscribe => {
                let message = format!("connection `{}`: is not at work yet", self.name);
                Err(Error::state(message).hint("try again in a moment; its state is under /-/health"))
            }
        })
    }

    /// Hands an answer over; a failure of the source shows in what is counted too.
    pub(super) fn reply(&self, ask: Ask, answer: Answer) {
        if let Err(error) = &answer
            && matches!(error.origin, Origin::Component | Origin::Sandbox)
        {
            self.meters.failed(error);
        }
        // Who asked may have left.
        let _gone = ask.reply.send(answer);
    }

    async fn reset(&mut self, tables: &[String], target: &Target) -> Result<Vec<String>> {
        let wanted: Vec<String> = tables.iter().map(|name| self.describe.table_name(name)).collect();
        target.work(move |sink| sinks::reset(sink, &wanted)).await
    }

    async fn webhooks(&mut self, target: &Target) -> Result<Webhooks> {
        let position = target.work(|sink| sink.position(JOURNAL)).await?;
        let mut webhooks = Webhooks {
            is_subscribed: self.subscriptions.load()?.is_some(),
            applied_at: position.map(|position| position.updated_at),
            ..Webhooks::default()
        };
        webhooks.look(&self.journal, &self.name)?;
        Ok(webhooks)
    }
}
