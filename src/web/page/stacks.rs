//! Stacks: what they have, where they differ from their files, and what was rolled out.

use axum::extract::State;
use maud::{Markup, html};

use super::containers;
use super::cx::Cx;
use super::icons::{Icon, icon};
use super::layout::{Page, Place};
use super::ui;
use crate::base::{Fault, JobName};
use crate::model::Role;
use crate::model::grants::Access;
use crate::primitives::stack::UpOptions;
use crate::primitives::stack::plan::Plan;
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::Path;
use crate::web::parts::Web;
use crate::web::read::rollouts::{self, RolloutView};
use crate::web::read::stacks::{self as read, StackContainerView, StackView};

/// The job that is shipped for it.
const DEPLOY: &str = "deploy";

pub async fn page(State(web): State<Web>, cx: Cx) -> ApiResult<Markup> {
    let stacks = read::list(&web).await;
    let body = if stacks.is_empty() { none() } else { list(&stacks) };
    Ok(Page::new(Place::Stacks, "Stacks", body).live("containers=1").render(&cx))
}

fn none() -> Markup {
    ui::empty(
        Icon::Stacks,
        "No stacks",
        html! {
            p { "Name the folders of your Compose files in the configuration:" }
            pre { code { "stacks:\n  shop: { folder: /srv/shop }" } }
        },
    )
}

fn list(stacks: &[StackView]) -> Markup {
    ui::section(
        "list",
        "Of the configuration",
        ui::nothing(),
        html! {
            div.table-box {
                table.stack {
                    thead { tr { th scope="col" { "Stack" } th scope="col" { "State" } th scope="col" { "Containers" } } }
                    tbody { @for stack in stacks { (row(stack)) } }
                }
            }
        },
    )
}

fn row(stack: &StackView) -> Markup {
    html! {
        tr id=(format!("stack-{}", stack.name)) {
            th scope="row" {
                a.name href=(format!("/stacks/{}", stack.name)) { (stack.name) }
                span.sub.mono { (stack.folder) }
            }
            td data-label="State" { (state(stack.running, stack.containers)) }
            td.num data-label="Containers" {
                @match (stack.running, stack.containers) {
                    (Some(running), Some(all)) => { (running) " of " (all) " running" }
                    _ => (ui::none()),
                }
            }
        }
    }
}

fn state(running: Option<usize>, all: Option<usize>) -> Markup {
    match (running, all) {
        (None, _) | (_, None) => ui::badge("warn", Icon::Warning, "unknown"),
        (_, Some(0)) => ui::badge("idle", Icon::Stop, "down"),
        (Some(running), Some(all)) if running == all => ui::badge("ok", Icon::Play, "up"),
        (Some(0), _) => ui::badge("idle", Icon::Stop, "stopped"),
        _ => ui::badge("warn", Icon::Warning, "partly up"),
    }
}

pub async fn show(State(web): State<Web>, cx: Cx, Path(name): Path<String>) -> ApiResult<Markup> {
    let rollouts = rollouts::list(&web, &name).await?;
    let (containers, plan) = tokio::join!(read::containers(&web, &name), plan(&web, &name));
    let body = html! {
        div.columns.wide-left {
            div {
                (ui::section("containers", "Containers", ui::nothing(), containers_of(containers)))
                (ui::section("rollouts", "Rollouts", ui::nothing(), history(&cx, &rollouts)))
            }
            div { (ui::section("plan", "Against its files", ui::nothing(), difference(&plan))) }
        }
    };
    let page = Page::new(Place::Stacks, &name, body).crumb("/stacks", "Stacks");
    Ok(page.head(deploy(&cx)).live("containers=1").render(&cx))
}

async fn plan(web: &Web, name: &str) -> ApiResult<Plan> {
    Ok(web.parts.stacks.plan(&read::permit(name, Access::Read)?, &UpOptions::default()).await?)
}

