//! What a connection uses of the processors over time: an account that its calls draw on, and that fills up
//! at a fixed rate. A call is never interrupted for it; the next one waits until the account is filled.
//!
//! Counts the processor time of a call: the component's code, and the runner's work for it, also on other
//! threads. The time to store rows and files is measured elsewhere, and drawn from the same account.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;

use crate::blocking;

/// The share of one processor that a connection may use over time: a component that waits for its source
/// uses a few percent.
const SHARE: f64 = 0.25;
/// What an account holds at most: a quarter of a minute at once, for a connection that used little before.
const BURST: Duration = Duration::from_secs(15);

/// The account of one connection, or none: a command has the machine for itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Cpu(Option<Arc<Mutex<Account>>>);

impl Cpu {
    /// An account that is full.
    pub(super) fn limited() -> Self {
        Self(Some(Arc::new(Mutex::new(Account::new(Instant::now())))))
    }

    /// Waits until the account is filled.
    pub(super) async fn turn(&self) {
        let wait = self.account().map(|mut account| account.wait(Instant::now()));
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            tracing::debug!(wait_ms = wait.as_millis(), "the connection used its share of the processor");
            tokio::time::sleep(wait).await;
        }
    }

    /// Runs a call, and draws the time of its polls.
    pub(super) async fn metered<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        poll_fn(|context| {
            let (polled, used) = blocking::timed(|| call.as_mut().poll(context));
            self.draw(used);
            polled
        })
        .await
    }

    /// Runs work on a thread that may block, and draws its time.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let cpu = self.clone();
        let task = blocking::spawn(move || {
            let (done, used) = blocking::timed(work);
            cpu.draw(used);
            done
        });
        task.await
    }

    /// Draws time that was used outside of a call.
    pub(super) fn draw(&self, used: Duration) {
        if let Some(mut account) = self.account() {
            account.draw(used);
        }
    }

    fn account(&self) -> Option<MutexGuard<'_, Account>> {
        self.0.as_ref().map(|account| account.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs a call until it has used so much processor time; none if it needs more. A component that computes
/// yields at each epoch, so that no poll is long.
pub(super) async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> Option<T> {
    let (mut call, mut left) = (pin!(call), limit);
    poll_fn(|context| {
        let (polled, used) = blocking::timed(|| call.as_mut().poll(context));
        left = left.saturating_sub(used);
        match polled {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if left.is_zero() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The arithmetic. Pure: times are arguments.
#[derive(Debug)]
struct Account {
    /// Seconds; negative after a call that used more than there was.
    balance: f64,
    at: Instant,
}

impl Account {
    fn new(now: Instant) -> Self {
        Self { balance: BURST.as_secs_f64(), at: now }
    }

    /// How long the next call has to wait.
    fn wait(&mut self, now: Instant) -> Duration {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * SHARE;
        (self.balance, self.at) = ((self.balance + earned).min(BURST.as_secs_f64()), now);
        Duration::try_from_secs_f64(-self.balance / SHARE).unwrap_or_default()
    }

    /// A call used this much.
    fn draw(&mut self, used: Duration) {
        self.balance -= used.as_secs_f64();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Account, BURST, Cpu, within};
    use crate::digest::sha256_hex;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_connection_that_uses_a_quarter_of_a_processor_never_waits() {
        let start = Instant::now();
        let mut account = Account::new(start);
        for second in 0..1_000 {
            assert_eq!(account.wait(start + SECOND * second), Duration::ZERO, "{second}");
            account.draw(SECOND / 4);
        }
    }

    #[test]
    fn a_connection_that_uses_all_it_gets_is_held_to_a_quarter() {
        let start = Instant::now();
        let (mut now, mut account, mut used) = (start, Account::new(start), Duration::ZERO);
        while now < start + SECOND * 3_600 {
            now += account.wait(now) + SECOND * 29;
            account.draw(SECOND * 29);
            used += SECOND * 29;
        }
        let share = (used - BURST).as_secs_f64() / (now - start).as_secs_f64();
        assert!((0.24..0.27).contains(&share), "{share}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_what_was_used_outside_of_calls() {
        let (cpu, before) = (Cpu::limited(), Instant::now());
        cpu.draw(BURST + SECOND);
        cpu.clone().turn().await;
        assert_eq!(Instant::now() - before, SECOND * 4);
        Cpu::default().draw(BURST * 9);
        Cpu::default().turn().await;
    }

    fn compute() -> Option<String> {
        let hashes = std::iter::successors(Some(String::new()), |text| Some(sha256_hex(text.as_bytes())));
        hashes.take(1_000).last()
    }

    #[tokio::test]
    async fn work_on_another_thread_is_drawn_as_well() {
        let cpu = Cpu::limited();
        cpu.work(compute).await.expect("no panic");
        assert!(cpu.account().is_some_and(|account| account.balance < BURST.as_secs_f64()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_stopped_for_what_it_computes_and_not_for_what_it_waits() {
        let waits = async {
            for _ in 0..1_000 {
                tokio::time::sleep(SECOND).await;
            }
        };
        assert_eq!(within(SECOND, waits).await, Some(()));
        let computes = async {
            loop {
                std::hint::black_box(compute());
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(within(SECOND / 1_000, computes).await, None::<()>);
    }

    #[test]
    fn an_idle_connection_saves_no_more_than_the_burst() {
        let start = Instant::now();
        let mut account = Account::new(start);
        assert_eq!(account.wait(start + SECOND * 86_400), Duration::ZERO);
        account.draw(BURST + SECOND);
        assert_eq!(account.wait(start + SECOND * 86_400), SECOND * 4);
    }
}
