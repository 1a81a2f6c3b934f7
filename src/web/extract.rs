//! Request parts, with failures that say which field and where.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::base::quantity::show_size;
use crate::base::{Timestamp, limits, quantity};
use crate::model::{Identity, Role};

/// A JSON body. An absent body reads as `{}`, so that requests whose fields are all optional need none.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_json = kind.is_some_and(|kind| kind.split(';').next().unwrap_or("").trim().ends_with("json"));
        let bytes = Bytes::from_request(request, state).await.map_err(body_problem)?;
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        if !is_json && bytes.as_ref() != b"{}" {
            let message = "the body must be JSON and say so with \"Content-Type: application/json\"";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "request.media_type", message));
        }
        parse_json(&bytes).map(Self)
    }
}

fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // Serde would take a list for a struct's fields in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::bad_request("the body must be a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|failure| {
        let path = failure.path().to_string();
        let inner = failure.inner();
        let details = serde_json::json!({ "path": path, "line": inner.line(), "column": inner.column() });
        let place = if path == "." { String::new() } else { format!(" at {path}") };
        ApiError::bad_request(format!("the body is not what is expected{place}: {inner}")).details(details)
    })?;
    reader.end().map_err(|failure| {
        let details = serde_json::json!({ "path": ".", "line": failure.line(), "column": failure.column() });
        ApiError::bad_request(format!("the body goes on after its JSON value: {failure}")).details(details)
    })?;
    Ok(value)
}

/// What went wrong while a body was read.
pub fn body_problem(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let limit = show_size(limits::API_BODY_BYTES_MAX as u64);
        return ApiError::new(rejection.status(), "request.too_large", format!("the body is larger than {limit}"));
    }
    ApiError::bad_request(format!("the body cannot be read: {}", rejection.body_text()))
}

/// Parts of the path.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found = axum::extract::Path::from_request_parts(parts, state).await;
        let axum::extract::Path(value) =
            found.map_err(|rejection| ApiError::bad_request(format!("the address is malformed: {rejection}")))?;
        Ok(Self(value))
    }
}

/// The query string.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                let reason = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(ApiError::bad_request(format!("the query string is not what is expected: {reason}")))
            }
        }
    }
}

/// A form sent by a page, in order of its fields.
#[derive(Debug)]
pub struct Form(pub Vec<(String, String)>);

impl Form {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await.map_err(body_problem)?;
        Ok(Self(url::form_urlencoded::parse(&bytes).into_owned().collect()))
    }
}

/// Extractors that let a request in only if its caller has the role.
macro_rules! caller {
    ($(#[$doc:meta])* $name:ident, $role:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub Identity);

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
                require(parts, $role).map(Self)
            }
        }
    };
}

caller!(
    /// May read.
    Viewer,
    Role::Viewer
);
caller!(
    /// May trigger, cancel, retry, enable and disable.
    Operator,
    Role::Operator
);
caller!(
    /// May manage tokens.
    Admin,
    Role::Admin
);

fn require(parts: &Parts, needed: Role) -> Result<Identity, ApiError> {
    let Some(identity) = parts.extensions.get::<Identity>() else {
        return Err(ApiError::unauthorized("this needs a token or a session")
            .hint("send \"Authorization: Bearer …\"; \"aegis token create\" makes a token"));
    };
    if identity.role.allows(needed) {
        return Ok(identity.clone());
    }
    let message = format!("{} has the role {}; this needs {needed}", identity.actor, identity.role);
    Err(ApiError::forbidden(message))
}

/// The browser session of the request, if it came with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub hash: String,
    /// What forms of this session carry to prove that a page of ours made them.
    pub csrf: String,
}

impl<S: Send + Sync> axum::extract::OptionalFromRequestParts<S> for Session {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// A moment, either RFC 3339 or as an age such as `24h`.
pub fn parse_moment(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let age = text.strip_prefix('+').unwrap_or(text);
    let ahead = age.len() != text.len();
    let span = quantity::parse_duration(age).ok().and_then(|age| jiff::SignedDuration::try_from(age).ok());
    let moved = span.and_then(|span| if ahead { now.checked_add(span) } else { now.checked_sub(span) }.ok());
    moved.ok_or_else(|| {
        ApiError::bad_request(format!(
            "{name}={text:?} is not a time: write RFC 3339 such as \"2026-11-22T06:00:00Z\", an age such as \"24h\", or \"+24h\" for a time ahead"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_body_is_placed() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(dead_code)]
        struct Body {
            dry_run: bool,
        }
        let failure = parse_json::<Body>(b"{\n  \"dry_run\": \"yes\"\n}").expect_err("a string is no boolean");
        assert_eq!(failure.fault().details["path"], "dry_run");
        assert_eq!(failure.fault().details["line"], 2);
        assert!(parse_json::<Body>(b"{\"dry_run\": true} x").is_err(), "trailing text");
    }

    #[test]
    fn moments_are_absolute_or_relative() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let parsed = |text| parse_moment("since", text, now).map(|at| at.to_string()).ok();
        assert_eq!(parsed("24h").as_deref(), Some("2026-11-21T12:00:00Z"));
        assert_eq!(parsed("+1h").as_deref(), Some("2026-11-22T13:00:00Z"));
        assert_eq!(parsed("2026-01-01T00:00:00Z").as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(parsed("yesterday"), None);
    }
}
