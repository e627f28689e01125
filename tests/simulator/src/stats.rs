//! The statistics of `/_admin/stats` and [`crate::Simulator::stats`]: usage, deliveries, live rows.

use serde_json::{Value, json};

use crate::shared::Shared;

/// Requests by endpoint and status, faults, credits, peak concurrency, tokens, deliveries and live rows.
pub(crate) fn stats(shared: &Shared) -> Value {
    let budget = shared.daily_credits(&shared.settings());
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
