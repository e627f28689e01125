//! What the host keeps for us between calls, in secret: tokens, and what was learnt about the portal.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

const VERSION: u32 = 1;

/// Plain, versioned data; the JSON of `session()` in the contract.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    pub version: u32,
    /// The client the tokens belong to; another client in the configuration makes them useless.
    pub client_id: String,
    pub refresh_token: Option<String>,
    pub access_token: Option<String>,
    /// When the access token ends, Unix milliseconds by our clock.
    pub access_token_ends_ms: u64,
    /// The organisation's edition in capitals, as `GET /organizations` names it.
    pub edition: Option<String>,
    /// Optional parameters this portal refused, as `table.parameter`; not sent again.
    pub refused: Vec<String>,
    /// Parts of lists, as `table.value`: true once one showed rows, false while it was refused whenever it was asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub slices: BTreeMap<String, bool>,
    /// Zoho's public keys for webhook signatures, as JWKs, and when they were fetched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<serde_json::Value>,
    pub signing_keys_at_ms: u64,
    /// Since when they could not be fetched again; 0: they could.
    pub signing_keys_failing_ms: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("edition", &self.edition)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// The session of a connection for `client_id`: what was kept, or an empty one.
    pub fn parse(json: Option<&str>, client_id: &str) -> Result<Self> {
        let fresh = Self { version: VERSION, client_id: client_id.to_owned(), ..Self::default() };
        let Some(json) = json else { return Ok(fresh) };
        let session: Self = serde_json::from_str(json).map_err(|_| {
            Error::new(Kind::Auth, "session: what was kept cannot be read").hint("run `authorize` again")
        })?;
        if session.version > VERSION {
            return Err(Error::new(
                Kind::Auth,
                format!("session: version {} is newer than this connector knows", session.version),
            )
            .hint("use the newer connector, or run `authorize` again"));
        }
        Ok(if session.client_id == client_id { session } else { fresh })
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_another_client_are_not_used() {
        let kept = Session { refresh_token: Some("r".into()), ..Session::parse(None, "a").unwrap() };
        assert_eq!(Session::parse(Some(&kept.to_json()), "a").unwrap(), kept);
        assert_eq!(Session::parse(Some(&kept.to_json()), "b").unwrap().refresh_token, None);
    }

    #[test]
    fn tokens_do_not_print() {
        let kept = Session { refresh_token: Some("very-secret".into()), ..Session::default() };
        assert!(!format!("{kept:?}").contains("very-secret"));
    }

    #[test]
    fn nonsense_asks_to_authorise_again() {
        assert_eq!(Session::parse(Some("[]x"), "a").unwrap_err().kind, Kind::Auth);
        assert_eq!(Session::parse(Some(r#"{"version":99}"#), "a").unwrap_err().kind, Kind::Auth);
    }
}
