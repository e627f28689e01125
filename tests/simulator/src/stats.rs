//! The statistics of `/_admin/stats` and [`crate::Simulator::stats`]: usage, deliveries, live rows.

use serde_json::{Value, json};

use crate::shared::Shared;

/// The credit account: of the day, and of each endpoint since the last reset.
pub(crate) fn credits(shared: &Shared) -> Value {
    let (settings, now) = (shared.settings(), shared.clock.now_ms());
    let mut credits = shared.meter.credits(now);
    credits["budget"] = shared.daily_credits(&settings).into();
    credits["others"] = settings.others.used(now).into();
    credits["left"] = shared.meter.left(now, shared.own_credits(&settings)).into();
    credits
}

/// Requests by endpoint and status, faults, credits, peak concurrency, tokens, deliveries and live rows.
pub(crate) fn stats(shared: &Shared) -> Value {
    let budget = shared.own_credits(&shared.settings());
    let mut stats = shared.meter.report(shared.clock.now_ms(), budget);
    stats["webhooks"] = shared.webhooks.log.report();
    let world = shared.world();
    stats["rows"] = json!({
        "tickets": world.tickets.live_count(), "departments": world.departments.live_count(),
        "products": world.products.live_count(), "contracts": world.contracts.live_count(),
        "contacts": world.contacts.live_count(), "accounts": world.accounts.live_count(),
        "organization_fields": world.fields.all().len(),
    });
    stats
}
