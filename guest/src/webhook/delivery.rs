//! Deliveries to changes, in three steps: verify, plan, complete with refetched records.
//!
//! Zoho signs the sender and the addressee of a delivery, not its body (`zoho-desk-api.md` §6.5). The
//! settings `signature` and `refetch` decide how far a body is trusted.

use super::events;
use super::keys::Keys;
use super::plan::{self, Plan, Step};
use super::refetch::{Answers, Reads, Records};
use super::signature::{self, Refusal};
use super::signing_keys::SigningKeys;
use super::subscription::Subscription;
use super::trust::Proof;
use crate::api::Api;
use crate::change::Change;
use crate::config::{Config, Signature};
use crate::error::{Error, Kind, Result};
use crate::limits;
use crate::transport::Transport;

/// One HTTP request to the webhook URL; the contract's `delivery`.
pub struct Delivery {
    pub received_at_ms: u64,
    pub method: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// The changes of one delivery; the contract's `receipt`.
#[derive(Debug, Default)]
pub struct Receipt {
    pub changes: Vec<Change>,
    /// Names of events that belong to no table that is read, or cannot be used.
    pub ignored: Vec<String>,
}

/// Verifies and translates the deliveries of one connection.
#[derive(Default)]
pub(crate) struct Receiver {
    keys: SigningKeys,
    /// Of the records that the last call read.
    answers: Answers,
}

/// The sender of deliveries, by the stored subscription.
struct Expected {
    is_subscribed: bool,
    webhook_id: Option<String>,
}

impl Expected {
    /// A subscription that cannot be read, for example of a newer version, is one whose id is not known.
    fn new(subscription: Option<&str>) -> Self {
        let known = subscription.and_then(|json| Subscription::parse(json).ok());
        Self { is_subscribed: subscription.is_some(), webhook_id: known.and_then(|known| known.webhook_id) }
    }
}

impl Receiver {
    /// Verifies and translates deliveries, in order, one result each. Deliveries that need more records than
    /// one call reads are `unavailable` for now, with all behind them.
    pub(crate) fn receive<T: Transport>(
        &mut self,
        api: &mut Api<T>,
        subscription: Option<&str>,
        deliveries: &[Delivery],
    ) -> Vec<Result<Receipt>> {
        let expected = Expected::new(subscription);
        self.answers.set_back(api.transport().now_ms());
        let mut reads = Reads::default();
        let mut plans: Vec<Result<Plan>> = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let plan = if reads.is_full() { Err(later()) } else { self.plan(api, &expected, delivery) };
            plans.push(plan.and_then(|plan| self.admit(api, plan, &mut reads)));
        }
        let unsigned = std::mem::take(&mut reads.unsigned);
        let records = Records::read(api, reads, &mut self.answers);
        let is_failed = |path: &&String| records.as_ref().map_or(true, |records| records.has_failed(path));
        api.trust().give_back(unsigned.iter().filter(is_failed).count());
        plans.into_iter().map(|plan| complete(api.config(), plan?, &records)).collect()
    }

    /// Verifies a delivery, then plans its events.
    fn plan<T: Transport>(
        &mut self,
        api: &mut Api<T>,
        expected: &Expected,
        delivery: &Delivery,
    ) -> Result<Plan> {
        // Zoho validates a new URL with GET, and with a POST without events.
        if !delivery.method.eq_ignore_ascii_case("POST") {
            return Ok(Plan::default());
        }
        let events = events::parse(&delivery.body);
        if events.as_ref().is_ok_and(Vec::is_empty) {
            return Ok(Plan::default());
        }
        // Before errors of the body are reported: a delivery that is not from Zoho is refused as such.
        let proof = self.verify(api, expected, delivery)?;
        let refused = |what: String| Error::new(Kind::Data, format!("webhook delivery: {what}"));
        let events = events.map_err(refused)?;
        let at_ms = delivery.received_at_ms;
        let mut arrival = plan::Arrival { at_ms, source: api.arrival(at_ms), proof };
        if proof != Proof::Unsigned && arrival.is_before(&events) {
            self.keys.compare_clocks(api);
            arrival.source = api.arrival(at_ms);
        }
        plan::new(api.config(), &events, arrival)
    }

    /// Adds the records that a plan needs to `reads`, or refuses the plan because they are too many.
    fn admit<T: Transport>(&self, api: &mut Api<T>, plan: Plan, reads: &mut Reads) -> Result<Plan> {
        let new = reads.missing(api.config(), plan.lookups(), &self.answers);
        if !reads.has_room(&new) {
            return Err(later());
        }
        // `off` is the decision to trust every sender with the URL.
        let has_budget = plan.proof != Proof::Unsigned || api.config().signature == Signature::Off;
        let now_ms = api.transport().now_ms();
        if !has_budget && !api.trust().spend(new.len(), now_ms) {
            return Err(match api.trust().wait_ms(now_ms) {
                Some(wait_ms) => too_many_failed(wait_ms),
                None => too_many_unsigned(),
            });
        }
        if !has_budget {
            reads.unsigned.extend(new.keys().cloned());
        }
        reads.add(new);
        Ok(plan)
    }

