//! Deliveries become changes: verified, planned, and completed by what is read again.
//!
//! Zoho signs who sent a delivery and to whom, not its body (`zoho-desk-api.md` §6.5). A body is therefore a hint of what changed;
//! how far it is believed is the configuration's `signature` and `refetch`.

use super::Subscription;
use super::events;
use super::keys::Keys;
use super::plan::{self, Plan, Step};
use super::readback::Records;
use super::signature::{self, Refusal};
use crate::api::Api;
use crate::config::{Config, Signature};
use crate::error::{Error, Kind as Failure, Result};
use crate::row::Change;
use crate::transport::Transport;

/// One HTTP request as it arrived; the contract's `delivery`.
pub struct Delivery {
    pub received_at_ms: u64,
    pub method: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// What one delivery meant; the contract's `receipt`.
#[derive(Debug, Default)]
pub struct Receipt {
    pub changes: Vec<Change>,
    /// Names of events that belong to no table that is read.
    pub ignored: Vec<String>,
}

/// Verifies and translates deliveries, in order, one answer each.
pub fn receive<T: Transport>(
    api: &mut Api<T>,
    subscription: Option<&str>,
    deliveries: &[Delivery],
) -> Vec<Result<Receipt>> {
    let subscription = match subscription.map(Subscription::parse).transpose() {
        Ok(subscription) => subscription,
        Err(error) => return deliveries.iter().map(|_| Err(error.clone())).collect(),
    };
    let plans: Vec<Result<Plan>> =
        deliveries.iter().map(|delivery| plan(api, subscription.as_ref(), delivery)).collect();
    let wanted = plans.iter().flatten().flat_map(|plan| &plan.steps).filter_map(|step| match step {
        Step::Read(wanted) => Some(wanted),
        Step::Believe(_) => None,
    });
    let records = Records::read(api, wanted);
    plans.into_iter().map(|plan| plan.and_then(|plan| finish(api.config(), plan, &records))).collect()
}

/// Whose delivery it is, and what it asks for.
fn plan<T: Transport>(
    api: &mut Api<T>,
    subscription: Option<&Subscription>,
    delivery: &Delivery,
) -> Result<Plan> {
    // Zoho validates a new URL with GET, and with a POST that holds nothing.
    if !delivery.method.eq_ignore_ascii_case("POST") {
        return Ok(Plan::default());
    }
    let events = events::parse(&delivery.body);
    if events.as_ref().is_ok_and(Vec::is_empty) {
        return Ok(Plan::default());
    }
    // Before anything is said of the body: what is not Zoho's is a stranger's, whatever it holds.
    let verified = verify(api, subscription, delivery)?;
    let refused = |what: String| Error::new(Failure::Data, format!("webhook delivery: {what}"));
    let events = events.map_err(refused)?;
    plan::of(api.config(), &events, delivery.received_at_ms, verified)
}

/// Puts what was read into its place among what was believed.
fn finish(config: &Config, plan: Plan, records: &Result<Records>) -> Result<Receipt> {
    let mut changes = Vec::with_capacity(plan.steps.len());
    for step in plan.steps {
        match step {
            Step::Believe(change) => changes.push(change),
            Step::Read(wanted) => {
                let records = records.as_ref().map_err(Error::clone)?;
                changes.extend(records.change(config, &wanted)?);
            }
        }
    }
    Ok(Receipt { changes, ignored: plan.ignored })
}

/// True when the delivery is proved to be from Zoho; an error when it must be and is not.
fn verify<T: Transport>(
    api: &mut Api<T>,
    subscription: Option<&Subscription>,
    delivery: &Delivery,
) -> Result<bool> {
    let required = match api.config().signature {
        Signature::Off => return Ok(false),
        Signature::Required => true,
        Signature::WhenPresent => false,
        Signature::Auto => subscription.is_some(),
    };
    let token = delivery
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(signature::HEADER))
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    let Some(token) = token else {
        return if required {
            Err(unproved("the header X-ZDesk-JWT is missing".to_owned()))
        } else {
            Ok(false)
        };
    };
    let webhook_id = subscription.and_then(|subscription| subscription.webhook_id.as_deref());
    let organization_id = api.config().organization_id.clone();
    let at_ms = delivery.received_at_ms;
    let verify = |keys: &Keys| signature::verify(&token, keys, &organization_id, webhook_id, at_ms);
    let mut outcome = verify(api.signing_keys(None)?);
    if let Err(Refusal::UnknownKey(_)) = outcome {
        outcome = verify(api.signing_keys(Some(at_ms))?);
    }
    outcome.map(|()| true).map_err(|refusal| unproved(refusal.message()))
}

fn unproved(what: String) -> Error {
    Error::new(Failure::Permission, format!("webhook delivery: {what}"))
        .code("SIGNATURE")
        .hint("somebody else knows this URL: change it with `webhook url --rotate` and register the new one")
}
