//! The frame around every page.

use maud::{DOCTYPE, Markup, html};

use super::cx::{Cx, Theme};
use super::icons::{Icon, icon};
use super::ui;
use crate::jobs::Severity;
use crate::model::Role;
use crate::web::assets::Assets;

/// The places of the dashboard, in order of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Overview,
    Jobs,
    Runs,
    Schedule,
    Containers,
    Stacks,
    Volumes,
    Health,
    Audit,
    Api,
    Settings,
}

impl Place {
    pub const ALL: [Self; 11] = [
        Self::Overview,
        Self::Jobs,
        Self::Runs,
        Self::Schedule,
        Self::Containers,
        Self::Stacks,
        Self::Volumes,
        Self::Health,
        Self::Audit,
        Self::Api,
        Self::Settings,
    ];

    pub fn href(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Jobs => "/jobs",
            Self::Runs => "/runs",
            Self::Schedule => "/schedule",
            Self::Containers => "/containers",
            Self::Stacks => "/stacks",
            Self::Volumes => "/volumes",
            Self::Health => "/alerts",
            Self::Audit => "/audit",
            Self::Api => "/docs",
            Self::Settings => "/settings",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Jobs => "Jobs",
            Self::Runs => "Runs",
            Self::Schedule => "Schedule",
            Self::Containers => "Containers",
            Self::Stacks => "Stacks",
            Self::Volumes => "Volumes",
            Self::Health => "Health",
            Self::Audit => "Audit",
            Self::Api => "API",
            Self::Settings => "Settings",
        }
    }

    /// With `g`, the key that goes there.
    pub fn key(self) -> char {
        match self {
            Self::Overview => 'o',
            Self::Jobs => 'j',
            Self::Runs => 'r',
            Self::Schedule => 's',
            Self::Containers => 'c',
            Self::Stacks => 'k',
            Self::Volumes => 'v',
            Self::Health => 'h',
            Self::Audit => 'u',
            Self::Api => 'a',
            Self::Settings => 't',
        }
    }

    /// Whether the caller may see it, and there is something to see.
    pub fn is_for(self, cx: &Cx) -> bool {
        match self {
            Self::Audit => cx.may(Role::Admin),
            Self::Stacks => !cx.web.parts.stacks.sources().is_empty(),
            Self::Volumes => cx.web.parts.volumes.is_configured(),
            _ => true,
        }
    }

    fn icon(self) -> Icon {
        match self {
            Self::Overview => Icon::Overview,
            Self::Jobs => Icon::Jobs,
            Self::Runs => Icon::Runs,
            Self::Schedule => Icon::Schedule,
            Self::Containers => Icon::Containers,
            Self::Stacks => Icon::Stacks,
            Self::Volumes => Icon::Volumes,
            Self::Health => Icon::Health,
            Self::Audit => Icon::Shield,
            Self::Api => Icon::Book,
            Self::Settings => Icon::Settings,
        }
    }
}

/// A page before its frame.
pub struct Page<'a> {
    pub place: Place,
    pub title: &'a str,
    /// Beside the title: state, actions.
    pub head: Markup,
    /// Path from the place to here, as `(address, text)`.
    pub crumbs: Vec<(String, String)>,
    /// What the page's live connection asks for besides events; None: the page does not change by itself.
    pub live: Option<String>,
    pub body: Markup,
}

impl<'a> Page<'a> {
    pub fn new(place: Place, title: &'a str, body: Markup) -> Self {
        Self { place, title, head: ui::nothing(), crumbs: Vec::new(), live: None, body }
    }

    #[must_use]
    pub fn head(mut self, head: Markup) -> Self {
        self.head = head;
        self
    }

    #[must_use]
    pub fn crumb(mut self, href: impl Into<String>, text: impl Into<String>) -> Self {
        self.crumbs.push((href.into(), text.into()));
        self
    }

    #[must_use]
    pub fn live(mut self, query: impl Into<String>) -> Self {
        self.live = Some(query.into());
        self
    }

