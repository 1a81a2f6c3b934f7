//! Answers without end: server-sent events and lines of JSON, counted, and ended when the daemon stops.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde::Serialize;

use super::error::ApiError;
use super::parts::Web;
use crate::base::limits;

/// How the caller wants a stream written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    ServerSentEvents,
    Lines,
}

impl Format {
    /// By `Accept`; `otherwise` when it names neither.
    pub fn accepted(headers: &HeaderMap, otherwise: Self) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
        if accept.contains("text/event-stream") {
            Self::ServerSentEvents
        } else if accept.contains("ndjson") || accept.contains("application/jsonl") {
            Self::Lines
        } else {
            otherwise
        }
    }
}

/// One message of a stream. Its id is what a client sends back as `Last-Event-ID` to go on after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub name: &'static str,
    pub id: Option<String>,
    /// JSON.
    pub data: String,
}

impl Message {
    pub fn new(name: &'static str, data: &impl Serialize) -> Self {
        // Views hold no map with keys that are not text, the one thing that cannot be written.
        Self { name, id: None, data: serde_json::to_string(data).unwrap_or_default() }
    }

    #[must_use]
    pub fn id(mut self, id: impl ToString) -> Self {
        self.id = Some(id.to_string());
        self
    }
}

/// `Last-Event-ID`, or the query's `after`.
pub fn resume_after(headers: &HeaderMap, after: Option<i64>) -> Result<Option<i64>, ApiError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(after) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| ApiError::bad_request("Last-Event-ID is not a number that this stream gave out"))
}

/// Sends `messages` until they end or the daemon stops. At most `API_STREAMS_MAX` at once.
pub fn respond(
    web: &Web,
    format: Format,
    messages: impl Stream<Item = Message> + Send + 'static,
) -> Result<Response, ApiError> {
    let permit = web.streams.clone().try_acquire_owned().map_err(|_| {
        let message = format!("{} streams are open already", limits::API_STREAMS_MAX);
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stream.too_many", message).hint("close one and try again")
    })?;
    let messages = messages.take_until(web.closing.clone().cancelled_owned()).map(move |message| {
        let _held_while_open = &permit;
        message
    });
    let mut response = match format {
        Format::ServerSentEvents => {
            let keep_alive = KeepAlive::new().interval(limits::API_STREAM_KEEP_ALIVE);
            Sse::new(messages.map(|message| Ok::<_, Infallible>(event(message)))).keep_alive(keep_alive).into_response()
        }
        Format::Lines => {
            let lines = messages.map(|message| Ok::<_, Infallible>(Bytes::from(message.data + "\n")));
            ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
        }
    };
    // Proxies such as nginx would otherwise hold messages back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn event(message: Message) -> Event {
    // JSON has no raw line breaks, which `data` could not carry.
    let event = Event::default().event(message.name).data(message.data);
    match message.id {
        Some(id) => event.id(id),
        None => event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_chooses() {
        let with = |accept: &'static str| HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        let chosen = |accept| Format::accepted(&with(accept), Format::Lines);
        assert_eq!(chosen("text/event-stream"), Format::ServerSentEvents);
        assert_eq!(chosen("application/x-ndjson"), Format::Lines);
        assert_eq!(Format::accepted(&HeaderMap::new(), Format::ServerSentEvents), Format::ServerSentEvents);
    }

    #[test]
    fn the_header_wins_over_the_query() {
        let headers = HeaderMap::from_iter([("last-event-id".parse().expect("a name"), HeaderValue::from_static("7"))]);
        assert_eq!(resume_after(&headers, Some(3)).ok().flatten(), Some(7));
        assert_eq!(resume_after(&HeaderMap::new(), Some(3)).ok().flatten(), Some(3));
        let garbled = HeaderMap::from_iter([("last-event-id".parse().expect("a name"), HeaderValue::from_static("x"))]);
        assert!(resume_after(&garbled, None).is_err());
    }
}
