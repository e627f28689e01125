//! Measures the list pages of 100 tickets that the simulator serves per second of its CPU time.
//!
//! `cargo run --release -p desk-simulator --example measure -- [TICKETS [CACHE_MIB]]`

#[path = "../tests/all/client.rs"]
mod client;

use std::time::Instant;

use client::Client;
use desk_simulator::{CLIENT_ID, CLIENT_SECRET, GRANT_CODE, Options, Simulator};

const INCLUDE: &str = "include=contacts,products,departments,team,isRead,assignee";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tickets: u32 = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let mut options = Options::default();
    options.sizes.tickets = tickets;
    options.settings.daily_credits = Some(1 << 40);
    options.cache_mib = std::env::args().nth(2).map_or(Ok(1_900), |text| text.parse())?;
    let start = Instant::now();
    let simulator = Simulator::start(options)?;
    println!("{tickets} tickets generated in {:.2?}", start.elapsed());
    let mut client = Client::connect(&simulator.url())?;
    let credentials = format!("client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&code={GRANT_CODE}");
    let path = format!("/oauth/v2/token?grant_type=authorization_code&{credentials}");
    let token = client.send("POST", &path, "")?.json()["access_token"].clone();
    let token = token.as_str().ok_or("no token")?;
    client.headers.push(("authorization".to_owned(), format!("Zoho-oauthtoken {token}")));
    for round in ["first read, rows are rendered", "second read, rows are cached"] {
        let (wall, cpu) = (Instant::now(), server_cpu()?);
        let (mut pages, mut bytes) = (0u64, 0u64);
        for from in (1..=tickets).step_by(100) {
            let reply =
                client.send("GET", &format!("/api/v1/tickets?from={from}&limit=100&{INCLUDE}"), "")?;
            if reply.status != 200 {
                return Err(format!("status {}", reply.status).into());
            }
            pages += 1;
            bytes += reply.body.len() as u64;
        }
        let (wall, cpu) = (wall.elapsed().as_secs_f64(), server_cpu()? - cpu);
        println!(
            "{round}: {pages} pages, {:.0} MB, {:.0} pages/s by the clock, {:.0} pages per CPU second",
            bytes as f64 / 1e6,
            pages as f64 / wall,
            pages as f64 / cpu,
        );
    }
    let ids: Vec<String> = client.send("GET", "/api/v1/tickets?limit=100", "")?.json()["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| row["id"].as_str().map(str::to_owned))
        .collect();
    let (wall, cpu) = (Instant::now(), server_cpu()?);
    for _ in 0..100 {
        for id in &ids {
            client.send("GET", &format!("/api/v1/tickets/{id}"), "")?;
        }
    }
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), server_cpu()? - cpu);
    let calls = ids.len() as f64 * 100.0;
    println!("details: {:.0} calls/s by the clock, {:.0} calls per CPU second", calls / wall, calls / cpu,);
    println!("resident memory: {}", resident()?);
    Ok(())
}

/// CPU time of the simulator's thread, in seconds.
fn server_cpu() -> std::io::Result<f64> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        if std::fs::read_to_string(path.join("comm"))?.trim() != "desk-simulator" {
            continue;
        }
        let schedstat = std::fs::read_to_string(path.join("schedstat"))?;
        let nanoseconds: f64 = schedstat.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
        return Ok(nanoseconds / 1e9);
    }
    Err(std::io::ErrorKind::NotFound.into())
}

fn resident() -> std::io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    Ok(line.unwrap_or("").trim_start_matches("VmRSS:").trim().to_owned())
}
