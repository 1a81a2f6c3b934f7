//! Requests by which other services start jobs: whether whoever sends one has the secret, and has just signed it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::base::{Fault, Timestamp, limits};
use crate::model::triggers::Scheme;

/// A request that was signed as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What the sender calls it.
    pub id: Option<String>,
    /// What of it can be sent once only.
    pub key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    #[error("the header {0} is missing or cannot be read")]
    Header(&'static str),
    #[error("the signature does not fit the request")]
    Signature,
    #[error("the request was signed more than {} s away from this moment", limits::HOOK_WINDOW.as_secs())]
    Stale,
    #[error("the secret begins with whsec_, but what follows is not Base64")]
    Secret,
}

impl From<HookError> for Fault {
    fn from(problem: HookError) -> Self {
        let (code, hint) = match problem {
            HookError::Header(_) => (
                "hook.header",
                "standard wants webhook-id, webhook-timestamp and webhook-signature, github X-Hub-Signature-256",
            ),
            HookError::Signature => {
                ("hook.signature", "is it the same secret on both sides, and is the body sent as it was signed?")
            }
            HookError::Stale => ("hook.stale", "do the clocks of both sides agree?"),
            HookError::Secret => {
                ("hook.secret", "keep the secret as the sender shows it, or without whsec_ as plain text")
            }
        };
        Self::new(code, problem.to_string()).hint(hint)
    }
}

/// Checks a request. `header` gives a header by its lower-case name.
///
/// # Errors
/// It is not signed with the secret, or not now.
pub fn verify<'a>(
    (scheme, secret): (Scheme, &str),
    header: impl Fn(&'static str) -> Option<&'a str>,
    body: &[u8],
    now: Timestamp,
) -> Result<Delivery, HookError> {
    let need = |name| header(name).filter(|text| !text.is_empty()).ok_or(HookError::Header(name));
    match scheme {
        Scheme::Standard => {
            let id = need("webhook-id")?;
            if id.len() > limits::HOOK_ID_BYTES_MAX {
                return Err(HookError::Header("webhook-id"));
            }
            let moment = need("webhook-timestamp")?;
            let signatures = need("webhook-signature")?;
            let key = match secret.strip_prefix("whsec_") {
                Some(encoded) => STANDARD.decode(encoded).map_err(|_| HookError::Secret)?,
                None => secret.as_bytes().to_vec(),
            };
            let signed = [id.as_bytes(), b".", moment.as_bytes(), b".", body].concat();
            let mut given = signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
            if !given.any(|given| fits(&key, &signed, &given)) {
                return Err(HookError::Signature);
            }
            let seconds = moment.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
            let signed_at = seconds.ok_or(HookError::Header("webhook-timestamp"))?;
            if signed_at.duration_since(now).unsigned_abs() > limits::HOOK_WINDOW {
                return Err(HookError::Stale);
            }
            Ok(Delivery { id: Some(id.to_owned()), key: keyed(id.as_bytes()) })
        }
        // Neither a moment nor the delivery's number is signed: what is sent once only is the body itself.
        Scheme::Github => {
            let signature = need("x-hub-signature-256")?;
            let given = signature.strip_prefix("sha256=").and_then(unhex).ok_or(HookError::Signature)?;
            if !fits(secret.as_bytes(), body, &given) {
                return Err(HookError::Signature);
            }
            Ok(Delivery { id: header("x-github-delivery").map(str::to_owned), key: keyed(&given) })
        }
    }
}

fn keyed(what: &[u8]) -> String {
    format!("hook:{}", blake3::hash(what).to_hex())
}

