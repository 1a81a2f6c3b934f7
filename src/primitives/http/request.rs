//! What a script asks for, and what is sent for it.

use std::collections::BTreeMap;

use base64::Engine;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer};
use url::Url;

use super::error::HttpError;
use crate::base::{ExposeSecret, SecretString, limits};
use crate::primitives::option::{Size, Span, Texts};

/// A request. At most one of `json`, `form`, `body` and `multipart`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    pub url: String,
    /// Default: `GET`, or `POST` with a body.
    pub method: Option<String>,
    pub headers: BTreeMap<String, Texts>,
    /// Added to what the URL has.
    pub query: BTreeMap<String, Texts>,
    pub auth: Option<Auth>,
    #[serde(deserialize_with = "present")]
    pub json: Option<serde_json::Value>,
    pub form: Option<BTreeMap<String, Texts>>,
    pub body: Option<Body>,
    pub multipart: Option<Vec<Part>>,
    /// Of one attempt, redirects and body included. Default: 30 s.
    pub timeout: Option<Span>,
    /// A larger answer is an error. Default: 8 MiB, at most 64 MiB.
    pub max_bytes: Option<Size>,
    /// How many to follow. Default: 10.
    pub redirects: Option<usize>,
    /// Further attempts after a lost connection or a 429, 502, 503 or 504, each after a longer pause. For methods that
    /// may be repeated, or with a header `Idempotency-Key`. Default: 0.
    pub retries: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Auth {
    Bearer { bearer: SecretString },
    Basic { username: String, password: SecretString },
}

/// Bytes; a text is its UTF-8.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body(pub Bytes);

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub name: String,
    pub content: Body,
    #[serde(default)]
    pub filename: Option<String>,
    #[serde(default)]
    pub content_type: Option<String>,
}

/// `json = null` is a body; no `json` is none.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl serde::de::Visitor<'_> for V {
            type Value = Body;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or bytes")
            }
            fn visit_str<E>(self, text: &str) -> Result<Body, E> {
                Ok(Body(Bytes::copy_from_slice(text.as_bytes())))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Body, E> {
                Ok(Body(Bytes::copy_from_slice(bytes)))
            }
        }
        deserializer.deserialize_any(V)
    }
}

/// A request that was checked, in the form in which it can be sent again and again.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    pub(super) timeout: std::time::Duration,
    pub(super) max_bytes: usize,
    pub(super) redirects: usize,
    pub(super) retries: u32,
}

#[derive(Debug, Clone)]
pub(super) enum Payload {
    None,
    Bytes(Bytes),
    Multipart(Vec<Part>),
}

impl Request {
    pub(super) fn prepare(self) -> Result<Prepared, HttpError> {
        let url = self.target()?;
        let mut headers = self.header_map()?;
        let bodies = [self.json.is_some(), self.form.is_some(), self.body.is_some(), self.multipart.is_some()];
        if bodies.iter().filter(|given| **given).count() > 1 {
            return Err(HttpError::invalid("body", "give one of json, form, body and multipart"));
        }
        let has_body = bodies.contains(&true);
        let method = method(self.method.as_deref(), has_body)?;
        let timeout = self.timeout.map_or(limits::HTTP_TIMEOUT_DEFAULT, |span| span.0);
        if timeout.is_zero() {
            return Err(HttpError::invalid("timeout", "it must be longer than nothing"));
        }
        let max_bytes = self.max_bytes.map_or(limits::HTTP_BODY_BYTES_DEFAULT as u64, |size| size.0);
        if max_bytes > limits::HTTP_BODY_BYTES_MAX as u64 {
            let most = crate::base::quantity::show_size(limits::HTTP_BODY_BYTES_MAX as u64);
            return Err(HttpError::invalid("max_bytes", format!("the most is {most}")));
        }
        let redirects = self.redirects.unwrap_or(limits::HTTP_REDIRECTS_MAX);
        if redirects > limits::HTTP_REDIRECTS_MAX {
            return Err(HttpError::invalid("redirects", format!("the most is {}", limits::HTTP_REDIRECTS_MAX)));
        }
        let repeatable = super::retry::is_repeatable(&method) || headers.contains_key("idempotency-key");
        if self.retries > limits::HTTP_RETRIES_MAX {
            return Err(HttpError::invalid("retries", format!("the most is {}", limits::HTTP_RETRIES_MAX)));
        }
        if self.retries > 0 && !repeatable {
            return Err(HttpError::invalid(
                "retries",
                format!("{method} may act twice: send a header Idempotency-Key with it"),
            ));
        }
        let retries = self.retries;
        let payload = self.payload(&mut headers)?;
        Ok(Prepared { method, url, headers, payload, timeout, max_bytes: max_bytes as usize, redirects, retries })
    }

