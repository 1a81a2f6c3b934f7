//! Failures of pages as pages, and the way to the login page for those who are not signed in.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::cx::Theme;
use super::icons::{Icon, icon};
use super::layout::document;
use crate::web::error::ApiError;
use crate::web::parts::Web;

/// Paths whose callers are programs: their failures stay JSON.
const FOR_PROGRAMS: [&str; 8] =
    ["/api/", "/hooks/", "/openapi.json", "/health", "/metrics", "/live", "/palette", "/assets/"];

pub async fn errors(State(web): State<Web>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let wants_page = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let wants_page = wants_page.is_none_or(|accept| accept.contains("text/html") || accept.contains("*/*"));
    if !wants_page || FOR_PROGRAMS.iter().any(|start| path.starts_with(start)) {
        return next.run(request).await;
    }
    let theme = Theme::of(request.headers());
    let is_read = request.method().is_safe();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<ApiError>() else { return response };
    if error.fault().code == "auth.required" && is_read {
        let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", &target).finish();
        return Redirect::to(&format!("/login?{query}")).into_response();
    }
    (error.status(), page(&web, theme, &error)).into_response()
}

fn page(web: &Web, theme: Theme, error: &ApiError) -> Markup {
    let title = match error.status() {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "Not allowed",
        StatusCode::TOO_MANY_REQUESTS => "Too many tries",
        StatusCode::CONFLICT => "Not now",
        status if status.is_server_error() => "That did not work",
        _ => "That cannot be done",
    };
    let fault = error.fault();
    let body = html! {
        main.alone id="main" {
            div.card.alone-card {
                div.alone-icon { (icon(Icon::Warning)) }
                h1 { (title) }
                p { (fault.message) }
                @if let Some(hint) = &fault.hint { p.hint { (hint) } }
                p.muted { code { (fault.code) } " · " (error.status().as_u16()) }
                div.actions { a.button href="/" { "Go to the overview" } }
            }
        }
    };
    document(&web.assets, theme, title, None, body)
}
