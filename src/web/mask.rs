//! Secrets are taken out of every answer, also those that came to be known after something was stored.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

use super::parts::Web;
use crate::base::Masker;

/// Streams are masked message by message: each is handed over whole.
pub async fn answers(State(web): State<Web>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let masker = web.parts.store.masker();
    if masker.is_idle() || !is_text(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // It is another length afterwards.
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = match body.size_hint().exact() {
        Some(_) => match body.collect().await {
            Ok(whole) => Body::from(masked(masker, whole.to_bytes())),
            Err(failure) => Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>(failure)])),
        },
        None => {
            let masker = masker.clone();
            Body::from_stream(body.into_data_stream().map(move |piece| Ok::<_, axum::Error>(masked(&masker, piece?))))
        }
    };
    Response::from_parts(parts, body)
}

fn masked(masker: &Masker, bytes: Bytes) -> Bytes {
    match masker.bytes(&bytes) {
        std::borrow::Cow::Borrowed(_) => bytes,
        std::borrow::Cow::Owned(masked) => masked.into(),
    }
}

/// Whether changing some of it leaves it what it is.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/") || kind.ends_with("json") || kind.ends_with("xml")
}
