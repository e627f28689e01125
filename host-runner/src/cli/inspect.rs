//! `inspect`: shows everything that a component can access, for an auditor.

use serde_json::json;

use super::Context;
use crate::describe::Describe;
use crate::egress::policy::{Policy, Target};
use crate::engine::Component;
use crate::error::Result;
use crate::exit::Exit;
use crate::limits::Limits;
use crate::loaded::LoadedConnection;
use crate::report::{columns, thousands};
use crate::units::{format_bytes, format_duration};

pub(super) const HELP: &str = "\
Examples:
  host-runner inspect --component connector.wasm
  host-runner inspect -c acme.toml --json | jq .hosts   the hosts that this connection can reach";

pub(super) async fn run(context: &Context) -> Result<Exit> {
    if !context.connections.is_empty() {
        let LoadedConnection { connection, describe, component, policy } = context.loaded().await?;
        show(context, &component, &describe, &connection.limits, &policy);
        return Ok(Exit::Success);
    }
    let limits = Limits::default();
    let component = context.component()?;
    let describe = component.describe(&limits).await?;
    let mut hosts = describe.targets(&serde_json::Map::new())?;
    for host in &describe.hosts {
        let urls = host.urls.values().filter_map(|url| url.as_str()?.parse().ok());
        hosts.extend(urls.filter_map(|uri| Target::of(&uri)));
    }
    hosts.sort();
    hosts.dedup();
    show(context, &component, &describe, &limits, &Policy::new(hosts, Vec::new()));
    Ok(Exit::Success)
}

fn show(context: &Context, component: &Component, describe: &Describe, limits: &Limits, policy: &Policy) {
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
            "hosts": texts(policy.declared()),
            "hosts_beyond_ceiling": texts(policy.excluded()),
            "hosts_from_config": overridable,
            "allowed_by_operator": texts(policy.allowed()),
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
        row("size", format!("{} bytes", thousands(component.size as u64))),
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
    let is_connection = !context.connections.is_empty();
    let mut reach = texts(policy.declared());
    if !is_connection {
        reach.extend(overridable.iter().map(|key| format!("the host in `{key}` of [config]")));
    }
    list(&mut rows, if is_connection { "can reach" } else { "can reach one of" }, reach);
    list(&mut rows, "left out by you", texts(policy.excluded()));
    list(&mut rows, "allowed by you", texts(policy.allowed()));
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
    let never = match policy.allowed().is_empty() {
        true => "files, environment, sockets, other hosts, redirects, plain http",
        false => "files, environment, sockets, other hosts, redirects",
    };
    rows.push(row("never", never.into()));
    context.printer.text(&columns(&rows, &[]));
}
