//! From a script's tables to a request, and from a response to a table.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::base::{Fault, limits, quantity};
use crate::lua::bind::json::decodable;
use crate::lua::bind::{Args, CallContext, Datum, fs};
use crate::model::grants::Access;
use crate::primitives::http::{Body, HeaderMap, Method, Part, Plan, Request, Response, Retry};
use crate::primitives::permit::{self, HttpPermit};

pub async fn request(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let options = args.record("request");
    let method = options.text("method").unwrap_or("GET").to_owned();
    carry_out(&context, &args, &method, options.need("url")?, &options).await
}

pub async fn method(context: CallContext, args: Args, method: &str) -> Result<Datum, Fault> {
    carry_out(&context, &args, method, args.need("url")?, &args.record("options")).await
}

pub async fn json(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let mut request = build(&context, "GET", args.need("url")?, &args.record("options")).await?;
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
        request.headers.push(("accept".into(), "application/json".into()));
    }
    let response = context.primitives.http.request(&permit(&context)?, &request).await?;
    let place = succeeded(&context, &response)?;
    decodable(&context, &response.body)?;
    let parsed = serde_json::from_slice(&response.body).map_err(|problem| {
        let message = format!("{}: {place} answered something that is not JSON: {problem}", context.name);
        Fault::new("http.not_json", message).details(json!({ "body": response.excerpt() }))
    })?;
    Ok(Datum::Json(parsed))
}

/// Where a response of success came from; `http.status` for any other.
pub(super) fn succeeded(context: &CallContext, response: &Response) -> Result<String, Fault> {
    let place = response.url.split(['?', '#']).next().unwrap_or_default().to_owned();
    if response.is_success() {
        return Ok(place);
    }
    let message = format!("{}: {place} answered {}", context.name, response.status);
    let details = json!({ "status": response.status, "body": response.excerpt() });
    let fault = Fault::new("http.status", message).details(details);
    let fault = fault.hint("aegis.http.get returns such a response instead of raising an error");
    Err(if response.status == 429 || response.status >= 500 { fault.retryable() } else { fault })
}

async fn carry_out(
    context: &CallContext,
    args: &Args,
    method: &str,
    url: &str,
    options: &Args,
) -> Result<Datum, Fault> {
    let request = build(context, method, url, options).await?;
    let (http, permit) = (&context.primitives.http, permit(context)?);
    if context.dry_run(args) && !request.method.is_safe() {
        return Ok(planned(http.plan(&permit, &request).await?));
    }
    Ok(record(http.request(&permit, &request).await?))
}

pub(super) fn permit(context: &CallContext) -> Result<HttpPermit, Fault> {
    Ok(permit::http(&context.run()?.grants))
}

pub(super) async fn build(context: &CallContext, method: &str, url: &str, options: &Args) -> Result<Request, Fault> {
    let method = method.parse::<Method>().map_err(|_| refused(context, &format!("{method:?} is not a method")))?;
    let mut request = Request::new(method, url);
    request.headers = pairs(options, "headers");
    request.query = pairs(options, "query");
    request.body = body(context, options).await?;
    request.timeout = options.duration("timeout").unwrap_or(request.timeout);
    request.connect = options.duration("connect");
    request.first_byte = options.duration("first_byte");
    request.idle = options.duration("idle");
    if let Some(max) = options.integer("max_body") {
        request.body_bytes_max = usize::try_from(max).unwrap_or(usize::MAX);
    }
    if let Some(redirects) = options.integer("redirects") {
        request.redirects_max = usize::try_from(redirects).unwrap_or(usize::MAX);
    }
    if options.has("retry") {
        let retry = options.record("retry");
        request.retry = Retry {
            attempts: retry.integer("attempts").and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
            initial: retry.duration("initial").unwrap_or(Retry::NONE.initial),
            max: retry.duration("max").unwrap_or(Retry::NONE.max),
        };
    }
    Ok(request)
}

