//! AWS Signature Version 4 of a request, computed again from its bytes.
//!
//! From "Authenticating Requests: Using the Authorization Header" of Amazon S3's documentation, whose example
//! is the test. Shares no code with the client.

use sha2::{Digest, Sha256};

use crate::request::{Request, decoded};

/// Bytes of a block of SHA-256, to which HMAC fills a key up.
const BLOCK_BYTES: usize = 64;

/// Whether a request is signed with a key.
pub(crate) fn is_valid(request: &Request, id: &str, secret: &str) -> bool {
    signature(request, id, secret).is_some_and(|(said, computed)| said == computed)
}

/// The signature that a request has, and the one that it should have; none if it names another key, or is not
/// signed at all.
fn signature(request: &Request, id: &str, secret: &str) -> Option<(String, String)> {
    let authorization = request.header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let part = |name: &str| {
        let mut parts = authorization.split(',').map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let scope = part("Credential")?.strip_prefix(id)?.strip_prefix('/')?;
    let [day, region, service, end] = scope.split('/').collect::<Vec<_>>()[..] else { return None };
    let time = request.header("x-amz-date")?;
    let names = part("SignedHeaders")?;
    let signed: Option<String> =
        names.split(';').map(|name| Some(format!("{name}:{}\n", request.header(name)?.trim()))).collect();
    // A signature that leaves these out would hold for another store, time or content.
    let covers = |name: &str| names.split(';').any(|signed| signed == name);
    if !["host", "x-amz-date", "x-amz-content-sha256"].into_iter().all(covers) || !time.starts_with(day) {
        return None;
    }
    let canonical = format!(
        "{}\n{}\n{}\n{}\n{names}\n{}",
        request.method,
        encoded(&decoded(&request.path), "/"),
        canonical_query(&request.parameters),
        signed?,
        request.header("x-amz-content-sha256")?,
    );
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, region, service, end] {
        key = hmac(&key, part.as_bytes());
    }
    Some((part("Signature")?.to_owned(), hex(&hmac(&key, text.as_bytes()))))
}

/// The parameters by name.
fn canonical_query(parameters: &str) -> String {
    let parameters = parameters.split('&').filter(|parameter| !parameter.is_empty());
    let mut parameters: Vec<String> = parameters
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            format!("{}={}", encoded(&decoded(name), ""), encoded(&decoded(value), ""))
        })
        .collect();
    parameters.sort();
    parameters.join("&")
}

/// A text with everything encoded except letters, digits, `-._~` and the `kept` characters.
fn encoded(text: &str, kept: &str) -> String {
    let is_plain =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || kept.as_bytes().contains(byte);
    let one = |byte: &u8| if is_plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    text.as_bytes().iter().map(one).collect()
}

/// RFC 2104. Keys here are shorter than a block.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = key.to_vec();
    block.resize(BLOCK_BYTES, 0);
    let with = |pad: u8| block.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(with(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(with(0x5c)).chain_update(inner).finalize().to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{is_valid, signature};
    use crate::request::Request;

    /// The first example of the documentation, with its signature.
    fn example(range: &str) -> Request {
        let content = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let authorization = "AWS4-HMAC-SHA256 \
            Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
            SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
            Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", range),
            ("x-amz-content-sha256", content),
            ("x-amz-date", "20130524T000000Z"),
            ("authorization", authorization),
        ];
        Request {
            method: "GET".to_owned(),
            path: "/test.txt".to_owned(),
            bucket: String::new(),
            name: "test.txt".to_owned(),
            parameters: String::new(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            body: Vec::new(),
        }
    }

    #[test]
    fn the_example_of_the_documentation_has_its_signature_and_another_request_has_not() {
        let (id, secret) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let (said, computed) = signature(&example("bytes=0-9"), id, secret).expect("signed");
        assert_eq!(said, computed);
        assert!(!is_valid(&example("bytes=0-8"), id, secret));
        assert!(!is_valid(&example("bytes=0-9"), id, "another"));
        assert!(!is_valid(&example("bytes=0-9"), "ANOTHER", secret));
    }
}
