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
        Field::optional("content", CONTENT, "What is in it; this or `file` is needed"),
        Field::optional("file", Type::String, "ROOT:relative/path of a granted fs root, of at most 16 MiB"),
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
const CONNECT: Field =
    Field::optional("connect", Type::Duration, "Until there is a connection; 10s unless said otherwise");
const FIRST_BYTE: Field =
    Field::optional("first_byte", Type::Duration, "Until the answer begins; no bound of its own unless given");
const IDLE: Field =
    Field::optional("idle", Type::Duration, "Between two pieces of the answer; no bound of its own unless given");
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
    fields: &[HEADERS, QUERY, TIMEOUT, CONNECT, FIRST_BYTE, IDLE, MAX_BODY, REDIRECTS, RETRIES],
};

pub const OPTIONS: Record = Record {
    name: "HttpOptions",
    doc: "What is sent: at most one of body, json, form and multipart.",
    fields: &[
        HEADERS,
        QUERY,
        BODY,
        JSON,
        FORM,
        MULTIPART,
        TIMEOUT,
        CONNECT,
        FIRST_BYTE,
        IDLE,
        MAX_BODY,
        REDIRECTS,
        RETRIES,
        Field::DRY_RUN,
    ],
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
        CONNECT,
        FIRST_BYTE,
        IDLE,
        MAX_BODY,
        REDIRECTS,
        RETRIES,
        Field::DRY_RUN,
    ],
};

const LONG: Field = Field::optional("timeout", Type::Duration, "Of all of it; 10m unless said otherwise, 1h at most");
const LONG_IDLE: Field =
    Field::optional("idle", Type::Duration, "Between two pieces of the answer; 60s unless said otherwise");

pub const DOWNLOAD: Record = Record {
    name: "HttpDownload",
    doc: "How something is fetched into a file.",
    fields: &[
        HEADERS,
        QUERY,
        LONG,
        CONNECT,
        FIRST_BYTE,
        LONG_IDLE,
        Field::optional("max_size", Type::Size, "Of the file; 1GiB unless said otherwise"),
        Field::optional("sha256", Type::String, "What it must be, in hexadecimal; otherwise nothing is put in place"),
        Field::optional("overwrite", Type::Boolean, "Replace a file that is there; true unless said otherwise"),
        REDIRECTS,
        RETRIES,
        Field::DRY_RUN,
    ],
};

pub const DOWNLOADED: Record = Record {
    name: "HttpDownloaded",
    doc: "A file that is in its place.",
    fields: &[
        Field::required("path", Type::String, "Where it is"),
        Field::required("bytes", Type::Integer, "How large it is; 0 in a dry run"),
        Field::required("sha256", Type::String, "In hexadecimal; empty in a dry run"),
        Field::required("url", Type::String, "Where it came from, after redirects"),
        Field::required("took_ms", Type::Integer, "From sending to the last byte, retries included"),
        Field::required("attempts", Type::Integer, "How often it was asked for"),
        Field::optional("plan", Type::String, "In a dry run: what would have been fetched"),
    ],
};

pub const STREAM: Record = Record {
    name: "HttpStream",
    doc: "A request whose answer is read while it arrives.",
    fields: &[
        Field::optional("method", Type::Choice(METHODS), "GET unless said otherwise"),
        super::URL,
        HEADERS,
        QUERY,
        BODY,
        JSON,
        FORM,
        Field::optional(
            "by",
            Type::Choice(CUTS),
            "chunks as they arrive, lines, or server-sent events; chunks unless said otherwise",
        ),
        LONG,
        CONNECT,
        FIRST_BYTE,
        LONG_IDLE,
        REDIRECTS,
        RETRIES,
    ],
};

pub const CUTS: &[&str] = &["chunks", "lines", "events"];

pub const STREAMED: Record = Record {
    name: "HttpStreamed",
    doc: "The head of an answer that is open.",
    fields: &[
        Field::required("number", Type::Integer, "What it was opened as"),
        Field::required("status", Type::Integer, "Such as 200"),
        Field::required("ok", Type::Boolean, "Whether the status is 2xx"),
        Field::required("headers", Type::Map(&Type::String), "By name in lower case"),
        Field::required("url", Type::String, "Where it comes from, after redirects"),
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
        Field::required("protocol", Type::String, "1.0, 1.1 or 2, of HTTP; 1.1 in a dry run"),
        Field::required("took_ms", Type::Integer, "From sending to the last byte, retries included"),
        Field::required("attempts", Type::Integer, "How often it was sent"),
        Field::optional("plan", Type::String, "In a dry run: what would have been sent"),
    ],
};
