//! The tables that `aegis.http` takes and gives.

use crate::lua::bind::{Field, Record, Type};

const SCALAR: Type = Type::OneOf(&[Type::String, Type::Number, Type::Boolean, Type::Secret]);
const SCALARS: Type = Type::OneOf(&[Type::String, Type::Number, Type::Boolean, Type::Secret, Type::List(&SCALAR)]);
const CONTENT: Type = Type::OneOf(&[Type::Bytes, Type::Secret]);

const RETRY: Record = Record {
    name: "HttpRetry",
    doc: "Tries again after a lost connection, a timeout, and the statuses 429, 502, 503 and 504.",
    fields: &[
        Field::required("attempts", Type::Integer, "How often in all, 1 to 10"),
        Field::optional("initial", Type::Duration, "The first wait, doubled each time; 500ms unless said otherwise"),
        Field::optional("max", Type::Duration, "The longest wait, also of a Retry-After; 30s unless said otherwise"),
    ],
};

const PART: Record = Record {
    name: "HttpPart",
    doc: "One part of a multipart body.",
    fields: &[
        Field::required("name", Type::String, "The field's name"),
        Field::required("content", CONTENT, "What is in it"),
        Field::optional("file_name", Type::String, "Makes it a file"),
        Field::optional("content_type", Type::String, "Such as \"image/png\""),
    ],
};

const HEADERS: Field = Field::optional("headers", Type::Map(&SCALAR), "Headers by name");
const QUERY: Field = Field::optional("query", Type::Map(&SCALARS), "Added to the URL; a list repeats its key");
const TIMEOUT: Field = Field::optional(
    "timeout",
    Type::Duration,
    "Of one attempt with its redirects and its body; 30s unless said otherwise",
);
const MAX_BODY: Field =
    Field::optional("max_body", Type::Size, "Of the response; 8MiB unless said otherwise, 64MiB at most");
const REDIRECTS: Field =
    Field::optional("redirects", Type::Integer, "How many to follow, 0 to 10; 10 unless said otherwise");
const RETRIES: Field = Field::optional(
    "retry",
    Type::Record(&RETRY),
    "For methods that can be repeated, and for requests with an Idempotency-Key; no retries unless given",
);
const JSON: Field = Field::optional("json", Type::SealedJson, "Sent as JSON");
const FORM: Field = Field::optional("form", Type::Map(&SCALARS), "Sent as a form");
const MULTIPART: Field = Field::optional("multipart", Type::List(&Type::Record(&PART)), "Sent as multipart/form-data");
const BODY: Field = Field::optional("body", CONTENT, "Sent as it is");

pub const GET: Record = Record {
    name: "HttpGet",
    doc: "How something is fetched.",
    fields: &[HEADERS, QUERY, TIMEOUT, MAX_BODY, REDIRECTS, RETRIES],
};

pub const OPTIONS: Record = Record {
    name: "HttpOptions",
    doc: "What is sent: at most one of body, json, form and multipart.",
    fields: &[HEADERS, QUERY, BODY, JSON, FORM, MULTIPART, TIMEOUT, MAX_BODY, REDIRECTS, RETRIES, Field::DRY_RUN],
};

pub const REQUEST: Record = Record {
    name: "HttpRequest",
    doc: "A whole request: at most one of body, json, form and multipart.",
    fields: &[
        Field::optional("method", Type::Choice(METHODS), "GET unless said otherwise"),
        super::URL,
        HEADERS,
        QUERY,
        BODY,
        JSON,
        FORM,
        MULTIPART,
        TIMEOUT,
        MAX_BODY,
        REDIRECTS,
        RETRIES,
        Field::DRY_RUN,
    ],
};

pub const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

pub const RESPONSE: Record = Record {
    name: "HttpResponse",
    doc: "What came back.",
    fields: &[
        Field::required("status", Type::Integer, "Such as 200; 0 in a dry run"),
        Field::required("ok", Type::Boolean, "Whether the status is 2xx; true in a dry run"),
        Field::required("headers", Type::Map(&Type::String), "By name in lower case; repeated ones joined by \", \""),
        Field::required("body", Type::Bytes, "As it came"),
        Field::optional("json", Type::Json, "The body parsed, when the service calls it JSON and it has at most 1 MiB"),
        Field::required("url", Type::String, "Where it came from, after redirects"),
        Field::required("took_ms", Type::Integer, "From sending to the last byte, retries included"),
        Field::required("attempts", Type::Integer, "How often it was sent"),
        Field::optional("plan", Type::String, "In a dry run: what would have been sent"),
    ],
};
