//! `inspect`: all that a component can possibly touch, for an auditor.

use serde_json::json;

use super::Context;
use crate::egress::policy::Target;
use crate::engine::Component;
use crate::error::Result;
use crate::exit::Exit;
use crate::limits::Limits;
use crate::report::{columns, grouped};
use crate::sandbox::describe;
use crate::tenant::{component_path, load_component};
use crate::units::{format_bytes, format_duration};

pub(super) const HELP: &str = "\
Examples:
  host-runner inspect --component connector.wasm
  host-runner inspect -c acme.toml --json | jq .hosts   the hosts that this connection may reach";

pub(super) async fn run(context: &Context) -> Result<Exit> {
    if !context.connections.is_empty() {
        let tenant = context.tenant().await?;
        let connection = &tenant.connection;
        let allowed = tenant.policy.allowed().to_vec();
        let hosts = tenant.policy.declared().to_vec();
        show(context, &tenant.component, &tenant.describe, &connection.limits, hosts, allowed);
        return Ok(Exit::Success);
    }
    let limits = Limits::default();
    let path = component_path(&context.paths, None)?;
    let component = load_component(&path, &limits, &context.paths)?;
    let describe = describe(&component, &limits).await?;
    let mut hosts = describe.targets(&serde_json::Map::new())?;
    for host in &describe.hosts {
        let urls = host.urls.values().filter_map(|url| url.as_str()?.parse().ok());
        hosts.extend(urls.filter_map(|uri| Target::of(&uri)));
    }
    hosts.sort();
    hosts.dedup();
    show(context, &component, &describe, &limits, hosts, Vec::new());
    Ok(Exit::Success)
}

fn show(
    context: &Context,
    component: &Component,
    describe: &crate::describe::Describe,
    limits: &Limits,
    hosts: Vec<Target>,
    allowed: Vec<Target>,
) {
    let sandbox = &limits.sandbox;
    let texts = |targets: &[Target]| targets.iter().map(ToString::to_string).collect::<Vec<_>>();
    let overridable: Vec<&str> = describe.hosts.iter().filter_map(|host| host.key.as_deref()).collect();
    if context.printer.json {
        context.printer.value(&json!({
            "name": describe.name,
            "version": describe.version,
            "contract": describe.contract,
            "path": component.path,
            "sha256": component.sha256,
            "size": component.size,
            "imports": component.imports,
            "exports": component.exports,
            "hosts": texts(&hosts),
            "hosts_from_config": overridable,
            "allowed_by_operator": texts(&allowed),
            "limits": {
                "memory_bytes": sandbox.memory,
                "call_timeout_ms": sandbox.call_timeout.as_millis() as u64,
                "cpu_ms": sandbox.cpu_time.as_millis() as u64,
                "response_bytes": sandbox.max_response_bytes,
                "requests": sandbox.max_concurrent_requests,
                "hostcall_bytes": limits.hostcall_bytes(),
            },
        }));
        return;
    }
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("component", format!("{} {}", describe.name, describe.version)),
        row("file", component.path.display().to_string()),
        row("size", format!("{} bytes", grouped(component.size as u64))),
        row("sha256", component.sha256.clone()),
        row("contract", describe.contract.clone()),
    ];
    let list = |rows: &mut Vec<Vec<String>>, name: &str, items: Vec<String>| {
        for (index, item) in items.into_iter().enumerate() {
            rows.push(vec![if index == 0 { name.to_owned() } else { String::new() }, item]);
        }
    };
    list(&mut rows, "imports", component.imports.clone());
    list(&mut rows, "exports", component.exports.clone());
    let of = if !context.connections.is_empty() { "may reach" } else { "may reach one of" };
    let mut reach = texts(&hosts);
    if context.connections.is_empty() {
        reach.extend(overridable.iter().map(|key| format!("what `{key}` in [config] names")));
    }
    list(&mut rows, of, reach);
    list(&mut rows, "allowed by you", texts(&allowed));
    list(
        &mut rows,
        "limits",
        vec![
            format!("{} of memory", format_bytes(sandbox.memory as u64)),
            format!("{} per call", format_duration(sandbox.call_timeout)),
            format!("{} of CPU per call", format_duration(sandbox.cpu_time)),
            format!("{} concurrent requests", sandbox.max_concurrent_requests),
            format!("{} per response", format_bytes(sandbox.max_response_bytes as u64)),
        ],
    );
    rows.push(row("never", "files, environment, sockets, other hosts, redirects, plain http".into()));
    context.printer.text(&columns(&rows, &[]));
}
