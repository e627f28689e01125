//! Signs tokens as Zoho does, with a key that `openssl genpkey` generated for these tests only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, PrivateKey};
use serde_json::{Value, json};
use zoho_desk::webhook::Delivery;

fn private() -> PrivateKey {
    PrivateKey::from_pkcs8_pem(include_str!("key.pem")).unwrap()
}

/// The public key under a name.
pub(crate) fn jwk(kid: &str) -> Value {
    let key = private();
    let text = |number: &BoxedUint| URL_SAFE_NO_PAD.encode(number.to_be_bytes_trimmed_vartime());
    json!({"kid": kid, "kty": "RSA", "alg": "RS256", "n": text(key.n()), "e": text(key.e())})
}

/// A token with this header and these claims, signed with RS256 for any `alg` in the header.
pub(crate) fn signed(header: &Value, claims: &Value) -> String {
    let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let content = format!("{}.{}", text(header), text(claims));
    let signature = SigningKey::<Sha256>::new(private()).sign(content.as_bytes());
    format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// A token as Zoho signs it.
pub(crate) fn token(kid: &str, iss: &str, aud: &str, exp: u64) -> String {
    signed(&json!({"alg": "RS256", "kid": kid}), &json!({"iss": iss, "aud": aud, "exp": exp}))
}

/// A delivery, signed with this token.
pub(crate) fn delivery(received_at_ms: u64, token: Option<&str>, body: &Value) -> Delivery {
    let headers = token.map(|token| ("X-ZDesk-JWT".to_owned(), token.as_bytes().to_vec()));
    Delivery {
        received_at_ms,
        method: "POST".to_owned(),
        headers: headers.into_iter().collect(),
        body: body.to_string().into_bytes(),
    }
}
