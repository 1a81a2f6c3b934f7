//! What the command palette offers: pages, jobs, the latest runs.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::cx::Cx;
use super::layout::Place;
use super::ui;
use crate::web::error::ApiResult;
use crate::web::parts::Web;
use crate::web::read::runs::{RunQuery, list};

#[derive(Debug, Serialize)]
pub struct Item {
    kind: &'static str,
    text: String,
    detail: String,
    href: String,
    /// The key that goes there after `g`.
    key: Option<char>,
}

const RUNS_SHOWN: usize = 20;

pub async fn items(State(web): State<Web>, cx: Cx) -> ApiResult<Json<Vec<Item>>> {
    let mut items: Vec<Item> = Place::ALL
        .iter()
        .map(|place| Item {
            kind: "page",
            text: place.title().to_owned(),
            detail: String::new(),
            href: place.href().to_owned(),
            key: Some(place.key()),
        })
        .collect();
    let snapshot = web.parts.jobs.snapshot();
    items.extend(snapshot.jobs.values().filter(|job| cx.who.covers(&job.spec.name)).map(|job| Item {
        kind: "job",
        text: job.spec.name.to_string(),
        detail: job.spec.description.clone(),
        href: format!("/jobs/{}", job.spec.name),
        key: None,
    }));
    let latest = RunQuery { limit: Some(RUNS_SHOWN), ..RunQuery::default() };
    items.extend(list(&web, &cx.who, &latest).await?.runs.into_iter().map(|run| Item {
        kind: "run",
        text: format!("{} {}", run.job, ui::short_id(&run.id.to_string())),
        detail: ui::state_word(run.state).to_owned(),
        href: format!("/runs/{}", run.id),
        key: None,
    }));
    Ok(Json(items))
}
