//! Containers: how they are, what they use, and a hand on the switch.

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};

use super::cx::Cx;
use super::icons::{Icon, icon};
use super::layout::{Page, Place, hidden};
use super::{ansi, ui};
use crate::base::quantity::show_size;
use crate::model::Role;
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::{Form, Path, Query};
use crate::web::parts::Web;
use crate::web::read::containers::{self as read, Action, ContainerLogQuery, ContainerView, UsageView};

pub async fn page(State(web): State<Web>, cx: Cx) -> ApiResult<Markup> {
    let (head, body) = match read::list(&web).await {
        Ok(containers) => {
            let up = containers.iter().filter(|container| container.state == "running").count();
            (html! { span.muted.num { (up) " of " (containers.len()) " running" } }, list(&cx, &containers))
        }
        Err(failure) => (ui::nothing(), unreachable(&failure)),
    };
    Ok(Page::new(Place::Containers, "Containers", body).head(head).live("containers=1").render(&cx))
}

fn unreachable(failure: &ApiError) -> Markup {
    ui::empty(
        Icon::Warning,
        "Docker does not answer",
        html! {
            p { (failure.fault().message) }
            @if let Some(hint) = &failure.fault().hint { p.hint { (hint) } }
            p { "This page comes back by itself when Docker does. " code { "aegis doctor" } " looks for the cause." }
        },
    )
}

fn list(cx: &Cx, containers: &[ContainerView]) -> Markup {
    if containers.is_empty() {
        return ui::empty(
            Icon::Containers,
            "No containers",
            html! { p { "Docker answers and has none. What a script or " code { "docker run" } " starts is listed here." } },
        );
    }
    ui::section(
        "list",
        "On this host",
        ui::nothing(),
        html! {
            div.table-box {
                table.stack {
                    thead { tr { th scope="col" { "Container" } th scope="col" { "State" } th scope="col" { "CPU" } th scope="col" { "Memory" } th scope="col" { "Ports" } th scope="col" { span.sr { "Actions" } } } }
                    tbody { @for container in containers { (row(cx, container)) } }
                }
            }
        },
    )
}

fn row(cx: &Cx, container: &ContainerView) -> Markup {
    html! {
        tr id=(format!("container-{}", container.id)) {
            th scope="row" {
                a.name href=(format!("/containers/{}", container.name)) { (container.name) }
                @if let Some(stack) = &container.stack { " " span.tag { (stack) } }
                span.sub.mono { (container.image) }
            }
            td data-label="State" { (state_of(container)) span.sub { (container.status) } }
            td data-label="CPU" { (cpu(container.usage.as_ref())) }
            td data-label="Memory" { (memory(container.usage.as_ref())) }
            td.mono data-label="Ports" { @if container.ports.is_empty() { (ui::none()) } @for port in &container.ports { span.port { (port) } } }
            td.actions { (actions(cx, container)) }
        }
    }
}

fn state_of(container: &ContainerView) -> Markup {
    if container.state == "exited" && container.oom_killed {
        return ui::badge("bad", Icon::Cross, "out of memory");
    }
    state(container.health.as_deref(), &container.state, container.exit_code)
}

/// How a container is, from Docker's words for it.
pub fn state(health: Option<&str>, state: &str, exit_code: Option<i64>) -> Markup {
    match (health, state) {
        (Some("unhealthy"), _) => ui::badge("bad", Icon::Warning, "unhealthy"),
        (Some("starting"), _) => ui::badge("wait", Icon::Running, "starting"),
        (Some("healthy"), _) => ui::badge("ok", Icon::Check, "healthy"),
        (_, "running") => ui::badge("ok", Icon::Play, "running"),
        (_, "restarting") => ui::badge("bad", Icon::Retry, "restarting"),
        (_, "dead") => ui::badge("bad", Icon::Cross, "dead"),
        (_, "paused") => ui::badge("warn", Icon::Stop, "paused"),
        (_, "exited") if exit_code.is_some_and(|code| code != 0) => {
            ui::badge("bad", Icon::Cross, &format!("exited {}", exit_code.unwrap_or_default()))
        }
        (_, other) => ui::badge("idle", Icon::Stop, other),
    }
}

fn cpu(usage: Option<&UsageView>) -> Markup {
    html! {
        @match usage.and_then(|usage| usage.cpu_percent) {
            Some(percent) => { span.num { (format!("{percent:.1} %")) } meter.gauge min="0" max="100" high="90" value=(format!("{percent:.1}")) aria-label="CPU of one processor" {} }
            None => (ui::none()),
        }
    }
}

fn memory(usage: Option<&UsageView>) -> Markup {
    html! {
        @match usage {
            Some(usage) => {
                span.num { (show_size(usage.memory_bytes)) }
                @if let Some(limit) = usage.memory_limit_bytes {
                    meter.gauge min="0" max=(limit) high=(limit / 10 * 9) value=(usage.memory_bytes) aria-label="Memory of its limit" {}
                    span.sub { "of " (show_size(limit)) }
                }
            }
            None => (ui::none()),
        }
    }
}