    fn target(&self) -> Result<Url, HttpError> {
        let mut url = Url::parse(self.url.trim())
            .map_err(|error| HttpError::invalid("url", format!("{:?}: {error}", shortened(&self.url))))?;
        if !self.query.is_empty() {
            let mut pairs = url.query_pairs_mut();
            for (name, values) in &self.query {
                for value in &values.0 {
                    pairs.append_pair(name, value);
                }
            }
        }
        url.set_fragment(None);
        Ok(url)
    }

    fn header_map(&self) -> Result<HeaderMap, HttpError> {
        let mut headers = HeaderMap::new();
        if self.headers.len() > limits::HTTP_HEADERS_MAX {
            return Err(HttpError::invalid("headers", format!("at most {} are possible", limits::HTTP_HEADERS_MAX)));
        }
        for (name, values) in &self.headers {
            let header = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| HttpError::invalid("headers", format!("{name:?} is not the name of a header")))?;
            if is_ours(&header) {
                return Err(HttpError::invalid(
                    "headers",
                    format!("{name} follows from the request and cannot be set"),
                ));
            }
            for value in &values.0 {
                let value = HeaderValue::from_str(value).map_err(|_| {
                    HttpError::invalid("headers", format!("the value of {name} has forbidden characters"))
                })?;
                headers.append(header.clone(), value);
            }
        }
        if let Some(auth) = &self.auth {
            headers.insert(AUTHORIZATION, auth.header()?);
        }
        Ok(headers)
    }

    fn payload(self, headers: &mut HeaderMap) -> Result<Payload, HttpError> {
        let typed = |headers: &mut HeaderMap, kind: &'static str| {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        };
        let payload = if let Some(json) = self.json {
            typed(headers, "application/json");
            Payload::Bytes(
                serde_json::to_vec(&json).map_err(|error| HttpError::invalid("json", error.to_string()))?.into(),
            )
        } else if let Some(form) = self.form {
            typed(headers, "application/x-www-form-urlencoded");
            let mut text = url::form_urlencoded::Serializer::new(String::new());
            for (name, values) in &form {
                for value in &values.0 {
                    text.append_pair(name, value);
                }
            }
            Payload::Bytes(text.finish().into())
        } else if let Some(Body(bytes)) = self.body {
            Payload::Bytes(bytes)
        } else if let Some(parts) = self.multipart {
            Payload::Multipart(parts)
        } else {
            Payload::None
        };
        let size = match &payload {
            Payload::None => 0,
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Multipart(parts) => parts.iter().map(|part| part.content.0.len()).sum(),
        };
        if size > limits::HTTP_BODY_BYTES_MAX {
            let most = crate::base::quantity::show_size(limits::HTTP_BODY_BYTES_MAX as u64);
            return Err(HttpError::invalid("body", format!("it is larger than {most}")));
        }
        Ok(payload)
    }
}