async fn body(context: &CallContext, options: &Args) -> Result<Body, Fault> {
    const KINDS: [&str; 4] = ["body", "json", "form", "multipart"];
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| options.has(kind)).collect();
    Ok(match given.as_slice() {
        [] => Body::Empty,
        ["body"] => Body::Bytes(options.bytes("body").unwrap_or_default().to_vec().into()),
        ["json"] => Body::Json(options.json("json")),
        ["form"] => Body::Form(pairs(options, "form")),
        ["multipart"] => {
            let mut parts = Vec::new();
            for datum in options.list("multipart").unwrap_or_default() {
                if let Datum::Map(fields) = datum {
                    parts.push(part(context, &Args(fields.clone())).await?);
                }
            }
            Body::Multipart(parts)
        }
        several => {
            let several = several.join(" and ");
            return Err(refused(context, &format!("one request has one body, and {several} are given")));
        }
    })
}

/// A part's content is given, or is that of a file.
async fn part(context: &CallContext, fields: &Args) -> Result<Part, Fault> {
    let name = fields.need("name")?.to_owned();
    let mut file_name = fields.text("file_name").map(str::to_owned);
    let content = match (fields.bytes("content"), fields.text("file")) {
        (Some(content), None) => content.to_vec(),
        (None, Some(file)) => {
            let (permit, path) = fs::path(context, file, Access::Read)?;
            let last = file.rsplit(['/', ':']).next().unwrap_or_default();
            file_name = file_name.or_else(|| Some(last.to_owned()));
            context.primitives.fs.read(&permit, path, limits::FS_READ_BYTES_MAX).await?
        }
        _ => return Err(refused(context, &format!("the part {name:?} needs either content or file"))),
    };
    Ok(Part { name, content: content.into(), file_name, content_type: fields.text("content_type").map(str::to_owned) })
}

fn refused(context: &CallContext, problem: &str) -> Fault {
    Fault::new("http.bad_request", format!("{}: {problem}", context.name))
}

/// A map of scalars, or of lists of them, as pairs.
fn pairs(options: &Args, name: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (key, value) in options.map(name).into_iter().flatten() {
        match value {
            Datum::List(values) => pairs.extend(values.iter().map(|value| (key.clone(), scalar(value)))),
            value => pairs.push((key.clone(), scalar(value))),
        }
    }
    pairs
}

/// `2`, not `2.0`.
fn scalar(value: &Datum) -> String {
    match value.clone().into_json() {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn record(response: Response) -> Datum {
    let is_small_json = response.is_json() && response.body.len() <= limits::HTTP_JSON_FIELD_BYTES_MAX;
    let parsed = if is_small_json { serde_json::from_slice::<Value>(&response.body).ok() } else { None };
    Datum::record([
        ("status", i64::from(response.status).into()),
        ("ok", response.is_success().into()),
        ("headers", headers(&response.headers)),
        ("json", parsed.map_or(Datum::Null, Datum::Json)),
        ("protocol", response.protocol().into()),
        ("took_ms", millis(response.took).into()),
        ("attempts", i64::from(response.attempts).into()),
        ("url", response.url.into()),
        ("body", Datum::Bytes(response.body.into())),
    ])
}

pub(super) fn headers(map: &HeaderMap) -> Datum {
    let mut headers: BTreeMap<String, Datum> = BTreeMap::new();
    for name in map.keys() {
        let values = map.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        headers.insert(name.to_string(), values.collect::<Vec<_>>().join(", ").into());
    }
    Datum::Map(headers)
}

fn planned(plan: Plan) -> Datum {
    let size = quantity::show_size(plan.body_bytes as u64);
    Datum::record([
        ("status", 0.into()),
        ("ok", true.into()),
        ("headers", Datum::Map(BTreeMap::new())),
        ("body", Datum::Bytes(Vec::new())),
        ("protocol", "1.1".into()),
        ("took_ms", 0.into()),
        ("attempts", 0.into()),
        ("plan", format!("{} {} with a body of {size}", plan.method, plan.url).into()),
        ("url", plan.url.into()),
    ])
}

pub(super) fn millis(took: Duration) -> i64 {
    i64::try_from(took.as_millis()).unwrap_or(i64::MAX)
}
