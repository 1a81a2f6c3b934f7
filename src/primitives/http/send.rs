//! Attempts, redirects, and the checks on each hop.

use std::collections::BTreeMap;

use bytes::BytesMut;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, LOCATION, RETRY_AFTER};
use url::Url;

use super::error::HttpError;
use super::request::{Payload, Prepared, Request};
use super::response::Response;
use super::{Http, retry};
use crate::base::clock::since;
use crate::primitives::net::Target;
use crate::primitives::permit::HttpPermit;

impl Http {
    /// Sends a request and reads the answer, whatever its status.
    pub async fn send(&self, permit: &HttpPermit, request: Request) -> Result<Response, HttpError> {
        let prepared = request.prepare()?;
        let mut attempt = 1;
        loop {
            let outcome = self.attempt(permit, &prepared).await;
            let is_last = attempt > prepared.retries;
            let pause = match &outcome {
                Ok(response) if !is_last && retry::is_passing(response.status) => {
                    let asked = response.headers.get(RETRY_AFTER.as_str());
                    asked.and_then(|value| retry::retry_after(value, self.shared.clock.now()))
                }
                Err(error) if !is_last && error.is_retryable() => None,
                _ => return outcome.map(|response| Response { attempts: attempt, ..response }),
            };
            self.shared.clock.sleep(retry::pause(attempt, pause, retry::pause_max())).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, permit: &HttpPermit, prepared: &Prepared) -> Result<Response, HttpError> {
        let clock = &self.shared.clock;
        let started = clock.now();
        let outcome = tokio::select! {
            outcome = self.follow(permit, prepared) => outcome,
            () = clock.sleep(prepared.timeout) => {
                Err(HttpError::Timeout { url: shown(&prepared.url), after: prepared.timeout })
            }
        };
        let elapsed_ms = u64::try_from(since(clock.now(), started).as_millis()).unwrap_or(u64::MAX);
        outcome.map(|response| Response { elapsed_ms, ..response })
    }

    /// Goes from hop to hop. Each is checked as if the script had named it.
    async fn follow(&self, permit: &HttpPermit, prepared: &Prepared) -> Result<Response, HttpError> {
        let mut hop = prepared.clone();
        let policy = permit.policy().denying(self.shared.deny.clone());
        for _ in 0..=prepared.redirects {
            let url = shown(&hop.url);
            let blocked = |blocked| HttpError::blocked(permit, &url, blocked);
            let target = Target::of(&hop.url).map_err(blocked)?;
            policy.check(&target).map_err(blocked)?;
            let client = self.shared.pools.client(&policy, target.port)?;
            let request = client.request(hop.method.clone(), hop.url.clone()).headers(hop.headers.clone());
            let request = hop.payload.put_into(request)?;
            let answer = request.send().await.map_err(|error| HttpError::of(permit, &url, error))?;
            match next_hop(&hop, &answer)? {
                Some(next) if prepared.redirects > 0 => hop = next,
                _ => return read(permit, url, answer, hop.max_bytes).await,
            }
        }
        Err(HttpError::Redirects { url: shown(&prepared.url), limit: prepared.redirects })
    }
}

/// Where the answer sends on to, and with what. None for an answer that is final.
fn next_hop(hop: &Prepared, answer: &reqwest::Response) -> Result<Option<Prepared>, HttpError> {
    let status = answer.status().as_u16();
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = answer.headers().get(LOCATION) else { return Ok(None) };
    let bad = |problem: &str| HttpError::Blocked { url: shown(&hop.url), reason: format!("it redirects to {problem}") };
    let location = location.to_str().map_err(|_| bad("what is no URL"))?;
    let mut url = hop.url.join(location).map_err(|_| bad("what is no URL"))?;
    url.set_fragment(None);
    // Credentials are the script's to give, not a server's.
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    if has_credentials && (url.set_username("").is_err() || url.set_password(None).is_err()) {
        return Err(bad("a URL with credentials"));
    }
    let mut next = Prepared { url, ..hop.clone() };
    if next.url.origin() != hop.url.origin() {
        strip_secrets(&mut next.headers);
    }
    let turns_to_get =
        status == 303 && hop.method != Method::HEAD || matches!(status, 301 | 302) && hop.method == Method::POST;
    if turns_to_get {
        next.method = Method::GET;
        next.payload = Payload::None;
        next.headers.remove(CONTENT_TYPE);
        next.headers.remove(CONTENT_LENGTH);
    }
    Ok(Some(next))
}

/// Another origin gets no header that could be a secret: the well-known ones and whatever is called like one.
fn strip_secrets(headers: &mut HeaderMap) {
    let telling = ["token", "key", "secret", "auth", "signature", "session", "password"];
    let names: Vec<_> = headers.keys().cloned().collect();
    for name in names {
        if name == AUTHORIZATION || name == COOKIE || telling.iter().any(|part| name.as_str().contains(part)) {
            headers.remove(&name);
        }
    }
}

async fn read(
    permit: &HttpPermit,
    url: String,
    mut answer: reqwest::Response,
    max_bytes: usize,
) -> Result<Response, HttpError> {
    let too_large = || HttpError::TooLarge { url: url.clone(), limit: max_bytes as u64 };
    if answer.content_length().is_some_and(|length| length > max_bytes as u64) {
        return Err(too_large());
    }
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in answer.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|joined| {
                joined.push_str(", ");
                joined.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    let mut body = BytesMut::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| HttpError::of(permit, &url, error))? {
        if body.len() + piece.len() > max_bytes {
            return Err(too_large());
        }
        body.extend_from_slice(&piece);
    }
    let status = answer.status().as_u16();
    Ok(Response { status, headers, url, body: body.freeze(), elapsed_ms: 0, attempts: 1 })
}

/// A URL as it may stand in an error or a log: without credentials, and without the query, which often holds a key.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that cannot have credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_secrets() {
        let url = Url::parse("https://user:pass@example.com/a?token=x").expect("a URL");
        assert_eq!(shown(&url), "https://example.com/a");
    }

    #[test]
    fn secrets_stay_with_their_origin() {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "x-api-key", "x-vault-token", "accept", "x-request-id"] {
            headers.insert(reqwest::header::HeaderName::from_static(name), "v".parse().expect("a value"));
        }
        strip_secrets(&mut headers);
        let mut left: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "x-request-id"]);
    }
}
