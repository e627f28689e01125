//! Connects to a host: resolves its name, checks every address, dials only allowed ones.
//!
//! Literal addresses are checked like names. Knows nothing of TLS or HTTP.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::policy::{Denial, Policy, Target};
use crate::blocking;

/// Look-ups of one connection at a time. Each blocks a thread for as long as a name server takes.
const LOOKUPS_MAX: usize = 4;

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum DialError {
    /// The policy refuses it.
    Denied(Denial),
    /// The name does not resolve.
    Name(io::Error),
    /// No address answered.
    Connect(io::Error),
    /// The timeout passed.
    TimedOut,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => denial.fmt(f),
            Self::Name(error) => write!(f, "name resolution failed: {error}"),
            Self::Connect(error) => write!(f, "connecting failed: {error}"),
            Self::TimedOut => f.write_str("connecting timed out"),
        }
    }
}

impl std::error::Error for DialError {}

/// Opens TCP connections under a policy.
#[derive(Clone)]
pub(super) struct Dialer {
    policy: Arc<Policy>,
    lookups: Arc<Semaphore>,
}

impl Dialer {
    pub(super) fn new(policy: Arc<Policy>) -> Self {
        Self { policy, lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

type Connecting = Pin<Box<dyn Future<Output = Result<TokioIo<TcpStream>, DialError>> + Send>>;

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = Connecting;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let (policy, lookups) = (Arc::clone(&self.policy), Arc::clone(&self.lookups));
        Box::pin(async move { dial(&policy, &lookups, &uri).await.map(TokioIo::new) })
    }
}

async fn dial(policy: &Policy, lookups: &Arc<Semaphore>, uri: &Uri) -> Result<TcpStream, DialError> {
    let target = policy.admit(uri).map_err(DialError::Denied)?;
    let found = look_up(lookups, &target).await.map_err(DialError::Name)?;
    connect(&vetted(policy, &target, found)?).await
}

/// The addresses of a host. The system's resolver blocks a thread, also after its caller gave up:
/// the permit is held until it returns.
async fn look_up(lookups: &Arc<Semaphore>, target: &Target) -> io::Result<std::vec::IntoIter<SocketAddr>> {
    let permit = Arc::clone(lookups).acquire_owned().await.map_err(io::Error::other)?;
    let (host, port) = (target.host.clone(), target.port);
    let looking = move || {
        let _permit = permit;
        (host.as_str(), port).to_socket_addrs()
    };
    blocking::spawn(looking).await.map_err(io::Error::other)?
}

/// The addresses that may be dialled; an error if there are none.
fn vetted(
    policy: &Policy,
    target: &Target,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, DialError> {
    let mut vetted = Vec::new();
    let mut denied = None;
    for address in found {
        match policy.admit_address(target, address.ip()) {
            Ok(()) => vetted.push(address),
            Err(denial) => denied = Some(denial),
        }
    }
    match (vetted.is_empty(), denied) {
        (false, _) => Ok(vetted),
        (true, Some(denial)) => Err(DialError::Denied(denial)),
        (true, None) => Err(DialError::Name(io::Error::other("no address"))),
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
    let mut last = io::Error::other("no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(DialError::Connect)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(DialError::Connect(last))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::{DialError, dial, vetted};
    use crate::egress::policy::{Denial, Policy, Target};

    fn lookups(free: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(free))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_names_are_slow_waits_for_its_own_look_ups() {
        let uri = "https://127.0.0.1:443/".parse().expect("a URL");
        let policy = Policy::new(Target::of(&uri).into_iter().collect(), vec![]);
        let waits = tokio::time::timeout(Duration::from_secs(60), dial(&policy, &lookups(0), &uri)).await;
        assert!(waits.is_err(), "it looked the name up");
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().filter_map(|text| text.parse().ok()).collect()
    }

    #[test]
    fn only_vetted_addresses_of_a_name_are_dialled() {
        let target = Target::parse("api.example.com:443").expect("a target");
        let policy = Policy::new(vec![target.clone()], vec![]);
        let mixed = addresses(&["10.0.0.1:443", "8.8.8.8:443", "[::1]:443"]);
        let dialled = vetted(&policy, &target, mixed.into_iter()).expect("one is public");
        assert_eq!(dialled, addresses(&["8.8.8.8:443"]));

        let private = addresses(&["10.0.0.1:443"]);
        let refused = vetted(&policy, &target, private.into_iter());
        assert!(matches!(refused, Err(DialError::Denied(Denial::Address(..)))));
    }

    #[tokio::test]
    async fn declared_literals_and_odd_spellings_of_loopback_are_refused() {
        for host in ["127.0.0.1", "[::1]", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"] {
            let url = format!("https://{host}:443/");
            let declared = Target::of(&url.parse().expect("a URL")).expect("a target");
            let policy = Policy::new(vec![declared], vec![]);
            let refused = dial(&policy, &lookups(1), &url.parse().expect("a URL")).await;
            let refused = refused.expect_err("loopback was dialled");
            assert!(matches!(refused, DialError::Denied(_) | DialError::Name(_)), "{host}: {refused}");
        }
    }
}
