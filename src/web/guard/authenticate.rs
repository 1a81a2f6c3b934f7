//! Finds out who calls, and that a page of ours made them call.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Peer, host};
use crate::model::Identity;
use crate::web::auth;
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::Session;
use crate::web::parts::Web;

/// The session's cookie.
pub const COOKIE: &str = "aegis_session";

/// Puts [`Identity`] (and [`Session`] for browsers) into the request. A request without credentials goes on without:
/// what needs a caller says so itself. A wrong token is refused here, and counted; a good one never waits, because
/// behind a proxy all callers have one address, and anybody can use up its patience.
pub async fn authenticate(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let peer = address(request.extensions().get());
    match identify(&web, request.headers(), peer).await {
        Ok(Some((identity, session))) => {
            if session.is_some() && !is_same_origin(&request) {
                return foreign().into_response();
            }
            if let Some(session) = session {
                request.extensions_mut().insert(session);
            }
            request.extensions_mut().insert(identity);
        }
        Ok(None) if is_login(&request) => {
            if told_foreign(&request) {
                return foreign().into_response();
            }
        }
        Ok(None) => {}
        Err(refusal) => return refusal.into_response(),
    }
    let login = is_login(&request);
    let response = next.run(request).await;
    if login && response.status() == StatusCode::UNAUTHORIZED {
        return refused(&web, peer).map_or(response, IntoResponse::into_response);
    }
    response
}

async fn identify(web: &Web, headers: &HeaderMap, peer: IpAddr) -> ApiResult<Option<(Identity, Option<Session>)>> {
    let store = &web.parts.store;
    if let Some(token) = bearer(headers)? {
        if let Some(identity) = auth::by_token(store, token, web.now()).await? {
            return Ok(Some((identity, None)));
        }
        if let Some(refusal) = refused(web, peer) {
            return Err(refusal);
        }
        let refusal = ApiError::new(StatusCode::UNAUTHORIZED, "auth.token", "the token is unknown, revoked or expired");
        return Err(refusal.hint("make one with \"aegis token create NAME --role ROLE\""));
    }
    let Some(cookie) = cookie(headers, COOKIE) else { return Ok(None) };
    let found = auth::by_cookie(store, cookie, web.now()).await?;
    Ok(found.map(|(identity, session)| (identity, Some(session))))
}

fn address(peer: Option<&Peer>) -> IpAddr {
    peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip())
}

/// The address that a request comes from, for those who count refusals themselves.
#[derive(Debug, Clone, Copy)]
pub struct Caller(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(address(parts.extensions.get())))
    }
}

/// Counts a wrong token or signature; the answer when there were too many.
pub fn refused(web: &Web, peer: IpAddr) -> Option<ApiError> {
    let Some(wait) = web.throttle.wait(peer) else {
        web.throttle.failed(peer);
        return None;
    };
    let seconds = wait.as_secs() + 1;
    let message = "too many wrong tokens or signatures from this address";
    let refusal = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "auth.throttled", message);
    Some(
        refusal
            .hint(format!("try again in {seconds} s"))
            .details(serde_json::json!({ "retry_after_seconds": seconds })),
    )
}

fn bearer(headers: &HeaderMap) -> ApiResult<Option<&str>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().unwrap_or("");
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(ApiError::unauthorized("the Authorization header must be \"Bearer\" and a token")),
    }
}

/// The value of one cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn is_login(request: &Request) -> bool {
    request.method() == axum::http::Method::POST && request.uri().path() == "/login"
}

fn foreign() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "request.origin", "the request was not made by a page of this daemon")
}

/// Whether the browser vouches that a page of ours made the request. Requests that change nothing need no proof.
fn is_same_origin(request: &Request) -> bool {
    if request.method().is_safe() {
        return true;
    }
    let headers = request.headers();
    match headers.get("sec-fetch-site").and_then(|value| value.to_str().ok()) {
        Some(site) => site == "same-origin" || site == "none",
        None => host::origin(headers).is_some_and(|origin| origin.as_deref() == host::authority(request)),
    }
}

/// Whether the browser says that a page of another site made the request.
fn told_foreign(request: &Request) -> bool {
    let tells = request.headers().contains_key("sec-fetch-site") || request.headers().contains_key(header::ORIGIN);
    tells && !is_same_origin(request)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn post(headers: &[(&'static str, &'static str)]) -> Request {
        let builder = Request::post("/jobs/x/run").header("host", "localhost:8080");
        let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        builder.body(Body::empty()).expect("a request")
    }

    #[test]
    fn changes_by_cookie_need_the_browsers_word() {
        assert!(is_same_origin(&post(&[("sec-fetch-site", "same-origin")])));
        assert!(is_same_origin(&post(&[("origin", "http://localhost:8080")])));
        assert!(!is_same_origin(&post(&[])));
        assert!(!is_same_origin(&post(&[("sec-fetch-site", "same-site"), ("origin", "http://localhost:8080")])));
        assert!(!is_same_origin(&post(&[("origin", "http://localhost:9090")])));
        assert!(!is_same_origin(&post(&[("origin", "null")])));
    }

    #[test]
    fn cookies_are_found_among_others() {
        let request = post(&[("cookie", "a=1; aegis_session=xyz; b=2")]);
        assert_eq!(cookie(request.headers(), COOKIE), Some("xyz"));
        assert_eq!(cookie(request.headers(), "session"), None);
    }

    #[test]
    fn only_bearer_tokens_are_understood() {
        assert_eq!(bearer(post(&[("authorization", "bearer abc")]).headers()).ok().flatten(), Some("abc"));
        assert!(bearer(post(&[("authorization", "Basic abc")]).headers()).is_err());
        assert_eq!(bearer(post(&[]).headers()).ok().flatten(), None);
    }
}
