//! `serve`: keeps connections in sync until it is stopped.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::Context;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ingress::{TlsFiles, calls_max};
use crate::limits::{PROCESS_INSTANCES_MAX, SERVE_INSTANCES};
use crate::report::escaped;
use crate::serve::{self, Options};
use crate::store_data::budget::affordable_instances;
use crate::telemetry;
use crate::webhook_url::PublicUrl;

pub(super) const HELP: &str = "\
Reads a snapshot of every table once, then keeps it in sync: webhooks are applied within seconds, and \
polling repairs what they miss. SIGHUP, or a change in the folder of --connections, adds, changes and \
removes connections without touching the others. SIGTERM or Ctrl-C stops it after the requests in \
progress, a second one at once. No delivery that was answered 200 is lost, however it stops.

It listens on this machine only by default; put a proxy with TLS in front that forwards /hooks/. The \
pages /-/metrics (Prometheus), /-/ready and /-/health are on another address, see --admin.

Examples:
  host-runner serve -c acme.toml
  host-runner serve --connections connections.d --listen 127.0.0.1:8080
  host-runner serve -c acme.toml --subscribe --public-url https://hooks.example.com
  host-runner serve -c a.toml -c b.toml --listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem";

#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Folder with one connection file (*.toml) for each connection, in addition to those given with -c;
    /// checked for changes every 2 seconds
    #[arg(long, value_name = "DIR")]
    connections: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address and port of the pages for operators; default: 127.0.0.1 and the port after that of --listen
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Calls of components at a time; connections beyond wait for their turn; default: 256, or fewer if the
    /// machine has less than 17 GiB of memory, or the process may open less than 10,500 files
    #[arg(long, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(PROCESS_INSTANCES_MAX)))]
    instances: Option<u32>,
    /// URL under which the source reaches this server
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Subscribe the webhook URL of every connection at its source, as `webhook subscribe` does
    #[arg(long, requires = "public_url")]
    subscribe: bool,
    /// Certificate chain (PEM), if TLS ends here; SIGHUP reloads it
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// On this machine alone: the pages name connections and show their errors.
fn default_admin(listen: SocketAddr) -> SocketAddr {
    let port = if listen.port() == 0 { 0 } else { listen.port().checked_add(1).unwrap_or(0) };
    SocketAddr::from(([127, 0, 0, 1], port))
}

pub(super) async fn run(serve: &Serve, context: &Context) -> Result<Exit> {
    if context.connections.is_empty() && serve.connections.is_none() {
        return Err(Error::usage("no connection given").hint("add -c FILE, or --connections DIR"));
    }
    let tls = serve.tls_cert.clone().zip(serve.tls_key.clone());
    let options = Options {
        files: context.connections.clone(),
        folder: serve.connections.clone(),
        listen: serve.listen,
        admin: serve.admin.unwrap_or_else(|| default_admin(serve.listen)),
        instances: serve.instances.unwrap_or_else(|| affordable_instances(SERVE_INSTANCES).min(calls_max())),
        tls: tls.map(|(cert, key)| TlsFiles { cert, key }),
        public_url: serve.public_url.as_deref().map(PublicUrl::parse).transpose()?,
        subscribe: serve.subscribe,
    };
    let redactor = context.printer.redactor.clone();
    let notify = move |line: &str| telemetry::line(&escaped(&redactor.redact(line)));
    serve::run(options, context.paths.clone(), context.stop.clone(), &notify).await?;
    Ok(Exit::Success)
}
