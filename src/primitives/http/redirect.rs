//! Where a redirect leads, and what goes along.

use reqwest::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, HOST, HeaderName, LOCATION, RANGE,
    USER_AGENT,
};
use reqwest::{Method, StatusCode};

use super::error::HttpError;
use super::request::{Prepared, shown};

/// Go along to another origin. Everything else may be a credential: besides Authorization and Cookie, services take
/// keys in headers of their own naming.
const HARMLESS: [HeaderName; 7] =
    [ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, RANGE, USER_AGENT];

/// The request that follows `response`, if that is a redirect (RFC 9110, section 15.4).
pub fn next(request: &Prepared, response: &reqwest::Response) -> Result<Option<Prepared>, HttpError> {
    let status = response.status();
    let keeps_method = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method != Method::POST,
        StatusCode::SEE_OTHER => request.method == Method::GET || request.method == Method::HEAD,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => return Ok(None),
    };
    let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
    let bad = || HttpError::BadRedirect { from: shown(&request.url) };
    // Servers send UTF-8 there, though it should be percent-encoded.
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| bad())?;
    let url = request.url.join(location).map_err(|_| bad())?;
    if request.url.scheme() == "https" && url.scheme() == "http" {
        return Err(HttpError::Downgrade { from: shown(&request.url), to: shown(&url) });
    }
    let mut next = Prepared { url, ..request.clone() };
    next.headers.remove(HOST);
    if !keeps_method {
        next.method = Method::GET;
        next.body = None;
        for header in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
            next.headers.remove(header);
        }
    }
    if next.url.origin() != request.url.origin() {
        let along = |name: &HeaderName| next.headers.get(name).map(|value| (name.clone(), value.clone()));
        next.headers = HARMLESS.iter().filter_map(along).collect();
    } else if next.url.username().is_empty() && next.url.password().is_none() {
        // The same server: who asked before asks again.
        let _ = next.url.set_username(request.url.username());
        let _ = next.url.set_password(request.url.password());
    }
    Ok(Some(next))
}
