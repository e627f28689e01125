//! Which lines are news: the same text is logged once in a time, and only some different ones.
//!
//! A component decides how often it warns, and how many requests of it are refused: without a bound, lines
//! of one connection would hide those of others. Pure: times are arguments.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// The texts that were logged.
#[derive(Debug)]
pub(crate) struct News {
    every: Duration,
    max: usize,
    logged: HashMap<String, Instant>,
}

impl News {
    /// A text is news again after `every`; in this time, at most `max` different ones are.
    pub(crate) fn new(every: Duration, max: usize) -> Self {
        Self { every, max, logged: HashMap::new() }
    }

    /// Whether a text is to be logged.
    pub(crate) fn is_news(&mut self, text: &str, now: Instant) -> bool {
        self.logged.retain(|_, logged| now.saturating_duration_since(*logged) < self.every);
        if self.logged.contains_key(text) || self.logged.len() >= self.max {
            return false;
        }
        self.logged.insert(text.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::News;

    #[test]
    fn a_text_is_news_once_in_its_time_and_no_more_than_some_different_ones_are() {
        let every = Duration::from_secs(60);
        let (mut news, now) = (News::new(every, 16), Instant::now());
        let logged = |news: &mut News, texts: std::ops::Range<usize>, now| {
            texts.filter(|number| news.is_news(&format!("text {number}"), now)).count()
        };
        assert_eq!(logged(&mut news, 0..1, now), 1);
        assert_eq!(logged(&mut news, 0..1, now), 0);
        assert_eq!(logged(&mut news, 0..10_000, now), 15);
        assert_eq!(logged(&mut news, 0..1, now + every), 1);
    }
}
