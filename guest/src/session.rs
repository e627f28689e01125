//! The session: tokens, signing keys and facts about the portal, which the host stores in secret between
//! calls.

mod clock;
mod credits;
mod given_up;
mod learned;
mod pace;
mod tokens;
mod trust;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use clock::{Arrival, EarlierClock};
pub(crate) use credits::{Credits, DailyCredits};
pub(crate) use given_up::GivenUp;
pub(crate) use learned::Learned;
pub(crate) use pace::Pace;
pub(crate) use trust::Trust;

use crate::delivered::Delivered;
use crate::error::{Error, Kind, Result};
use crate::limits;

const VERSION: u32 = 1;

/// Plain, versioned data; the JSON of `session()` in the contract.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Session {
    version: u32,
    /// The client the tokens belong to; another client in the configuration makes them useless.
    pub(crate) client_id: String,
    pub(crate) refresh_token: Option<String>,
    pub(crate) access_token: Option<String>,
    /// When the access token expires, Unix milliseconds by the host's clock.
    pub(crate) access_token_ends_ms: u64,
    /// When the access token was issued, by the host's clock.
    pub(crate) access_token_since_ms: u64,
    /// Refused tokens in a row that the access token and those before it replaced, each soon after its issue.
    pub(crate) access_token_replacements: u32,
    /// How far the source's clock is ahead of the host's.
    pub(crate) clock_offset_ms: i64,
    /// The same before one of the clocks was corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) earlier_clock: Option<EarlierClock>,
    #[serde(deserialize_with = "edition")]
    pub(crate) edition: Option<Edition>,
    /// Calls in flight, while the source takes fewer than its edition allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pace: Option<Pace>,
    #[serde(skip_serializing_if = "DailyCredits::is_unknown")]
    pub(crate) daily_credits: DailyCredits,
    #[serde(skip_serializing_if = "GivenUp::is_empty")]
    pub(crate) given_up: GivenUp,
    #[serde(flatten)]
    pub(crate) learned: Learned,
    #[serde(skip_serializing_if = "KeySet::is_empty")]
    pub(crate) signing_keys: KeySet,
    #[serde(skip_serializing_if = "Trust::is_empty")]
    pub(crate) webhook_trust: Trust,
    #[serde(skip_serializing_if = "Delivered::is_empty")]
    pub(crate) delivered: Delivered,
}

/// The organization's edition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Edition {
    /// As `GET /organizations` names it; empty when it names none.
    pub(crate) name: String,
    /// Unix milliseconds.
    pub(crate) asked_at_ms: u64,
}

/// The edition of a stored session. One of an older version, a text without a time, is asked for again.
fn edition<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Edition>, D::Error> {
    let stored = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(stored).ok().flatten())
}

/// Zoho's public keys for webhook signatures.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeySet {
    /// As JWKs (RFC 7517).
    pub(crate) jwks: Vec<serde_json::Value>,
    /// When they were asked for, Unix milliseconds.
    pub(crate) fetched_at_ms: u64,
    /// The last attempt, Unix milliseconds.
    pub(crate) tried_at_ms: u64,
    /// Since when fetching fails; 0: the last fetch succeeded.
    pub(crate) failing_since_ms: u64,
}

impl KeySet {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Corrects times that lie in the future, because the host's clock was set back: the keys are old, and
    /// still usable.
    pub(crate) fn set_back(&mut self, now_ms: u64) {
        let old_ms = now_ms.saturating_sub(limits::SIGNING_KEYS_LIFE_MS + 1);
        for at_ms in [&mut self.fetched_at_ms, &mut self.tried_at_ms] {
            if *at_ms > now_ms {
                *at_ms = old_ms;
            }
        }
        self.failing_since_ms = self.failing_since_ms.min(now_ms);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("edition", &self.edition)
            .field("refused_parameters", &self.learned.refused_parameters)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// The session of a connection for `client_id`: the stored one, or an empty one.
    pub(crate) fn parse(json: Option<&str>, client_id: &str) -> Result<Self> {
        let empty = Self { version: VERSION, client_id: client_id.to_owned(), ..Self::default() };
        let Some(json) = json else { return Ok(empty) };
        let session: Self = serde_json::from_str(json).map_err(|_| {
            Error::new(Kind::Auth, "session: the stored session cannot be read").hint("run `authorize` again")
        })?;
        if session.version > VERSION {
            return Err(Error::new(
                Kind::Auth,
                format!("session: version {} is newer than this connector knows", session.version),
            )
            .hint("use the newer connector, or run `authorize` again"));
        }
        Ok(if session.client_id == client_id { session } else { empty })
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_equal_after_a_round_trip_and_empty_for_another_client() {
        let mut stored = Session { refresh_token: Some("r".into()), ..Session::parse(None, "a").unwrap() };
        stored.signing_keys.failing_since_ms = 7;
        assert_eq!(Session::parse(Some(&stored.to_json()), "a").unwrap(), stored);
        assert_eq!(Session::parse(Some(&stored.to_json()), "b").unwrap(), Session::parse(None, "b").unwrap());
    }

    /// What a host takes; one that grew beyond it would not be stored any more.
    #[test]
    fn everything_that_a_session_remembers_fits_into_it() {
        const ID: u64 = 999_999_999_999_999_999;
        const NOW_MS: u64 = 1_795_368_310_000;
        let text = "x".repeat(100);
        let mut full =
            Session { refresh_token: Some(text.clone()), access_token: Some(text), ..Session::default() };
        for index in 0..=limits::DELIVERED_MAX as u64 {
            let id = (ID - index).to_string();
            let meta = crate::row::RowMeta { id: id.clone(), modified_time_ms: None, deleted: false };
            let table = crate::tables::find("tickets").unwrap();
            let source = crate::change::ChangeSource::Webhook;
            let change = crate::change::Change::of_row(
                table,
                crate::change::Operation::Update,
                &meta,
                "{}".to_owned(),
                None,
                source,
            );
            full.delivered.note(&[change], true, NOW_MS + index);
            full.webhook_trust.tokens.accept(&id, NOW_MS + index, id.as_bytes(), NOW_MS);
            full.given_up.note("ticket_conversations", &id, NOW_MS);
            full.learned.gives_up("ticket_conversations", &id, 9, NOW_MS);
        }
        assert!(full.to_json().len() < 58 << 10, "{} bytes", full.to_json().len());
    }

    #[test]
    fn tokens_are_not_in_the_debug_text() {
        let stored = Session {
            refresh_token: Some("very-secret".into()),
            access_token: Some("very-secret".into()),
            ..Session::default()
        };
        assert!(!format!("{stored:?}").contains("very-secret"));
    }

    #[test]
    fn a_session_that_cannot_be_read_asks_to_authorize_again() {
        for (json, says) in [("[]x", "cannot be read"), (r#"{"version":99}"#, "newer")] {
            let error = Session::parse(Some(json), "a").unwrap_err();
            assert_eq!(error.kind, Kind::Auth);
            assert!(error.message.contains(says) && error.hint.unwrap().contains("`authorize`"), "{json}");
        }
    }
}
