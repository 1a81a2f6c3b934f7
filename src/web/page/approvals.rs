//! What waits for somebody's decision, with all that is needed to decide, and what runs keep for people.

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use serde_json::Value;

use super::cx::Cx;
use super::icons::{Icon, icon};
use super::layout::hidden;
use super::run::json;
use super::ui;
use crate::base::quantity::show_size;
use crate::base::{RunId, limits};
use crate::model::{Entry, EntryKind, EntryState, Role};
use crate::web::api::{DecisionBody, decide};
use crate::web::error::ApiResult;
use crate::web::extract::{Form, Path};
use crate::web::parts::Web;
use crate::web::read::runs::RunView;
use crate::web::read::steps::{ApprovalView, ArtifactView};

/// The approvals that a run waits for, each with its form.
pub fn boxes(cx: &Cx, run: &RunView, entries: &[Entry]) -> Markup {
    let waits = |entry: &&Entry| entry.kind == EntryKind::Approval && entry.state == EntryState::Waiting;
    html! {
        @if !run.state.is_final() {
            @for entry in entries.iter().filter(waits) { (asked(cx, run.id, entry)) }
        }
    }
}

fn asked(cx: &Cx, run: RunId, entry: &Entry) -> Markup {
    let id = format!("approval-{}", entry.key);
    let aside = html! {
        "since " (ui::time(entry.started_at, cx.now))
        @if let Some(expires) = entry.wake_at { span { "expires " (ui::time(expires, cx.now)) } }
    };
    let body = html! {
        @if let Some(show) = &entry.show { div.shown { (shown(show)) } }
        @if cx.may(Role::Operator) {
            form.decide method="post" action=(format!("/runs/{run}/approve")) {
                (hidden(cx))
                input type="hidden" name="name" value=(entry.name);
                label.sr for=(format!("{id}-comment")) { "Comment" }
                input type="text" id=(format!("{id}-comment")) name="comment" placeholder="Comment (for the record)" autocomplete="off" maxlength=(limits::DECISION_COMMENT_BYTES_MAX / 4);
                (buttons(run))
            }
        } @else { p.quiet-line { "An operator decides." } }
    };
    html! { div.asks { (ui::section(&id, &format!("Approve “{}”?", entry.name), aside, body)) } }
}

fn buttons(run: RunId) -> Markup {
    html! {
        div.button-row {
            button.primary type="submit" { (icon(Icon::Check)) "Approve" }
            button.danger type="submit" formaction=(format!("/runs/{run}/reject")) { (icon(Icon::Cross)) "Reject" }
        }
    }
}

/// What a job shows, as text, as facts, or as it is.
pub fn shown(value: &Value) -> Markup {
    let is_plain = |value: &Value| !value.is_object() && !value.is_array();
    match value {
        Value::String(text) => html! { p.shown-text { (text) } },
        Value::Object(map) if map.values().all(is_plain) => html! {
            dl.facts { @for (name, value) in map { div { dt { (name) } dd { @match value.as_str() { Some(text) => (text), None => (value) } } } } }
        },
        other => json(other),
    }
}

/// The first page's list; nothing when nothing waits.
pub fn waiting(cx: &Cx, approvals: &[ApprovalView], most: usize) -> Markup {
    if approvals.is_empty() {
        return ui::nothing();
    }
    let body = html! {
        ul.attention {
            @for approval in approvals.iter().take(most) { li { (waiting_line(cx, approval)) } }
        }
        @if approvals.len() > most { p.more { a href="/runs?state=parked,running" { (approvals.len() - most) " more in runs that wait" } } }
    };
    let aside = html! { span.count data-tone="wait" { (approvals.len()) } };
    ui::section("waiting", "Waits for you", aside, body)
}

/// On one line: `from: shop-1.7.2, to: shop-1.8.0`.
fn in_short(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.lines().next().unwrap_or_default().to_owned(),
        Value::Object(map) => {
            let each = map.iter().map(|(name, value)| match value.as_str() {
                Some(text) => format!("{name}: {text}"),
                None => format!("{name}: {value}"),
            });
            each.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn waiting_line(cx: &Cx, approval: &ApprovalView) -> Markup {
    let told = approval.show.as_ref().map(in_short).unwrap_or_default();
    html! {
        span.attention-what {
            (ui::badge("wait", Icon::Person, "approval"))
            a href=(format!("/runs/{}", approval.run)) { strong { (approval.name) } }
            span.muted { (approval.job) ", " (ui::time(approval.since, cx.now)) @if let Some(expires) = approval.expires { ", expires " (ui::time(expires, cx.now)) } }
        }
        span.attention-why.clip-line { (told) }
        @if cx.may(Role::Operator) {
            form.inline method="post" action=(format!("/runs/{}/approve", approval.run)) {
                (hidden(cx))
                input type="hidden" name="name" value=(approval.name);
                input type="hidden" name="back" value="/";
                (buttons(approval.run))
            }
        }
    }
}

/// What the run keeps: pictures are seen, the rest is a link.
pub fn artifacts(cx: &Cx, run: RunId, artifacts: &[ArtifactView]) -> Markup {
    if artifacts.is_empty() {
        return ui::nothing();
    }
    let body = html! {
        ul.rows.artifacts {
            @for artifact in artifacts {
                @let address = format!("/api/v1/runs/{run}/artifacts/{}", segment(&artifact.name));
                li {
                    a.grow href=(address) { (artifact.name) }
                    span.muted { (artifact.media_type) " · " (show_size(artifact.bytes)) " · " (ui::time(artifact.created_at, cx.now)) }
                    @if matches!(artifact.media_type.as_str(), "image/png" | "image/jpeg") {
                        a.picture href=(address) { img src=(address) alt=(artifact.name) loading="lazy"; }
                    }
                }
            }
        }
    };
    ui::section("artifacts", "Artifacts", ui::nothing(), body)
}

/// A text as one segment of an address.
fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

pub async fn approve(web: State<Web>, cx: Cx, id: Path<String>, form: Form) -> ApiResult<Redirect> {
    decided(web, cx, id, form, true).await
}

pub async fn reject(web: State<Web>, cx: Cx, id: Path<String>, form: Form) -> ApiResult<Redirect> {
    decided(web, cx, id, form, false).await
}

async fn decided(
    State(web): State<Web>,
    cx: Cx,
    Path(id): Path<String>,
    form: Form,
    approved: bool,
) -> ApiResult<Redirect> {
    cx.check(&form, Role::Operator)?;
    let body = DecisionBody::of_form(form.get("name"), form.get("comment"));
    let decided = decide(&web, &cx.who, &id, approved, body).await?;
    let run = format!("/runs/{}", decided.run_id);
    Ok(Redirect::to(if form.get("back") == Some("/") { "/" } else { &run }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_shown_cannot_become_markup() {
        let html = shown(&json!("<b>switch</b>\nnow")).into_string();
        assert!(html.contains("&lt;b&gt;switch"), "{html}");
        let html = shown(&json!({ "from": "<a>", "to": 2 })).into_string();
        assert!(html.contains("<dt>from</dt><dd>&lt;a&gt;</dd>") && html.contains("<dd>2</dd>"), "{html}");
        assert!(shown(&json!({ "list": [1] })).into_string().contains("<pre"));
        assert_eq!(in_short(&json!({ "from": "a", "to": 2 })), "from: a, to: 2");
        assert_eq!(in_short(&json!("one\ntwo")), "one");
        assert_eq!(segment("a b/ü.png"), "a%20b%2F%C3%BC.png");
    }
}
