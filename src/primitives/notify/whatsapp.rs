//! WhatsApp through Vonage's Messages API.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::message::Message;
use super::text::cut;
use crate::base::{ExposeSecret, SecretString, Timestamp};

const TEXT_CHARS_MAX: usize = 4_096;
/// How long a token is good for.
const TOKEN_SECONDS: i64 = 900;

pub fn body(message: &Message, from: &str, to: &str, id: &str) -> Value {
    // Numbers are written without the plus sign and without spaces.
    let number = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let text = cut(&message.plain(), TEXT_CHARS_MAX);
    json!({
        "message_type": "text",
        "channel": "whatsapp",
        "from": number(from),
        "to": number(to),
        "text": text,
        "client_ref": id,
    })
}

pub fn basic(key: &SecretString, secret: &SecretString) -> String {
    let pair = format!("{}:{}", key.expose_secret(), secret.expose_secret());
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

/// The Authorization header of an application, signed with its key. None when the key is not an RSA key in PEM.
pub fn bearer(application: &str, key: &SecretString, now: Timestamp) -> Option<String> {
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).ok()?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key).ok()?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?;
    let issued = now.as_second();
    let id = ulid::Ulid::generate().to_string();
    let claims = json!({ "application_id": application, "iat": issued, "exp": issued + TOKEN_SECONDS, "jti": id });
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(json!({ "alg": "RS256", "typ": "JWT" })), part(claims));
    let signature = signer.sign(signed.as_bytes()).ok()?;
    Some(format!("Bearer {signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
}