impl Auth {
    fn header(&self) -> Result<HeaderValue, HttpError> {
        let text = match self {
            Self::Bearer { bearer } => format!("Bearer {}", bearer.expose_secret()),
            Self::Basic { username, password } => {
                let pair = format!("{username}:{}", password.expose_secret());
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
            }
        };
        let mut value =
            HeaderValue::from_str(&text).map_err(|_| HttpError::invalid("auth", "it has forbidden characters"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Payload {
    pub(super) fn put_into(&self, request: reqwest::RequestBuilder) -> Result<reqwest::RequestBuilder, HttpError> {
        match self {
            Self::None => Ok(request),
            Self::Bytes(bytes) => Ok(request.body(bytes.clone())),
            Self::Multipart(parts) => {
                let mut form = reqwest::multipart::Form::new();
                for part in parts {
                    let length = part.content.0.len() as u64;
                    let mut made = reqwest::multipart::Part::stream_with_length(part.content.0.clone(), length);
                    if let Some(filename) = &part.filename {
                        made = made.file_name(filename.clone());
                    }
                    if let Some(kind) = &part.content_type {
                        let bad = |_| HttpError::invalid("multipart", format!("{kind:?} is not a content type"));
                        made = made.mime_str(kind).map_err(bad)?;
                    }
                    form = form.part(part.name.clone(), made);
                }
                Ok(request.multipart(form))
            }
        }
    }
}

fn method(name: Option<&str>, has_body: bool) -> Result<Method, HttpError> {
    let usual = if has_body { "POST" } else { "GET" };
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let name = name.unwrap_or(usual).to_ascii_uppercase();
    if !known.contains(&name.as_str()) {
        let hint = crate::base::suggest::did_you_mean(&name, known);
        return Err(HttpError::invalid("method", format!("{name:?} is not one of {}{hint}", known.join(", "))));
    }
    Method::from_bytes(name.as_bytes()).map_err(|_| HttpError::invalid("method", name))
}

/// `Host` would reach another site behind a granted address; the others are the connection's own.
fn is_ours(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host" | "content-length" | "transfer-encoding" | "connection" | "upgrade" | "te" | "trailer" | "keep-alive"
    ) || name.as_str().starts_with("proxy-")
}

fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn prepare(value: Value) -> Result<Prepared, String> {
        let request: Request = serde_json::from_value(value).map_err(|error| error.to_string())?;
        request.prepare().map_err(|error| error.to_string())
    }

    #[test]
    fn bodies_set_method_and_type() {
        let sent =
            prepare(json!({"url": "http://x/?a=1#top", "query": {"b": ["2", 3]}, "json": {"k": "v"}})).expect("sent");
        assert_eq!((sent.method.as_str(), sent.url.as_str()), ("POST", "http://x/?a=1&b=2&b=3"));
        assert_eq!(sent.headers[CONTENT_TYPE], "application/json");
        assert!(matches!(sent.payload, Payload::Bytes(bytes) if bytes == r#"{"k":"v"}"#));
        let form = prepare(json!({"url": "http://x/", "form": {"a b": "c&d"}, "method": "put"})).expect("sent");
        assert!(matches!(form.payload, Payload::Bytes(bytes) if bytes == "a+b=c%26d"));
        assert_eq!(form.method, Method::PUT);
        assert!(matches!(prepare(json!({"url": "http://x/", "json": null})).expect("sent").payload, Payload::Bytes(_)));
    }

    #[test]
    fn secrets_go_into_a_sensitive_header() {
        let sent = prepare(json!({"url": "http://x/", "auth": {"username": "u", "password": "p"}})).expect("sent");
        assert_eq!(sent.headers[AUTHORIZATION], "Basic dTpw");
        assert!(sent.headers[AUTHORIZATION].is_sensitive());
        assert!(!format!("{sent:?}").contains("dTpw"));
        let bearer = prepare(json!({"url": "http://x/", "auth": {"bearer": "t"}})).expect("sent");
        assert_eq!(bearer.headers[AUTHORIZATION], "Bearer t");
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for (request, field) in [
            (json!({"url": "x"}), "url"),
            (json!({"url": "http://x/", "json": 1, "body": "x"}), "body"),
            (json!({"url": "http://x/", "method": "CONNECT"}), "method"),
            (json!({"url": "http://x/", "headers": {"Host": "y"}}), "headers"),
            (json!({"url": "http://x/", "headers": {"a b": "y"}}), "headers"),
            (json!({"url": "http://x/", "headers": {"A": "x\r\nB: y"}}), "headers"),
            (json!({"url": "http://x/", "json": 1, "retries": 2}), "retries"),
            (json!({"url": "http://x/", "redirects": 50}), "redirects"),
            (json!({"url": "http://x/", "max_bytes": "1GiB"}), "max_bytes"),
            (json!({"url": "http://x/", "timeout": 0}), "timeout"),
        ] {
            let refused = prepare(request.clone()).expect_err("refused");
            assert!(refused.starts_with(field), "{request}: {refused}");
        }
        let unknown = prepare(json!({"url": "http://x/", "header": {}})).expect_err("refused");
        assert!(unknown.contains("unknown field `header`"), "{unknown}");
        assert!(
            prepare(json!({"url": "http://x/", "json": 1, "retries": 2, "headers": {"Idempotency-Key": "k"}})).is_ok()
        );
    }
}
