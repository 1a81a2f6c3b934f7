//! Signing in, by one-time link or by token, and out.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::cx::Theme;
use super::icons::{Icon, icon};
use super::layout::document;
use crate::base::limits;
use crate::web::audit::Acted;
use crate::web::auth;
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::{Form, Query, Session};
use crate::web::guard::COOKIE;
use crate::web::parts::Web;

#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    /// The link's secret. Opening the link only shows a button: previews of links must not use it up.
    token: Option<String>,
    /// Where to go afterwards.
    next: Option<String>,
}

pub async fn page(State(web): State<Web>, headers: HeaderMap, Query(asked): Query<Asked>) -> Markup {
    render(&web, &headers, asked.token.as_deref(), asked.next.as_deref(), None)
}

fn render(web: &Web, headers: &HeaderMap, token: Option<&str>, next: Option<&str>, problem: Option<&str>) -> Markup {
    let body = html! {
        main.alone id="main" {
            div.card.alone-card {
                p.brand { (icon(Icon::Shield)) span { "Aegis" } }
                h1 { "Sign in" }
                @if let Some(problem) = problem { p.refusal role="alert" { (icon(Icon::Warning)) (problem) } }
                form.login method="post" action="/login" {
                    input type="hidden" name="next" value=(local(next));
                    @if let Some(token) = token {
                        input type="hidden" name="token" value=(token);
                        p { "This link opens a session in this browser. It works once." }
                        button.primary type="submit" { "Open the dashboard" }
                    } @else {
                        label for="token" { "Token" }
                        input id="token" name="token" type="password" autocomplete="current-password" required autofocus;
                        button.primary type="submit" { "Sign in" }
                    }
                }
                @if token.is_none() {
                    p.hint { "On the host, " code { "aegis token create NAME --role admin" } " makes a token. While there is none, the daemon prints a one-time link when it starts." }
                }
            }
        }
    };
    document(&web.assets, Theme::of(headers), "Sign in", None, body)
}

/// Only paths of this site: a login must not lead elsewhere.
fn local(next: Option<&str>) -> &str {
    let is_path = |next: &&str| {
        next.starts_with('/') && !next.starts_with("//") && !next.starts_with("/login")
            // Browsers read the first as a slash, and leave the others out.
            && !next.contains(|c: char| c == '\\' || c.is_control())
    };
    next.filter(is_path).unwrap_or("/")
}

pub async fn submit(State(web): State<Web>, headers: HeaderMap, form: Form) -> ApiResult<Response> {
    let secret = form.get("token").unwrap_or_default().trim();
    let next = local(form.get("next"));
    let Some((cookie, actor)) = auth::open_session(&web.parts.store, &web.parts.clock, secret).await? else {
        let problem = "That link or token is not good: links work once and for a quarter of an hour, tokens until they are revoked.";
        return Ok((StatusCode::UNAUTHORIZED, render(&web, &headers, None, Some(next), Some(problem))).into_response());
    };
    let mut response = Redirect::to(next).into_response();
    response.extensions_mut().insert(Acted { actor: Some(actor), object: None });
    response
        .headers_mut()
        .insert(header::SET_COOKIE, set_cookie(&headers, &cookie, limits::SESSION_LIFETIME.as_secs())?);
    Ok(response)
}

fn set_cookie(headers: &HeaderMap, value: &str, age_s: u64) -> ApiResult<HeaderValue> {
    // The browser's own word tells whether it came by TLS; the daemon behind a proxy cannot see that.
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or("");
    let secure = if origin.starts_with("https://") { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age_s}{secure}");
    HeaderValue::from_str(&text).map_err(|_| ApiError::bad_request("the cookie cannot be written"))
}

pub async fn logout(
    State(web): State<Web>,
    session: Option<Session>,
    headers: HeaderMap,
    form: Form,
) -> ApiResult<Response> {
    if let Some(session) = session {
        if form.get("csrf") != Some(session.csrf.as_str()) {
            return Err(
                ApiError::forbidden("this form is out of date").hint("go back, reload the page and send it again")
            );
        }
        web.parts.store.take_session(&session.hash).await?;
    }
    let mut response = Redirect::to("/login").into_response();
    response.headers_mut().insert(header::SET_COOKIE, set_cookie(&headers, "", 0)?);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_nowhere_else() {
        assert_eq!(local(Some("/runs?state=failed")), "/runs?state=failed");
        for bad in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/login?next=/",
            "",
        ] {
            assert_eq!(local(Some(bad)), "/", "{bad}");
        }
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_and_strangers() {
        let cookie = set_cookie(&HeaderMap::new(), "abc", 60).expect("a header");
        assert_eq!(cookie, "aegis_session=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=60");
        let tls = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static("https://aegis.example.com"))]);
        assert!(set_cookie(&tls, "abc", 60).expect("a header").to_str().expect("text").ends_with("; Secure"));
    }
}