    pub fn render(self, cx: &Cx) -> Markup {
        let frame = html! {
            a.skip href="#main" { "Skip to the content" }
            div.frame {
                (sidebar(cx, self.place))
                div.column {
                    (topbar(cx))
                    main id="main" tabindex="-1" {
                        div.page-head {
                            @if !self.crumbs.is_empty() {
                                nav.crumbs aria-label="Path" {
                                    @for (index, (href, text)) in self.crumbs.iter().enumerate() {
                                        @if index > 0 { span aria-hidden="true" { "/" } }
                                        a href=(href) { (text) }
                                    }
                                }
                            }
                            div.page-title { h1 { (self.title) } (self.head) }
                        }
                        (self.body)
                    }
                }
            }
            div.sr aria-live="polite" id="announce" {}
        };
        let live = self.live.map(|query| format!("/live?seen={}&{query}", cx.seen));
        document(&cx.web.assets, cx.theme, self.title, Some((cx.csrf(), live)), frame)
    }
}

/// The HTML around `body`. `script` is `(form token, live address)`; without it the page runs no script.
pub fn document(
    assets: &Assets,
    theme: Theme,
    title: &str,
    script: Option<(&str, Option<String>)>,
    body: Markup,
) -> Markup {
    let scheme = match theme {
        Theme::System => "light dark",
        other => other.as_str(),
    };
    html! {
        (DOCTYPE)
        html lang="en" data-theme=(theme.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content=(scheme);
                title { (title) " · Aegis" }
                link rel="icon" href=(assets.url("favicon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets.url("style.css"));
                @if let Some((csrf, live)) = script {
                    meta name="csrf" content=(csrf);
                    @if let Some(live) = live { meta name="live" content=(live); }
                    script type="module" src=(assets.url("app.js")) {}
                }
            }
            body { (body) }
        }
    }
}

fn sidebar(cx: &Cx, here: Place) -> Markup {
    let snapshot = cx.web.parts.jobs.snapshot();
    let rejected = snapshot.diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    let live = cx.web.parts.runner.live().len();
    html! {
        nav.sidebar aria-label="Main" {
            a.brand href="/" { (icon(Icon::Shield)) span { "Aegis" } }
            ul id="nav" {
                @for place in Place::ALL.into_iter().filter(|place| place.is_for(cx)) {
                    li {
                        a href=(place.href()) aria-current=[(place == here).then_some("page")] {
                            (icon(place.icon())) span { (place.title()) }
                            @if place == Place::Jobs && rejected > 0 {
                                span.count data-tone="bad" { (rejected) span.sr { " rejected files" } }
                            }
                            @if place == Place::Runs && live > 0 {
                                span.count data-tone="live" { (live) span.sr { " alive" } }
                            }
                        }
                    }
                }
            }
            p.sidebar-foot { "Aegis " (env!("CARGO_PKG_VERSION")) }
        }
    }
}

fn topbar(cx: &Cx) -> Markup {
    let next = match cx.theme {
        Theme::System => Theme::Dark,
        Theme::Dark => Theme::Light,
        Theme::Light => Theme::System,
    };
    let title = format!("Colours: {}. Change to {}", cx.theme.as_str(), next.as_str());
    html! {
        header.topbar {
            a.brand href="/" { (icon(Icon::Shield)) span { "Aegis" } }
            button.search type="button" data-palette aria-haspopup="dialog" hidden {
                (icon(Icon::Search)) span { "Search jobs, runs, pages" } kbd { "Ctrl K" }
            }
            span.connection id="connection" data-state="off" role="status" hidden { span.dot aria-hidden="true" {} span.connection-text { "Offline" } }
            form method="post" action="/theme" data-theme-form {
                (hidden(cx))
                input type="hidden" name="back" value=(cx.path);
                button.quiet type="submit" name="theme" value=(next.as_str()) title=(title) aria-label=(title) { (icon(Icon::Theme)) }
            }
            span.who title="Signed in as" { (icon(Icon::Key)) span { (cx.who.actor) } }
        }
    }
}

/// The field that proves that a page of this session made the form.
pub fn hidden(cx: &Cx) -> Markup {
    html! { @if !cx.csrf().is_empty() { input type="hidden" name="csrf" value=(cx.csrf()); } }
}
