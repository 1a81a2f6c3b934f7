//! The one live connection of a page: it says when to look again, and carries the lines of a run's log.

use std::pin::pin;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio_stream::wrappers::WatchStream;

use super::cx::Cx;
use super::log::LiveLine;
use crate::base::{RunId, limits};
use crate::web::error::ApiResult;
use crate::web::extract::Query;
use crate::web::parts::Web;
use crate::web::read::logs::LogLineView;
use crate::web::read::runs;
use crate::web::stream::{Format, Message, respond, resume_after};

#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    /// Lines of this run's log too.
    run: Option<String>,
    /// Lines after this one.
    after: Option<u64>,
    /// Say "change" with every commit that concerns the run: steps have no events.
    steps: Option<u8>,
    /// Say "change" every few seconds too: what containers use has no events.
    containers: Option<u8>,
}

pub async fn stream(
    State(web): State<Web>,
    cx: Cx,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let run = match &asked.run {
        Some(id) => Some(runs::find(&web, &cx.who, id).await?.id),
        None => None,
    };
    let wanted = asked.after.map(|after| i64::try_from(after).unwrap_or(i64::MAX));
    let after = resume_after(&headers, wanted)?.and_then(|after| u64::try_from(after).ok()).unwrap_or(0);
    let mut parts: Vec<BoxStream<'static, Message>> = vec![changes(&web, run, asked.containers.is_some()).boxed()];
    if let Some(run) = run.filter(|_| asked.steps.is_some()) {
        parts.push(commits(&web, run).boxed());
    }
    if let Some(run) = run {
        parts.push(log(&web, run, after).boxed());
    }
    // The first message tells the page that it is connected; the second that something may have happened between
    // its making and this connection.
    let hello = Message::new("hello", &json!({ "version": env!("CARGO_PKG_VERSION") }));
    let first = stream::iter([hello, Message::new("change", &json!({}))]);
    respond(&web, Format::ServerSentEvents, first.chain(stream::select_all(parts)))
}

fn log(web: &Web, run: RunId, after: u64) -> impl Stream<Item = Message> + Send + 'static {
    web.parts.tail.logs(run, after).filter_map(|line| async move {
        let line = line.inspect_err(|failure| tracing::warn!(%failure, "a live log ended")).ok()?;
        let seq = line.seq;
        Some(Message::new("log", &LiveLine::from(LogLineView::from(line))).id(seq))
    })
}

/// A "change" after commits that concern the run, with a pause in which further ones count as one.
fn commits(web: &Web, run: RunId) -> impl Stream<Item = Message> + Send + 'static {
    let (follow, clock) = (web.parts.store.follow(run), web.parts.clock.clone());
    stream::unfold((follow, clock), |(mut follow, clock)| async move {
        if !follow.changed().await {
            return None;
        }
        clock.sleep(limits::API_LIVE_PAUSE).await;
        follow.mark_seen();
        Some((Message::new("change", &json!({})), (follow, clock)))
    })
}

/// One "change" after whatever happened within a short while; of a run's page, only what concerns that run.
fn changes(web: &Web, run: Option<RunId>, ticks: bool) -> impl Stream<Item = Message> + Send + 'static {
    let events = web.parts.tail.events(None).filter_map(move |event| {
        let concerns = event.is_ok_and(|event| run.is_none() || event.body.run == run);
        std::future::ready(concerns.then_some(()))
    });
    let loads = WatchStream::from_changes(web.parts.jobs.changes()).map(|_| ());
    let clock = web.parts.clock.clone();
    let tick = stream::unfold(clock.clone(), |clock| async move {
        clock.sleep(limits::API_CONTAINERS_REFRESH).await;
        Some(((), clock))
    });
    let mut sources: Vec<BoxStream<'static, ()>> = vec![events.boxed(), loads.boxed()];
    if ticks {
        sources.push(tick.boxed());
    }
    let any = stream::select_all(sources);
    stream::unfold((any, clock), |(mut any, clock)| async move {
        any.next().await?;
        {
            let mut pause = pin!(clock.sleep(limits::API_LIVE_PAUSE));
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    more = any.next() => if more.is_none() { break },
                }
            }
        }
        Some((Message::new("change", &json!({})), (any, clock)))
    })
}
