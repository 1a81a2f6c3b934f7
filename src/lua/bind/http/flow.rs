//! Answers that do not go through memory whole: into files, and piece by piece.

use serde_json::json;

use super::call::{build, headers, millis, permit, succeeded};
use crate::base::{Fault, limits};
use crate::lua::bind::{Args, CallContext, Datum, fs};
use crate::model::grants::Access;
use crate::model::run::Progress;
use crate::primitives::fs::Replace;
use crate::primitives::http::{Cut, Piece, Request, Save};

pub async fn download(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let options = args.record("options");
    let request = long(build(&context, "GET", args.need("url")?, &options).await?, &options);
    let (reach, shown) = (permit(&context)?, args.need("path")?.to_owned());
    let (write, path) = fs::path(&context, &shown, Access::Write)?;
    let http = &context.primitives.http;
    if context.dry_run(&args) {
        let plan = http.plan(&reach, &request).await?;
        return Ok(downloaded(&shown, plan.url.clone(), (0, String::new()), (0, 0), Some(plan.url)));
    }
    let log = context.log.clone();
    let text = format!("{}: {shown}", context.name);
    let progress = move |done: u64, total: Option<u64>| {
        if let Some(log) = &log {
            // Exact up to 8 PiB.
            log.progress(Progress {
                done: done as f64,
                total: total.map(|total| total as f64),
                text: Some(text.clone()),
            });
        }
    };
    let max = options.integer("max_size").and_then(|max| u64::try_from(max).ok());
    let save = Save {
        files: &context.primitives.fs,
        permit: &write,
        path: &path,
        bytes_max: max.unwrap_or(limits::HTTP_FILE_BYTES_DEFAULT).min(limits::HTTP_FILE_BYTES_MAX),
        replace: if options.boolean("overwrite").unwrap_or(true) { Replace::Yes } else { Replace::No },
        sha256: options.text("sha256"),
        progress: &progress,
    };
    let response = http.download(&reach, &request, &save).await?;
    succeeded(&context, &response)?;
    let saved = response.saved.unwrap_or_default();
    let bytes = i64::try_from(saved.bytes).unwrap_or(i64::MAX);
    let took = (millis(response.took), i64::from(response.attempts));
    Ok(downloaded(&shown, response.url, (bytes, saved.sha256), took, None))
}

fn downloaded(
    path: &str,
    url: String,
    (bytes, sha256): (i64, String),
    (took, attempts): (i64, i64),
    plan: Option<String>,
) -> Datum {
    Datum::record([
        ("path", path.into()),
        ("bytes", bytes.into()),
        ("sha256", sha256.into()),
        ("url", url.into()),
        ("took_ms", took.into()),
        ("attempts", attempts.into()),
        ("plan", plan.map_or(Datum::Null, |url| format!("GET {url} into {path}").into())),
    ])
}

pub async fn open(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let options = args.record("request");
    let method = options.text("method").unwrap_or("GET").to_owned();
    let request = long(build(&context, &method, options.need("url")?, &options).await?, &options);
    let place = context.streams.room()?;
    let cut = match options.text("by") {
        Some("lines") => Cut::Lines,
        Some("events") => Cut::Events,
        _ => Cut::Chunks,
    };
    let permit = permit(&context)?;
    if context.dry_run(&args) && !request.method.is_safe() {
        let plan = context.primitives.http.plan(&permit, &request).await?;
        let message = format!("{}: a dry run sends no {} to {}", context.name, plan.method, plan.url);
        return Err(Fault::new("http.dry_run", message).hint("ask ctx.dry_run first"));
    }
    let stream = context.primitives.http.stream(&permit, &request, cut).await?;
    let (status, head, url) = (stream.status, headers(&stream.headers), stream.url.clone());
    Ok(Datum::record([
        ("status", i64::from(status).into()),
        ("ok", (200..300).contains(&status).into()),
        ("headers", head),
        ("url", url.into()),
        ("number", place.fill(stream).into()),
    ]))
}

/// What is read for long has bounds of its own.
fn long(mut request: Request, options: &Args) -> Request {
    request.timeout = options.duration("timeout").unwrap_or(limits::HTTP_STREAM_TIMEOUT_DEFAULT);
    request.idle = Some(request.idle.unwrap_or(limits::HTTP_STREAM_IDLE_DEFAULT));
    request
}

pub async fn read(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let number = args.integer("number").unwrap_or_default();
    let stream = context.streams.stream(number)?;
    let pieces = match stream.lock().await.next().await {
        Ok(pieces) => pieces,
        Err(error) => {
            context.streams.remove(number);
            return Err(error.into());
        }
    };
    if pieces.is_empty() {
        context.streams.remove(number);
    }
    Ok(Datum::List(pieces.into_iter().map(piece).collect()))
}

fn piece(piece: Piece) -> Datum {
    match piece {
        Piece::Bytes(bytes) => Datum::Bytes(bytes),
        Piece::Event(event) => Datum::Json(json!({ "event": event.kind, "data": event.data, "id": event.id })),
    }
}
