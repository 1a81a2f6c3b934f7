//! Tokens, colours, signing out.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::cx::{Cx, Theme};
use super::icons::Icon;
use super::layout::{Page, Place, hidden};
use super::ui;
use crate::model::Role;
use crate::store::TokenRow;
use crate::web::api;
use crate::web::audit::Acted;
use crate::web::auth::{self, NewToken};
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::{Form, Path};
use crate::web::parts::Web;

pub async fn page(State(web): State<Web>, cx: Cx) -> ApiResult<Markup> {
    render(&web, &cx, None).await
}

/// `made` is a new token's name and secret, shown this once.
async fn render(web: &Web, cx: &Cx, made: Option<(&str, &str)>) -> ApiResult<Markup> {
    let tokens = if cx.may(Role::Admin) { Some(web.parts.store.tokens().await?) } else { None };
    let body = html! {
        @if let Some((name, secret)) = made {
            (ui::section("made", "Your new token", ui::nothing(), html! {
                p { "This is the token " strong { (name) } ". It is shown this once: copy it now." }
                pre.secret tabindex="0" role="region" aria-label="Token" { code { (secret) } }
                p.muted { "Use it as " code { "Authorization: Bearer …" } "." }
            }))
        }
        div.columns.wide-left {
            div { @if let Some(tokens) = tokens { (token_list(cx, &tokens)) } }
            div {
                @if cx.may(Role::Admin) { (ui::section("new", "New token", ui::nothing(), token_form(cx))) }
                (ui::section("you", "You", ui::nothing(), you(cx)))
            }
        }
    };
    Ok(Page::new(Place::Settings, "Settings", body).render(cx))
}

fn token_list(cx: &Cx, tokens: &[TokenRow]) -> Markup {
    let body = html! {
        @if tokens.is_empty() {
            (ui::empty(Icon::Key, "No tokens yet", html! { p { "Programs call the API with a token. Make one here or with " code { "aegis token create" } "." } }))
        } @else {
            div.table-box { table.stack {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Role" } th scope="col" { "Made" } th scope="col" { "Last used" } th scope="col" { "State" } th scope="col" { span.sr { "Actions" } } } }
                tbody { @for token in tokens { (token_row(cx, token)) } }
            } }
        }
    };
    ui::section("tokens", "Tokens", html! { span.muted.num { (tokens.len()) } }, body)
}

fn token_row(cx: &Cx, token: &TokenRow) -> Markup {
    let is_live = auth::is_live(token, cx.now);
    html! {
        tr {
            th scope="row" { (token.name) @if !token.jobs.is_empty() { span.sub { "only " (token.jobs.join(", ")) } } }
            td data-label="Role" { (token.role) }
            td data-label="Made" { (ui::time(token.created_at, cx.now)) }
            td data-label="Last used" { (ui::maybe_time(token.last_used_at, cx.now)) }
            td data-label="State" {
                @if token.revoked_at.is_some() { (ui::badge("idle", Icon::Stop, "revoked")) }
                @else if !is_live { (ui::badge("idle", Icon::Clock, "expired")) }
                @else {
                    (ui::badge("ok", Icon::Check, "good"))
                    @if let Some(until) = token.expires_at { span.sub { "until " (ui::time(until, cx.now)) } }
                }
            }
            td.actions {
                @if is_live {
                    form method="post" action=(format!("/settings/tokens/{}/revoke", token.name)) { (hidden(cx)) button.quiet type="submit" title=(format!("Revoke {}", token.name)) { "Revoke" } }
                }
            }
        }
    }
}

fn token_form(cx: &Cx) -> Markup {
    html! {
        form.start method="post" action="/settings/tokens" {
            (hidden(cx))
            div.field { label for="name" { "Name" span.required { " required" } } input id="name" name="name" type="text" required maxlength="64" pattern="[A-Za-z0-9._\\-]+" autocomplete="off"; p.help { "Who or what uses it: letters, digits, dots, dashes." } }
            div.field { label for="role" { "Role" } select id="role" name="role" {
                option value="viewer" { "viewer: reads" } option value="operator" { "operator: starts and cancels too" } option value="admin" { "admin: manages tokens too" }
            } }
            div.field { label for="token-jobs" { "Only these jobs" } input id="token-jobs" name="jobs" type="text" placeholder="all jobs" autocomplete="off"; p.help { "Names or patterns such as web-*, separated by spaces." } }
            div.field { label for="lifetime" { "Lifetime" } input id="lifetime" name="lifetime" type="text" placeholder="for ever" autocomplete="off"; p.help { "Such as 90d." } }
            div.form-foot { button.primary type="submit" { "Make a token" } }
        }
    }
}

fn you(cx: &Cx) -> Markup {
    html! {
        dl.facts { div { dt { "Signed in as" } dd { (cx.who.actor) } } div { dt { "Role" } dd { (cx.who.role) } } }
        form.inline method="post" action="/theme" {
            (hidden(cx))
            input type="hidden" name="back" value="/settings";
            span.muted { "Colours" }
            @for theme in Theme::ALL { button type="submit" name="theme" value=(theme.as_str()) aria-pressed=(if theme == cx.theme { "true" } else { "false" }) { (theme.as_str()) } }
        }
        @if cx.session.is_some() { form.form-foot method="post" action="/logout" { (hidden(cx)) button type="submit" { "Sign out" } } }
    }
}

pub async fn create_token(State(web): State<Web>, cx: Cx, form: Form) -> ApiResult<Response> {
    cx.check(&form, Role::Admin)?;
    let text = |name| form.get(name).unwrap_or_default().trim();
    let role =
        Role::parse(text("role")).ok_or_else(|| ApiError::bad_request("the role is viewer, operator or admin"))?;
    let new = NewToken {
        name: text("name").to_owned(),
        role,
        jobs: text("jobs").split([' ', ',']).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        expires_at: api::expiry(Some(text("lifetime")), cx.now)?,
    };
    let (secret, row) = auth::create_token(&web.parts.store, &web.parts.clock, new).await?;
    tracing::info!(by = %cx.who.actor, name = %row.name, role = %row.role, "made a token");
    let mut response = render(&web, &cx, Some((&row.name, &secret))).await?.into_response();
    response.extensions_mut().insert(Acted { object: Some(row.name.clone()), actor: None });
    Ok(response)
}

pub async fn revoke_token(State(web): State<Web>, cx: Cx, Path(name): Path<String>, form: Form) -> ApiResult<Redirect> {
    cx.check(&form, Role::Admin)?;
    api::revoke_token(&web, &name).await?;
    tracing::info!(by = %cx.who.actor, %name, "revoked a token");
    Ok(Redirect::to("/settings"))
}

/// Remembers the colours in a cookie, so that pages come in them from their first byte.
pub async fn set_theme(cx: Cx, form: Form) -> ApiResult<Response> {
    cx.check(&form, Role::Viewer)?;
    let theme =
        form.get("theme").and_then(Theme::parse).ok_or_else(|| ApiError::bad_request("there is no such theme"))?;
    let back = form
        .get("back")
        .filter(|back| back.starts_with('/') && !back.starts_with("//") && !back.contains('\\'))
        .unwrap_or("/");
    let cookie = format!("{}={}; Path=/; SameSite=Strict; Max-Age=31536000", Theme::COOKIE, theme.as_str());
    let mut response = Redirect::to(back).into_response();
    let value = HeaderValue::from_str(&cookie).map_err(|_| ApiError::bad_request("the cookie cannot be written"))?;
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(response)
}
