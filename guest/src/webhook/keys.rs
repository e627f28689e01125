//! Zoho's public keys as `jwt-compact` verifies with them, and RS256. Pure.
//!
//! `jwt-compact` parses tokens; its RSA is not used, because the release of `rsa` it depends on takes more
//! than twice as long in WebAssembly, prepares the key again for every signature, and needs a source of
//! randomness.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;

use jwt_compact::jwk::JsonWebKey;
use jwt_compact::{Algorithm, AlgorithmSignature};
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Verifier};
use rsa::{BoxedUint, PublicKey};
use serde::Deserialize;
use serde_json::Value;

/// Bits of a key's modulus: at least the minimum of RFC 7518 §3.3, at most a size that is quick to verify.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Prepared keys by their `kid`.
#[derive(Debug, Default)]
pub struct Keys(BTreeMap<String, VerifyingKey<Sha256>>);

impl Keys {
    /// The usable keys of `jwks`, the members of a JWK set; others are ignored, as RFC 7517 §5 demands.
    pub fn new(jwks: &[Value]) -> Self {
        Self(jwks.iter().filter_map(key).collect())
    }

    /// The key of that id.
    pub fn get(&self, kid: &str) -> Option<&VerifyingKey<Sha256>> {
        self.0.get(kid)
    }
}

fn key(jwk: &Value) -> Option<(String, VerifyingKey<Sha256>)> {
    let kid = jwk.get("kid")?.as_str()?.to_owned();
    let JsonWebKey::Rsa { modulus, public_exponent, .. } = JsonWebKey::deserialize(jwk).ok()? else {
        return None;
    };
    let number = |bytes: &[u8]| BoxedUint::from_be_slice_vartime(bytes);
    let key =
        PublicKey::new_with_size_limits(number(&modulus), number(&public_exponent), MODULUS_BITS).ok()?;
    Some((kid, VerifyingKey::new(key)))
}

/// RSASSA-PKCS1-v1_5 with SHA-256, for verifying only.
pub(super) struct Rs256;

impl Algorithm for Rs256 {
    /// Uninhabited: nothing is signed.
    type SigningKey = Infallible;
    type VerifyingKey = VerifyingKey<Sha256>;
    type Signature = RsaSignature;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("RS256")
    }

    fn sign(&self, key: &Infallible, _message: &[u8]) -> RsaSignature {
        match *key {}
    }

    fn verify_signature(&self, signature: &RsaSignature, key: &Self::VerifyingKey, message: &[u8]) -> bool {
        key.verify(message, &signature.0).is_ok()
    }
}

/// The third part of a token.
pub(super) struct RsaSignature(Signature);

impl AlgorithmSignature for RsaSignature {
    fn try_from_slice(bytes: &[u8]) -> anyhow::Result<Self> {
        Ok(Self(Signature::try_from(bytes)?))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.to_vec())
    }
}
