//! What is to be sent, and its checks that need no network.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use url::Url;

use super::body::{Body, Encoded};
use super::error::HttpError;
use super::retry::Retry;
use crate::base::limits;

/// One request. `Request::new` sets every bound to its default.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// Appended to the query that the URL has.
    pub query: Vec<(String, String)>,
    pub body: Body,
    /// Of one attempt, its redirects and the response's body included.
    pub timeout: Duration,
    /// Resolving the name, opening the connection, agreeing on TLS.
    pub connect: Option<Duration>,
    /// From being sent to the head of the response, redirects included.
    pub first_byte: Option<Duration>,
    /// Between two pieces of the response's body.
    pub idle: Option<Duration>,
    /// Of the response.
    pub body_bytes_max: usize,
    /// 0: a redirect is returned like any response.
    pub redirects_max: usize,
    pub retry: Retry,
}

/// What a request would do, for a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub method: String,
    pub url: String,
    pub body_bytes: usize,
}

impl Request {
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            query: Vec::new(),
            body: Body::Empty,
            timeout: limits::HTTP_TIMEOUT_DEFAULT,
            connect: None,
            first_byte: None,
            idle: None,
            body_bytes_max: limits::HTTP_BODY_BYTES_DEFAULT,
            redirects_max: limits::HTTP_REDIRECTS_MAX,
            retry: Retry::NONE,
        }
    }

    /// Whether sending it twice does no more than sending it once (RFC 9110, section 9.2.2, or by its own key).
    fn is_repeatable(&self) -> bool {
        let keyed = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"));
        keyed || self.method.is_idempotent()
    }

    fn check(&self) -> Result<(), HttpError> {
        let bad = |problem: String| Err(HttpError::BadRequest(problem));
        if self.timeout.is_zero() || self.timeout > limits::HTTP_TIMEOUT_MAX {
            return bad(format!("timeout must be more than 0 and at most {:?}", limits::HTTP_TIMEOUT_MAX));
        }
        for (name, phase) in [("connect", self.connect), ("first_byte", self.first_byte), ("idle", self.idle)] {
            if phase.is_some_and(|phase| phase.is_zero() || phase > limits::HTTP_TIMEOUT_MAX) {
                return bad(format!("{name} must be more than 0 and at most {:?}", limits::HTTP_TIMEOUT_MAX));
            }
        }
        if self.body_bytes_max > limits::HTTP_BODY_BYTES_MAX {
            return bad(format!("max_body must be at most {} bytes", limits::HTTP_BODY_BYTES_MAX));
        }
        if self.redirects_max > limits::HTTP_REDIRECTS_MAX {
            return bad(format!("redirects must be at most {}", limits::HTTP_REDIRECTS_MAX));
        }
        if self.retry.attempts == 0 || self.retry.attempts > limits::HTTP_ATTEMPTS_MAX {
            return bad(format!("retry.attempts must be 1 to {}", limits::HTTP_ATTEMPTS_MAX));
        }
        if self.retry.attempts > 1 && !self.is_repeatable() {
            return bad(format!(
                "{} may do its work twice when it is repeated: leave out retry, or send an Idempotency-Key header",
                self.method
            ));
        }
        Ok(())
    }

    pub(super) async fn prepare(&self) -> Result<Prepared, HttpError> {
        self.check()?;
        let mut url = parse(&self.url)?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let Encoded { bytes, content_type } = self.body.encode().await?;
        let mut headers = headers(&self.headers)?;
        if let Some(kind) = content_type.and_then(|kind| HeaderValue::try_from(kind).ok()) {
            headers.entry(CONTENT_TYPE).or_insert(kind);
        }
        let agent = HeaderValue::from_static(concat!("aegis/", env!("CARGO_PKG_VERSION")));
        headers.entry(USER_AGENT).or_insert(agent);
        Ok(Prepared { method: self.method.clone(), url, headers, body: bytes })
    }
}

/// A request that can be sent as it is.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<bytes::Bytes>,
}

impl Prepared {
    /// User and password in the URL become the Authorization header, unless there is one.
    pub fn build(&self, client: &reqwest::Client) -> reqwest::Result<reqwest::Request> {
        let mut builder = client.request(self.method.clone(), self.url.clone()).headers(self.headers.clone());
        if let Some(body) = &self.body {
            builder = builder.body(body.clone());
        }
        builder.build()
    }

    /// The URL that the Host header pretends to, when there is one: it needs the same permission as a real target.
    pub fn pretended(&self) -> Result<Option<Url>, HttpError> {
        let Some(host) = self.headers.get(HOST) else { return Ok(None) };
        let bad = || HttpError::BadRequest("the header Host must be a host name with an optional port".into());
        let host = host.to_str().map_err(|_| bad())?;
        let url = Url::parse(&format!("{}://{host}/", self.url.scheme())).map_err(|_| bad())?;
        let is_bare =
            url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if is_bare { Ok(Some(url)) } else { Err(bad()) }
    }
}

fn parse(text: &str) -> Result<Url, HttpError> {
    if text.len() > limits::HTTP_URL_BYTES_MAX {
        return Err(HttpError::BadUrl(format!("the URL has more than {} bytes", limits::HTTP_URL_BYTES_MAX)));
    }
    let url = Url::parse(text).map_err(|problem| HttpError::BadUrl(format!("the URL cannot be read: {problem}")))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(HttpError::BadUrl(format!("the scheme {other:?} is not one of http and https"))),
    }
}

/// Headers that say how the message is framed or the connection is used: the client's own business.
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, HttpError> {
    if pairs.len() > limits::HTTP_HEADERS_MAX {
        return Err(HttpError::BadRequest(format!("a request has at most {} headers", limits::HTTP_HEADERS_MAX)));
    }
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let shown: String = name.chars().take(64).collect();
        if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
            return Err(HttpError::BadRequest(format!("the header {shown:?} is set by the client itself")));
        }
        let bad = || HttpError::BadRequest(format!("{shown:?} is not a header name"));
        let key = HeaderName::try_from(name.as_str()).map_err(|_| bad())?;
        let bad = || {
            HttpError::BadRequest(format!("the value of the header {shown:?} holds a character that headers cannot"))
        };
        let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| bad())?;
        value.set_sensitive(true);
        // A second one would go unchecked, and what a server makes of two is its own.
        if key == HOST && headers.contains_key(HOST) {
            return Err(HttpError::BadRequest("the header Host is given twice".into()));
        }
        headers.append(key, value);
    }
    Ok(headers)
}

/// A URL in messages and logs: without user, password and query, which may hold secrets.
pub(super) fn shown(url: &Url) -> String {
    const PATH_CHARS_MAX: usize = 200;
    let path: String = url.path().chars().take(PATH_CHARS_MAX).collect();
    format!("{}{path}", url.origin().ascii_serialization())
}
