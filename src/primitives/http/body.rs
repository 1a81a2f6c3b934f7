//! What a request carries. It is made into bytes once, so that it can be sent again after a redirect or a failure.

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use reqwest::multipart;
use serde_json::Value;

use super::error::HttpError;
use crate::base::limits;

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Body {
    #[default]
    Empty,
    /// Sent without a content type, unless the headers have one.
    Bytes(Bytes),
    Json(Value),
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, String)>),
    /// `multipart/form-data`.
    Multipart(Vec<Part>),
}

/// One part of a multipart body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub content: Bytes,
    pub file_name: Option<String>,
    pub content_type: Option<String>,
}

/// A body as it goes over the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Encoded {
    pub bytes: Option<Bytes>,
    pub content_type: Option<String>,
}

impl Body {
    pub(super) async fn encode(&self) -> Result<Encoded, HttpError> {
        let encoded = match self {
            Self::Empty => Encoded::default(),
            Self::Bytes(bytes) => Encoded { bytes: Some(bytes.clone()), content_type: None },
            Self::Json(value) => encoded(value.to_string().into(), "application/json"),
            Self::Form(pairs) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(pairs);
                encoded(form.finish().into(), "application/x-www-form-urlencoded")
            }
            Self::Multipart(parts) => multipart(parts).await?,
        };
        match encoded.bytes.as_ref().map_or(0, Bytes::len) {
            bytes if bytes > limits::HTTP_BODY_BYTES_MAX => Err(HttpError::RequestTooLarge { bytes }),
            _ => Ok(encoded),
        }
    }
}

fn encoded(bytes: Bytes, content_type: &str) -> Encoded {
    Encoded { bytes: Some(bytes), content_type: Some(content_type.to_owned()) }
}

async fn multipart(parts: &[Part]) -> Result<Encoded, HttpError> {
    let total: usize = parts.iter().map(|part| part.content.len()).sum();
    if total > limits::HTTP_BODY_BYTES_MAX {
        return Err(HttpError::RequestTooLarge { bytes: total });
    }
    let mut form = multipart::Form::new();
    for part in parts {
        let mut piece = multipart::Part::stream_with_length(part.content.clone(), part.content.len() as u64);
        if let Some(name) = &part.file_name {
            piece = piece.file_name(name.clone());
        }
        if let Some(kind) = &part.content_type {
            let bad =
                |_| HttpError::BadRequest(format!("the part {:?} has no valid content type: {kind:?}", part.name));
            piece = piece.mime_str(kind).map_err(bad)?;
        }
        form = form.part(part.name.clone(), piece);
    }
    let content_type = format!("multipart/form-data; boundary={}", form.boundary());
    let collected = form.into_stream().try_fold(BytesMut::new(), |mut all, chunk| async move {
        all.extend_from_slice(&chunk);
        Ok(all)
    });
    let bytes = collected.await.map_err(|error| HttpError::BadRequest(format!("the multipart body: {error}")))?;
    Ok(Encoded { bytes: Some(bytes.freeze()), content_type: Some(content_type) })
}