fn actions(cx: &Cx, container: &ContainerView) -> Markup {
    let href = format!("/containers/{}", container.name);
    let is_up = matches!(container.state.as_str(), "running" | "restarting" | "paused");
    html! {
        @if cx.may(Role::Operator) {
            div.button-row {
                @if is_up {
                    (ask(&href, Action::Restart, &container.name))
                    (ask(&href, Action::Stop, &container.name))
                } @else {
                    form method="post" action=(format!("{href}/start")) { (hidden(cx)) button.small type="submit" { (icon(Icon::Play)) "Start" } }
                }
            }
        }
    }
}

/// A link to the page that asks; with a script, a dialog asks in place.
fn ask(href: &str, action: Action, name: &str) -> Markup {
    let (target, text) = (format!("{href}/{}", action.as_str()), verb(action));
    html! { a.button.small href=(target) data-confirm=(question(action, name)) data-action=(target) data-verb=(text) { (text) } }
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Start => "Start",
        Action::Stop => "Stop",
        Action::Restart => "Restart",
    }
}

fn question(action: Action, name: &str) -> String {
    match action {
        Action::Start => format!("Start the container {name}?"),
        Action::Stop => format!("Stop the container {name}? What it serves is gone until it is started again."),
        Action::Restart => format!("Restart the container {name}? What it serves is gone for a moment."),
    }
}

fn parse(action: &str) -> ApiResult<Action> {
    Action::parse(action)
        .ok_or_else(|| ApiError::not_found("request.not_found", "there is no such action on a container"))
}

/// Asks, for browsers without a script.
pub async fn confirm(State(_): State<Web>, cx: Cx, Path((name, action)): Path<(String, String)>) -> ApiResult<Markup> {
    let action = parse(&action)?;
    let title = format!("{} {name}?", verb(action));
    let href = format!("/containers/{name}");
    let body = html! {
        div.card.ask {
            p { (question(action, &name)) }
            form.form-foot method="post" action=(format!("{href}/{}", action.as_str())) {
                (hidden(&cx))
                button.danger type="submit" { (verb(action)) }
                a.button.quiet href="/containers" { "Back" }
            }
        }
    };
    Ok(Page::new(Place::Containers, &title, body).crumb("/containers", "Containers").crumb(href, name).render(&cx))
}

pub async fn act(
    State(web): State<Web>,
    cx: Cx,
    Path((name, action)): Path<(String, String)>,
    form: Form,
) -> ApiResult<Redirect> {
    cx.check(&form, Role::Operator)?;
    read::act(&web, &cx.who, &name, parse(&action)?).await?;
    Ok(Redirect::to("/containers"))
}

/// A container and the end of its log.
pub async fn show(
    State(web): State<Web>,
    cx: Cx,
    Path(name): Path<String>,
    Query(query): Query<ContainerLogQuery>,
) -> ApiResult<Markup> {
    let container = read::find(&web, &name).await?;
    let log = read::logs(&web, &container.name, query.lines()).await;
    let facts = html! {
        dl.facts {
            div { dt { "Image" } dd { code { (container.image) } } }
            div { dt { "Status" } dd { (container.status) } }
            @if let Some(purpose) = &container.purpose { div { dt { "Purpose" } dd { (purpose) } } }
            @if let Some(stack) = &container.stack { div { dt { "Stack" } dd { (stack) } } }
            div { dt { "Created" } dd { (ui::maybe_time(container.created_at, cx.now)) } }
            div { dt { "Started" } dd { (ui::maybe_time(container.started_at, cx.now)) } }
            @if let Some(code) = container.exit_code { div { dt { "Exit code" } dd { code { (code) } @if container.oom_killed { " out of memory" } } } }
            div { dt { "Restarts" } dd { (container.restart_count) } }
            @if !container.networks.is_empty() { div { dt { "Networks" } dd { (container.networks.join(", ")) } } }
            div { dt { "CPU" } dd { (cpu(container.usage.as_ref())) } }
            div { dt { "Memory" } dd { (memory(container.usage.as_ref())) } }
            div { dt { "Ports" } dd { @if container.ports.is_empty() { (ui::none()) } @for port in &container.ports { code.port { (port) } } } }
            div { dt { "Id" } dd { code.id { (&container.id[..12.min(container.id.len())]) } } }
        }
    };
    let body = html! {
        div.columns.wide-left {
            div { (ui::section("log", "Log", html! { a href=(format!("?tail={}", (query.lines() * 2).min(1_000))) { "Earlier lines" } }, log_lines(log))) }
            div { (ui::section("facts", "About", ui::nothing(), facts)) }
        }
    };
    let head = html! { (state_of(&container)) (actions(&cx, &container)) };
    Ok(Page::new(Place::Containers, &container.name, body)
        .crumb("/containers", "Containers")
        .head(head)
        .live("containers=1")
        .render(&cx))
}

fn log_lines(log: ApiResult<read::ContainerLog>) -> Markup {
    html! {
        @match log {
            Err(failure) => { p.quiet-line { (failure.fault().message) } }
            Ok(log) if log.lines.is_empty() => { p.quiet-line { "The container wrote nothing." } }
            Ok(log) => {
                div.log-box tabindex="0" role="region" aria-label="Lines" {
                    ol.log.two-columns {
                        @for line in &log.lines {
                            li data-level=(if line.stream == "stderr" { "warn" } else { "info" }) {
                                @match line.at { Some(at) => { time datetime=(at) title=(ui::absolute(at)) { (ui::clock_time(at)) } } None => { span {} } }
                                span.log-text { (ansi::markup(&line.text)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
