//! The dashboard: pages made on the server, which work without a script for reading and triggering.

mod actions;
mod ansi;
mod approvals;
mod audit;
mod containers;
mod cx;
mod diff;
mod docs;
mod failure;
mod form;
mod icons;
mod job;
mod jobs;
mod lanes;
mod layout;
mod live;
mod log;
mod login;
mod overview;
mod palette;
mod run;
mod runs;
mod schedule;
mod settings;
mod stacks;
mod steps;
mod ui;
mod volumes;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::assets;
use super::parts::Web;

pub(super) use failure::errors;

pub fn router(document: Arc<utoipa::openapi::OpenApi>) -> Router<Web> {
    Router::new()
        .route("/", get(overview::page))
        .route("/jobs", get(jobs::page))
        .route("/jobs/{name}", get(job::page))
        .route("/jobs/{name}/run", post(actions::run_job))
        .route("/jobs/{name}/enabled", post(actions::set_enabled))
        .route("/jobs/{name}/approve", post(actions::approve_rights))
        .route("/jobs/{name}/changes", get(diff::page))
        .route("/runs", get(runs::page))
        .route("/runs/{id}", get(run::page))
        .route("/runs/{id}/log", get(log::page))
        .route("/runs/{id}/cancel", post(actions::cancel_run))
        .route("/runs/{id}/retry", post(actions::retry_run))
        .route("/runs/{id}/approve", post(approvals::approve))
        .route("/runs/{id}/reject", post(approvals::reject))
        .route("/schedule", get(schedule::page))
        .route("/containers", get(containers::page))
        .route("/containers/{id}", get(containers::show))
        .route("/containers/{id}/{action}", get(containers::confirm).post(containers::act))
        .route("/stacks", get(stacks::page))
        .route("/stacks/{name}", get(stacks::show))
        .route("/volumes", get(volumes::page))
        .route("/alerts", get(watch::page))
        .route("/alerts/{id}/acknowledge", post(watch::acknowledge))
        .route("/silences", post(watch::silence))
        .route("/silences/{id}/end", post(watch::end_silence))
        .route("/audit", get(audit::page))
        .route("/docs", get(move |cx| docs::page(cx, document.clone())))
        .route("/settings", get(settings::page))
        .route("/settings/tokens", post(settings::create_token))
        .route("/settings/tokens/{name}/revoke", post(settings::revoke_token))
        .route("/theme", post(settings::set_theme))
        .route("/login", get(login::page).post(login::submit))
        .route("/logout", post(login::logout))
        .route("/live", get(live::stream))
        .route("/palette", get(palette::items))
        .route("/assets/{hash}/{name}", get(assets::serve))
}
