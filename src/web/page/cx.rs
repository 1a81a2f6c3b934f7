//! What every page needs to know of its request.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::base::Timestamp;
use crate::model::{Identity, Role};
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::{Form, Session, Viewer};
use crate::web::guard;
use crate::web::parts::Web;

/// Light, dark, or what the system prefers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];
    pub const COOKIE: &'static str = "aegis_theme";

    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == word)
    }

    pub fn of(headers: &axum::http::HeaderMap) -> Self {
        guard::cookie(headers, Self::COOKIE).and_then(Self::parse).unwrap_or_default()
    }
}

/// A page's request, by a caller who may read.
#[derive(Debug, Clone)]
pub struct Cx {
    pub web: Web,
    pub who: Identity,
    /// None for callers whom no browser can be tricked to speak for: bearer tokens and the admin socket.
    pub session: Option<Session>,
    pub theme: Theme,
    /// One moment for the whole page.
    pub now: Timestamp,
    /// The newest event when the page began to be made: what comes after it, the page may not show.
    pub seen: i64,
    pub path: String,
}

impl FromRequestParts<Web> for Cx {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, ApiError> {
        let Viewer(who) = Viewer::from_request_parts(parts, web).await?;
        guard::unconfined(&who)?;
        Ok(Self {
            who,
            session: parts.extensions.get::<Session>().cloned(),
            theme: Theme::of(&parts.headers),
            now: web.now(),
            seen: web.parts.store.commits().borrow().event_seq,
            path: parts.uri.path().to_owned(),
            web: web.clone(),
        })
    }
}

impl Cx {
    /// The form token, empty when there is no session to protect.
    pub fn csrf(&self) -> &str {
        self.session.as_ref().map_or("", |session| &session.csrf)
    }

    pub fn may(&self, role: Role) -> bool {
        self.who.role.allows(role)
    }

    /// Refuses a form that no page of this session made, or whose sender lacks the role.
    pub fn check(&self, form: &Form, needed: Role) -> ApiResult<()> {
        if !self.may(needed) {
            let message = format!("{} has the role {}; this needs {needed}", self.who.actor, self.who.role);
            return Err(ApiError::forbidden(message));
        }
        let sent = blake3::hash(form.get("csrf").unwrap_or_default().as_bytes());
        // Hashes compare in constant time.
        if self.session.is_some() && sent != blake3::hash(self.csrf().as_bytes()) {
            let refusal = ApiError::new(StatusCode::FORBIDDEN, "request.form", "this form is out of date");
            return Err(refusal.hint("go back, reload the page and send it again"));
        }
        Ok(())
    }
}
