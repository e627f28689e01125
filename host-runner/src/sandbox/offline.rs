//! Calls that need no source: each runs in a separate instance, which reaches no host.

use std::sync::Arc;

use wasmtime::Store;

use super::bounded;
use super::error::timed_out;
use crate::bindings::SourceConnector;
use crate::conv;
use crate::describe::Describe;
use crate::egress::policy::Policy;
use crate::egress::{Client, Hooks};
use crate::engine::Component;
use crate::error::Result;
use crate::limits::{Limits, OFFLINE_CPU, OFFLINE_TIMEOUT};
use crate::secret::Redactor;
use crate::store_data::Host;
use crate::store_data::budget::Share;

impl Component {
    /// The component's `describe` document; the call has no network. One call for all connections.
    pub async fn describe(&self, limits: &Limits) -> Result<Arc<Describe>> {
        let call = async || {
            let document = offline("describe", self, limits, async |store, world| {
                world.connector_source_metadata().call_describe(store).await
            });
            let describe = Describe::parse(&document.await?)?;
            if let Some(section) = &self.section {
                describe
                    .agrees_with(section)
                    .map_err(|error| error.about(format!("component {}", self.path.display())))?;
            }
            Ok(Arc::new(describe))
        };
        self.described.get_or_try_init(call).await.cloned()
    }
}

/// Lets a component parse its configuration, without network and session, in an instance for this call only.
pub(crate) async fn validate(
    component: &Component,
    config: String,
    limits: &Limits,
    redactor: &Redactor,
) -> Result<()> {
    let opened = offline("open", component, limits, async |store, world| {
        world.connector_source_source().connection().call_open(store, &config, None).await
    })
    .await?;
    opened.map(drop).map_err(|error| conv::error(error, redactor))
}

/// One call in a new instance that reaches no host and holds its permit for this call only. It has nothing to
/// wait for, so that its limits are those of the runner where a connection's are longer.
async fn offline<T>(
    name: &'static str,
    component: &Component,
    limits: &Limits,
    call: impl AsyncFnOnce(&mut Store<Host>, &SourceConnector) -> wasmtime::Result<T>,
) -> Result<T> {
    let mut limits = limits.clone();
    limits.sandbox.call_timeout = limits.sandbox.call_timeout.min(OFFLINE_TIMEOUT);
    limits.sandbox.cpu_time = limits.sandbox.cpu_time.min(OFFLINE_CPU);
    let limits = &limits;
    let linked = component.link()?;
    let client = Client::new(Policy::default(), limits, None)?;
    let hooks = Hooks { client, meter: Arc::default() };
    let _permit = linked.permits.acquire_offline().await?;
    let mut store = Host::store(&linked.engine, limits, hooks, linked.memory.account(Share::All));
    let calling = async {
        let world = linked.pre.instantiate_async(&mut store).await?;
        call(&mut store, &world).await
    };
    let late = |name: &str, limits: &Limits| {
        timed_out(name, limits).hint("it needs no source for it: a defect of the component")
    };
    bounded(name, limits, late, calling).await
}
