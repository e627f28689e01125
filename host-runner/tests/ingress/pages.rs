//! The pages for operators: health, readiness and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use host_runner::ingress::{Observe, Options};
use host_runner::journal::JournalLimits;
use serde_json::{Value, json};

use crate::support::Server;

struct Fake(AtomicBool);

impl Observe for Fake {
    fn metrics(&self) -> String {
        "one_metric 1\n".to_owned()
    }

    fn ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn health(&self) -> Value {
        json!({"status": if self.ready() { "ok" } else { "degraded" }})
    }
}

#[tokio::test]
async fn an_address_for_operators_serves_health_readiness_and_metrics() {
    let observe = Arc::new(Fake(AtomicBool::new(true)));
    let options = Options::pages(Arc::<Fake>::clone(&observe));
    let server = Server::start_with(options, JournalLimits::default());
    let health = server.send("GET", "/-/health", "").await;
    assert_eq!(health.body, "{\"status\":\"ok\"}\n");
    assert!(health.head.contains("content-type: application/json"), "{}", health.head);
    assert_eq!(server.send("HEAD", "/-/ready", "").await.status, 200);
    observe.0.store(false, Ordering::Relaxed);
    assert_eq!(server.send("GET", "/-/ready", "").await.status, 503);
    let health = server.send("GET", "/-/health", "").await;
    assert_eq!((health.status, health.body.as_str()), (200, "{\"status\":\"degraded\"}\n"));
    assert_eq!(server.send("POST", "/-/health", "x").await.status, 405);
    let metrics = server.send("GET", "/-/metrics", "").await;
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
    assert_eq!(metrics.body, "one_metric 1\n");
}

#[tokio::test]
async fn the_address_for_deliveries_serves_no_pages() {
    let server = Server::start();
    for page in ["health", "ready", "metrics"] {
        assert_eq!(server.send("GET", &format!("/-/{page}"), "").await.status, 404, "{page}");
    }
}

#[tokio::test]
async fn the_ingress_counts_requests_and_deliveries() {
    let server = Server::start();
    server.post("12345").await;
    server.send("POST", "/hooks/acme/wrong", "x").await;
    let metrics = server.counted();
    for line in [
        "host_runner_ingress_requests_total{status=\"404\"} 1",
        "host_runner_ingress_requests_rejected_total{reason=\"unknown-url\"} 1",
        "host_runner_ingress_appended_total{connection=\"acme\"} 1",
        "host_runner_ingress_appended_bytes_total{connection=\"acme\"} 5",
        "host_runner_ingress_append_duration_seconds_count 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}
