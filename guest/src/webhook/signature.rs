//! Verifies that a delivery is from Zoho, for this organization and this webhook, and recent. Pure: token,
//! keys and time come in.
//!
//! Source: `zoho-desk-api.md` §6.5. `X-ZDesk-JWT` is an RS256 JWT with `kid`, `iss = orgId:<id>`, `aud =
//! webhookId:<id>` and `exp`, which is in milliseconds by the document's text and in seconds by its example.
//! The body is not signed.

use jwt_compact::{AlgorithmExt, Claims, UntrustedToken};
use serde::{Deserialize, Serialize};

use super::keys::{Keys, Rs256};
use crate::limits;

/// The name of the header, in lower case.
pub(super) const HEADER: &str = "x-zdesk-jwt";

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a JWT, not RS256, or the signature does not match.
    Forged(&'static str),
    /// No key of that id: forged, or published after the keys were fetched.
    UnknownKey(String),
    /// Signed for another organization or webhook.
    Foreign(&'static str),
    Expired,
}

impl Refusal {
    pub(super) fn message(&self) -> String {
        match self {
            Self::Forged(what) => format!("the signature is not valid: {what}"),
            Self::UnknownKey(kid) => format!("the signature is by the unknown key `{kid}`"),
            Self::Foreign(what) => format!("the signature is for another {what}"),
            Self::Expired => "the signature has expired: an old delivery was repeated".to_owned(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Subject {
    iss: Option<String>,
    aud: Option<Audience>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Verifies `token` at the arrival of its delivery. `webhook_id` is none while the subscription is not known.
/// The token's end, Unix milliseconds.
pub fn verify(
    token: &str,
    keys: &Keys,
    organization_id: &str,
    webhook_id: Option<&str>,
    received_at_ms: u64,
) -> Result<u64, Refusal> {
    let token = UntrustedToken::new(token.trim()).map_err(|_| Refusal::Forged("it is not a JWT"))?;
    if token.algorithm() != "RS256" {
        return Err(Refusal::Forged("it is not RS256"));
    }
    let kid = token.header().key_id.as_deref().unwrap_or_default();
    let key = keys
        .get(kid)
        .ok_or_else(|| Refusal::UnknownKey(kid.chars().filter(|c| !c.is_control()).take(64).collect()))?;
    let verified = Rs256
        .validator::<Subject>(key)
        .validate(&token)
        .map_err(|_| Refusal::Forged("it does not match its content"))?;
    claims(verified.claims(), organization_id, webhook_id, received_at_ms)
}

fn claims(
    claims: &Claims<Subject>,
    organization_id: &str,
    webhook_id: Option<&str>,
    received_at_ms: u64,
) -> Result<u64, Refusal> {
    if claims.custom.iss.as_deref() != Some(&format!("orgId:{organization_id}")) {
        return Err(Refusal::Foreign("organization"));
    }
    if let Some(webhook_id) = webhook_id {
        let wanted = format!("webhookId:{webhook_id}");
        let found = match &claims.custom.aud {
            Some(Audience::One(audience)) => *audience == wanted,
            Some(Audience::Many(audiences)) => audiences.contains(&wanted),
            None => false,
        };
        if !found {
            return Err(Refusal::Foreign("webhook"));
        }
    }
    let ends = claims.expiration.ok_or(Refusal::Forged("it has no expiry"))?.timestamp();
    let ends = u64::try_from(ends).map_err(|_| Refusal::Expired)?;
    // A number of seconds this large would be the year 5138: it is milliseconds.
    let ends_ms = if ends > 100_000_000_000 { ends } else { ends.saturating_mul(1000) };
    if ends_ms.saturating_add(limits::SIGNATURE_SKEW_MS) < received_at_ms {
        return Err(Refusal::Expired);
    }
    Ok(ends_ms)
}
