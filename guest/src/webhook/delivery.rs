//! Deliveries to changes, in three steps: verify, plan, complete with refetched records.
//!
//! Zoho signs the sender and the addressee of a delivery, not its body (`zoho-desk-api.md` §6.5). The
//! settings `signature` and `refetch` decide how far a body is trusted.

use super::events;
use super::keys::Keys;
use super::plan::{self, Lookup, Plan, Step};
use super::refetch::Records;
use super::signature::{self, Refusal};
use super::signing_keys::SigningKeys;
use super::subscription::Subscription;
use crate::api::Api;
use crate::change::Change;
use crate::config::{Config, Signature};
use crate::error::{Error, Kind, Result};
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
    /// Names of events that belong to no table that is read.
    pub ignored: Vec<String>,
}

/// Verifies and translates deliveries, in order, one result each.
pub(crate) fn receive<T: Transport>(
    api: &mut Api<T>,
    keys: &mut SigningKeys,
    subscription: Option<&str>,
    deliveries: &[Delivery],
) -> Vec<Result<Receipt>> {
    let subscription = match subscription.map(Subscription::parse).transpose() {
        Ok(subscription) => subscription,
        Err(error) => return deliveries.iter().map(|_| Err(error.clone())).collect(),
    };
    let plans: Vec<Result<Plan>> =
        deliveries.iter().map(|delivery| plan(api, keys, subscription.as_ref(), delivery)).collect();
    let records = Records::read(api, plans.iter().flatten().flat_map(lookups));
    plans.into_iter().map(|plan| complete(api.config(), plan?, &records)).collect()
}

/// Verifies a delivery, then plans its events.
fn plan<T: Transport>(
    api: &mut Api<T>,
    keys: &mut SigningKeys,
    subscription: Option<&Subscription>,
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
    let is_verified = verify(api, keys, subscription, delivery)?;
    let refused = |what: String| Error::new(Kind::Data, format!("webhook delivery: {what}"));
    plan::new(api.config(), &events.map_err(refused)?, delivery.received_at_ms, is_verified)
}

fn lookups(plan: &Plan) -> impl Iterator<Item = &Lookup> {
    plan.steps.iter().filter_map(|step| match step {
        Step::Refetch(lookup) => Some(lookup),
        Step::Apply(_) => None,
    })
}

/// The changes of a plan's steps, in their order.
fn complete(config: &Config, plan: Plan, records: &Result<Records>) -> Result<Receipt> {
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

/// True when the delivery is proved to be from Zoho; an error when it must be and is not.
fn verify<T: Transport>(
    api: &mut Api<T>,
    keys: &mut SigningKeys,
    subscription: Option<&Subscription>,
    delivery: &Delivery,
) -> Result<bool> {
    let is_required = match api.config().signature {
        Signature::Off => return Ok(false),
        Signature::Required => true,
        Signature::WhenPresent => false,
        Signature::Auto => subscription.is_some(),
    };
    let is_signature = |(name, _): &&(String, Vec<u8>)| name.eq_ignore_ascii_case(signature::HEADER);
    let Some((_, token)) = delivery.headers.iter().find(is_signature) else {
        let missing = || Err(unproved("the header X-ZDesk-JWT is missing"));
        return if is_required { missing() } else { Ok(false) };
    };
    let token = String::from_utf8_lossy(token);
    let webhook_id = subscription.and_then(|subscription| subscription.webhook_id.as_deref());
    let organization_id = api.config().organization_id.clone();
    let at_ms = delivery.received_at_ms;
    let verify = |keys: &Keys| signature::verify(&token, keys, &organization_id, webhook_id, at_ms);
    let mut outcome = verify(keys.known(api)?);
    if let Err(Refusal::UnknownKey(_)) = outcome {
        outcome = verify(keys.newer_than(api, at_ms)?);
    }
    outcome.map(|()| true).map_err(|refusal| unproved(&refusal.message()))
}

fn unproved(what: &str) -> Error {
    Error::new(Kind::Permission, format!("webhook delivery: {what}"))
        .code("SIGNATURE")
        .hint("another sender knows this URL: change it with `webhook url --rotate` and register the new one")
}