/// Compares in a time that does not depend on where the two differ.
fn fits(key: &[u8], data: &[u8], given: &[u8]) -> bool {
    // A key of any length is a key.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
    mac.update(data);
    mac.verify_slice(given).is_ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(pair).collect()).flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Headers = BTreeMap<&'static str, String>;

    fn check(secret: (Scheme, &str), headers: &Headers, body: &str, second: i64) -> Result<Delivery, HookError> {
        let now = Timestamp::from_second(second).expect("a time");
        verify(secret, |name| headers.get(name).map(String::as_str), body.as_bytes(), now)
    }

    /// The example of the specification's reference implementations.
    #[test]
    fn requests_after_the_standard_are_known_by_their_signature_and_moment() {
        let secret = (Scheme::Standard, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = "{\"test\": 2432232314}";
        let headers = Headers::from([
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()),
            ("webhook-timestamp", "1614265330".to_owned()),
            ("webhook-signature", "v2,x v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()),
        ]);
        let taken = check(secret, &headers, body, 1_614_265_330).expect("as signed");
        assert_eq!(taken.id.as_deref(), Some("msg_p5jXN8AQM9LWM0D4loKWxJek"));
        for (second, outcome) in [
            (1_614_265_330 + 300, Ok(taken.clone())),
            (1_614_265_330 - 300, Ok(taken)),
            (1_614_265_330 + 301, Err(HookError::Stale)),
            (1_614_265_330 - 301, Err(HookError::Stale)),
        ] {
            assert_eq!(check(secret, &headers, body, second), outcome, "{second}");
        }
        let with =
            |name, value: &str| Headers::from_iter(headers.clone().into_iter().chain([(name, value.to_owned())]));
        let at = 1_614_265_330;
        for wrong in [with("webhook-id", "other"), with("webhook-timestamp", "1614265331")] {
            assert_eq!(check(secret, &wrong, body, at), Err(HookError::Signature));
        }
        assert_eq!(check(secret, &headers, "{}", at), Err(HookError::Signature));
        assert_eq!(check((Scheme::Standard, "whsec_AAAA"), &headers, body, at), Err(HookError::Signature));
        assert_eq!(check((Scheme::Standard, "whsec_?"), &headers, body, at), Err(HookError::Secret));
        assert_eq!(check(secret, &with("webhook-id", ""), body, at), Err(HookError::Header("webhook-id")));
        assert_eq!(
            check(secret, &with("webhook-id", &"x".repeat(201)), body, at),
            Err(HookError::Header("webhook-id"))
        );
        assert_eq!(check(secret, &Headers::new(), body, at), Err(HookError::Header("webhook-id")));
    }

    /// The example of GitHub's documentation.
    #[test]
    fn requests_as_github_signs_them_are_known_by_their_body() {
        let secret = (Scheme::Github, "It's a Secret to Everybody");
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let headers = Headers::from([("x-hub-signature-256", signature.to_owned())]);
        let taken = check(secret, &headers, "Hello, World!", 0).expect("as signed");
        let mut again = headers.clone();
        again.insert("x-github-delivery", "another".into());
        // Another number does not make another delivery of it.
        assert_eq!(check(secret, &again, "Hello, World!", 0).map(|one| one.key), Ok(taken.key));
        assert_eq!(check(secret, &headers, "Hello, World", 0), Err(HookError::Signature));
        for wrong in ["", "sha256=", "sha256=75", "757107", "sha1=00", "sha256=7+"] {
            let headers = Headers::from([("x-hub-signature-256", wrong.to_owned())]);
            assert!(check(secret, &headers, "Hello, World!", 0).is_err(), "{wrong}");
        }
    }

    /// What was signed under one scheme is nothing under the other.
    #[test]
    fn a_scheme_does_not_take_the_others_signatures() {
        let (id, second, body) = ("a", "100", "x");
        let mut mac = Hmac::<Sha256>::new_from_slice(b"key").expect("a key");
        mac.update(format!("{id}.{second}.{body}").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let headers = Headers::from([
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", second.to_owned()),
            ("webhook-signature", format!("v1,{signature}")),
        ]);
        assert!(check((Scheme::Standard, "key"), &headers, body, 100).is_ok());
        assert_eq!(
            check((Scheme::Github, "key"), &headers, "a.100.x", 100),
            Err(HookError::Header("x-hub-signature-256"))
        );
    }
}
