//! Is a delivery from Zoho, for this organisation and this webhook, and recent? Pure: token, keys and time come in.
//!
//! Source: `zoho-desk-api.md` §6.5. `X-ZDesk-JWT` is an RS256 JWT with `kid`, `iss = orgId:<id>`, `aud = webhookId:<id>` and `exp`,
//! by its text in milliseconds and by its example in seconds. The body is not signed.

use jwt_compact::alg::{Rsa, RsaPublicKey};
use jwt_compact::jwk::JsonWebKey;
use jwt_compact::{Algorithm, AlgorithmExt, Claims, UntrustedToken};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits;

/// The name of the header, in lower case.
pub const HEADER: &str = "x-zdesk-jwt";

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a JWT, not RS256, or the signature does not match.
    Forged(&'static str),
    /// No key of that id: forged, or the keys were changed since they were fetched.
    UnknownKey(String),
    /// Signed for somebody else.
    Foreign(&'static str),
    Expired,
}

impl Refusal {
    pub fn message(&self) -> String {
        match self {
            Self::Forged(what) => format!("the signature is not valid: {what}"),
            Self::UnknownKey(kid) => format!("the signature is by the unknown key `{kid}`"),
            Self::Foreign(what) => format!("the signature is for another {what}"),
            Self::Expired => "the signature has expired: an old delivery was sent again".to_owned(),
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

/// Verifies `token` at the time the delivery arrived. `webhook_id` is none while the subscription is not known.
pub fn verify(
    token: &str,
    keys: &[Value],
    organization_id: &str,
    webhook_id: Option<&str>,
    received_at_ms: u64,
) -> Result<(), Refusal> {
    let token = UntrustedToken::new(token.trim()).map_err(|_| Refusal::Forged("it is not a JWT"))?;
    if token.algorithm() != Rsa::rs256().name() {
        return Err(Refusal::Forged("it is not RS256"));
    }
    let kid = token.header().key_id.clone().unwrap_or_default();
    let key = keys
        .iter()
        .find(|key| key.get("kid").and_then(Value::as_str) == Some(&kid))
        .ok_or_else(|| Refusal::UnknownKey(kid.chars().filter(|c| !c.is_control()).take(64).collect()))?;
    let key: JsonWebKey<'_> =
        serde_json::from_value(key.clone()).map_err(|_| Refusal::Forged("its key cannot be read"))?;
    let key = RsaPublicKey::try_from(&key).map_err(|_| Refusal::Forged("its key is not RSA"))?;
    let verified = Rsa::rs256()
        .validator::<Subject>(&key)
        .validate(&token)
        .map_err(|_| Refusal::Forged("it does not match its content"))?;
    claims(verified.claims(), organization_id, webhook_id, received_at_ms)
}

fn claims(
    claims: &Claims<Subject>,
    organization_id: &str,
    webhook_id: Option<&str>,
    received_at_ms: u64,
) -> Result<(), Refusal> {
    if claims.custom.iss.as_deref() != Some(&format!("orgId:{organization_id}")) {
        return Err(Refusal::Foreign("organisation"));
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use jwt_compact::alg::{RsaPrivateKey, StrongAlg};
    use jwt_compact::{Header, prelude::*};

    use super::*;

    // Made for this test with `openssl genpkey`; signs nothing else.
    const KEY: &str = include_str!("test_key.pem");
    const NOW_MS: u64 = 1_795_368_310_000;

    fn keys() -> Vec<Value> {
        let public = private().to_public_key();
        let mut key = serde_json::to_value(JsonWebKey::from(&public)).unwrap();
        key["kid"] = Value::from("k1");
        vec![key]
    }

    fn private() -> RsaPrivateKey {
        use rsa::pkcs8::DecodePrivateKey;
        RsaPrivateKey::from_pkcs8_pem(KEY).unwrap()
    }

    fn token(kid: &str, iss: &str, aud: &str, exp: u64) -> String {
        let header = Header::empty().with_key_id(kid);
        let claims = serde_json::json!({"iss": iss, "aud": aud, "exp": exp});
        let claims: Claims<Value> = serde_json::from_value(claims).unwrap();
        StrongAlg(Rsa::rs256()).0.token(&header, &claims, &private()).unwrap()
    }

    fn check(kid: &str, iss: &str, aud: &str, exp: u64) -> Result<(), Refusal> {
        verify(&token(kid, iss, aud, exp), &keys(), "42", Some("7"), NOW_MS)
    }

    #[test]
    fn a_signature_for_us_is_accepted_with_expiry_in_either_unit() {
        assert_eq!(check("k1", "orgId:42", "webhookId:7", NOW_MS / 1000 + 60), Ok(()));
        assert_eq!(check("k1", "orgId:42", "webhookId:7", NOW_MS + 60_000), Ok(()));
    }

    #[test]
    fn every_other_signature_is_refused() {
        let soon = NOW_MS / 1000 + 60;
        assert_eq!(check("k2", "orgId:42", "webhookId:7", soon), Err(Refusal::UnknownKey("k2".into())));
        assert_eq!(check("k1", "orgId:43", "webhookId:7", soon), Err(Refusal::Foreign("organisation")));
        assert_eq!(check("k1", "orgId:42", "webhookId:8", soon), Err(Refusal::Foreign("webhook")));
        assert_eq!(check("k1", "orgId:42", "webhookId:7", soon - 3600), Err(Refusal::Expired));
        assert_eq!(check("k1", "orgId:42", "webhookId:7", NOW_MS - 3_600_000), Err(Refusal::Expired));
        let good = token("k1", "orgId:42", "webhookId:7", soon);
        let (signed, _) = good.rsplit_once('.').unwrap();
        let forged = format!("{signed}.{}", "A".repeat(342));
        assert!(matches!(verify(&forged, &keys(), "42", Some("7"), NOW_MS), Err(Refusal::Forged(_))));
        assert!(matches!(verify("nonsense", &keys(), "42", Some("7"), NOW_MS), Err(Refusal::Forged(_))));
        let none = "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ.e30.";
        assert!(matches!(verify(none, &keys(), "42", Some("7"), NOW_MS), Err(Refusal::Forged(_))));
    }
}