    /// How far the delivery is proved to be from Zoho; an error when it must be and is not.
    fn verify<T: Transport>(
        &mut self,
        api: &mut Api<T>,
        expected: &Expected,
        delivery: &Delivery,
    ) -> Result<Proof> {
        let is_required = match api.config().signature {
            Signature::Off => return Ok(Proof::Unsigned),
            Signature::Required => true,
            Signature::WhenPresent => false,
            Signature::Auto => expected.is_subscribed || api.trust().is_signed,
        };
        let is_signature = |(name, _): &&(String, Vec<u8>)| name.eq_ignore_ascii_case(signature::HEADER);
        let Some((_, token)) = delivery.headers.iter().find(is_signature) else {
            let missing = || Err(unproved("the header X-ZDesk-JWT is missing"));
            return if is_required { missing() } else { Ok(Proof::Unsigned) };
        };
        let token = String::from_utf8_lossy(token);
        let webhook_id = expected.webhook_id.as_deref();
        let organization_id = api.config().organization_id.clone();
        let received_at_ms = delivery.received_at_ms;
        let verify =
            |keys: &Keys, at_ms| signature::verify(&token, keys, &organization_id, webhook_id, at_ms);
        let mut outcome = verify(self.keys.known(api)?, api.arrival(received_at_ms).latest_ms);
        if let Err(Refusal::UnknownKey(_) | Refusal::Expired) = outcome {
            // Fetching them compares the clocks, too: one of them may have been corrected.
            let keys = self.keys.newer_than(api, received_at_ms)?;
            outcome = verify(keys, api.arrival(received_at_ms).latest_ms);
        }
        let is_in_time = outcome != Err(Refusal::Expired);
        if !is_in_time {
            // It may have arrived before a clock was corrected. If not, a repeated delivery costs a refetch.
            outcome = verify(self.keys.known(api)?, api.arrival(received_at_ms).earliest_ms);
        }
        let ends_ms = outcome.map_err(|refusal| unproved(&refusal.message()))?;
        let trust = api.trust();
        trust.is_signed = true;
        let is_first = trust.tokens.accept(&token, ends_ms, &delivery.body, received_at_ms);
        let is_proved = is_in_time && is_first && webhook_id.is_some();
        Ok(if is_proved { Proof::Webhook } else { Proof::Organization })
    }
}

/// The changes of a plan's steps, in their order.
fn complete(config: &Config, plan: Plan, records: &Result<Records<'_>>) -> Result<Receipt> {
    let mut changes = Vec::with_capacity(plan.steps.len());
    for step in plan.steps {
        match step {
            Step::Apply(change) => changes.push(change),
            Step::Refetch(lookup) => {
                let records = records.as_ref().map_err(Error::clone)?;
                changes.extend(records.change(config, &lookup)?);
            }
        }
    }
    Ok(Receipt { changes, ignored: plan.ignored })
}

fn unproved(what: &str) -> Error {
    Error::new(Kind::Permission, format!("webhook delivery: {what}"))
        .code("SIGNATURE")
        .hint("another sender knows this URL: change it with `webhook url --rotate` and register the new one")
}

fn later() -> Error {
    let message = format!("webhook delivery: one call refetches {} records", limits::REFETCHES_MAX);
    Error::new(Kind::Unavailable, message).retry_after_ms(Some(0))
}

fn too_many_failed(wait_ms: u64) -> Error {
    let most = limits::UNSIGNED_FAILED_MAX;
    let message = format!(
        "webhook delivery: more than {most} records of unsigned deliveries could not be read in an hour"
    );
    Error::new(Kind::RateLimited, message)
        .code("UNSIGNED_FAILED")
        .hint("it waits for the next hour; `check` shows whether the source can be read")
        .retry_after_ms(Some(wait_ms))
}

fn too_many_unsigned() -> Error {
    let most = limits::UNSIGNED_READS_MAX;
    Error::new(
        Kind::Permission,
        format!("webhook delivery: unsigned deliveries named more than {most} records in an hour"),
    )
    .code("UNSIGNED")
    .hint(
        "polling finds the changes; register the webhook with `webhook subscribe`, which makes Zoho sign, or \
         set `signature` to \"off\" if every sender with the URL is trusted",
    )
}