/// The way to the form of the job that deploys, if there is one.
fn deploy(cx: &Cx) -> Markup {
    let is_there = DEPLOY.parse::<JobName>().is_ok_and(|job| cx.web.parts.jobs.snapshot().jobs.contains_key(&job));
    html! {
        @if is_there && cx.may(Role::Operator) {
            a.button href=(format!("/jobs/{DEPLOY}")) { (icon(Icon::Play)) "Deploy" }
        }
    }
}

fn problem(fault: &Fault) -> Markup {
    html! {
        p.quiet-line { (fault.message) }
        @if let Some(hint) = &fault.hint { p.quiet-line.muted { (hint) } }
    }
}

fn containers_of(found: Result<Vec<StackContainerView>, ApiError>) -> Markup {
    let found = match found {
        Ok(found) if found.is_empty() => return html! { p.quiet-line { "It has none." } },
        Ok(found) => found,
        Err(failure) => return problem(failure.fault()),
    };
    html! {
        div.table-box {
            table.stack {
                thead { tr { th scope="col" { "Container" } th scope="col" { "Service" } th scope="col" { "State" } } }
                tbody {
                    @for one in &found {
                        tr {
                            th scope="row" {
                                // A task of a swarm may be on another engine.
                                @if one.node.is_some() { span.name { (one.name) } }
                                @else { a.name href=(format!("/containers/{}", one.name)) { (one.name) } }
                                span.sub.mono { (one.image) }
                            }
                            td data-label="Service" { (one.service) }
                            td data-label="State" {
                                (containers::state(one.health.as_deref(), &one.state, one.exit_code))
                                span.sub { (one.status) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn difference(plan: &Result<Plan, ApiError>) -> Markup {
    let plan = match plan {
        Ok(plan) => plan,
        Err(failure) => return problem(failure.fault()),
    };
    html! {
        @if plan.is_empty() && plan.missing.is_empty() { p.calm { (icon(Icon::Check)) "It is what its files say." } }
        @else {
            p.quiet-line { "Bringing it up would:" }
            ul.rows { @for action in &plan.actions { li { (action) } } }
        }
        @if !plan.missing.is_empty() {
            p.quiet-line { "It cannot be brought up before these are there:" }
            ul.rows { @for name in &plan.missing { li { (name) } } }
        }
        @for warning in &plan.warnings { p.quiet-line.muted { (warning) } }
    }
}

fn history(cx: &Cx, rollouts: &[RolloutView]) -> Markup {
    if rollouts.is_empty() {
        return html! { p.quiet-line { "None yet. The job " code { (DEPLOY) } " records them." } };
    }
    html! {
        div.table-box {
            table.stack {
                thead { tr { th scope="col" { "Rollout" } th scope="col" { "Outcome" } th scope="col" { "Images" } th scope="col" { "When" } } }
                tbody { @for one in rollouts { (rollout(cx, one)) } }
            }
        }
    }
}

fn rollout(cx: &Cx, one: &RolloutView) -> Markup {
    html! {
        tr {
            th scope="row" {
                a.name.mono href=(format!("/runs/{}", one.run)) { (one.id) }
                span.sub {
                    (one.strategy) ", " (one.actor)
                    @if let Some(to) = &one.back_to { ", back to " code { (to) } }
                }
            }
            td data-label="Outcome" {
                (outcome(&one.outcome))
                @if let Some(reason) = &one.reason { span.sub { (reason) } }
            }
            td data-label="Images" { @for (service, image) in &one.services { span.sub { (service) ": " code { (image.image) } } } }
            td data-label="When" { (ui::time(one.at, cx.now)) }
        }
    }
}

fn outcome(word: &str) -> Markup {
    match word {
        "succeeded" => ui::badge("ok", Icon::Check, word),
        "rolled_back" => ui::badge("warn", Icon::Undo, "rolled back"),
        "refused" => ui::badge("bad", Icon::Cross, word),
        other => ui::badge("idle", Icon::Info, other),
    }
}
