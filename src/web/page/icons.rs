//! The dashboard's icons, drawn on a 16 by 16 grid with one stroke width.

use maud::{Markup, html};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    Shield,
    Overview,
    Jobs,
    Runs,
    Schedule,
    Containers,
    Stacks,
    Volumes,
    Health,
    Book,
    Settings,
    Check,
    Cross,
    Clock,
    Bolt,
    Running,
    Queue,
    Stop,
    Skip,
    Warning,
    Play,
    Retry,
    Search,
    Theme,
    Key,
    Info,
    Pause,
    Undo,
    Person,
}

impl Icon {
    fn path(self) -> &'static str {
        match self {
            Self::Shield => {
                "M8 1.5 13.5 3.5v4.2c0 3.4-2.3 5.8-5.5 6.8-3.2-1-5.5-3.4-5.5-6.8V3.5zM5.4 7.9l1.9 1.9 3.4-3.6"
            }
            Self::Overview => "M2.5 2.5h4.5v6h-4.5zM9 2.5h4.5v3.5H9zM9 8.5h4.5v5H9zM2.5 11h4.5v2.5h-4.5z",
            Self::Jobs => "M3 2.5h6.5l3.5 3.5v7.5H3zM9.5 2.5V6H13M5.5 9l1.5 1.3-1.5 1.3M8.5 11.6h2",
            Self::Runs => "M2.5 8h2.6l2-5 2.8 10 1.6-5h2",
            Self::Schedule => "M2.5 4h11v9.5h-11zM2.5 7h11M5.3 2.3v3M10.7 2.3v3M8 9v1.6h1.6",
            Self::Containers => "M8 1.8 13.5 4.8v6.4L8 14.2 2.5 11.2V4.8zM2.5 4.8 8 7.8l5.5-3M8 7.8v6.4",
            Self::Stacks => "M8 2.2 14 5 8 7.8 2 5zM2.6 8 8 10.6 13.4 8M2.6 11 8 13.6 13.4 11",
            Self::Volumes => {
                "M2.5 4c0-2.4 11-2.4 11 0v8c0 2.4-11 2.4-11 0zM2.5 4c0 2.4 11 2.4 11 0M2.5 8c0 2.4 11 2.4 11 0"
            }
            Self::Health => "M8 13.5 3 8.6a3 3 0 0 1 0-4.3 3 3 0 0 1 4.3 0L8 5l.7-.7a3 3 0 0 1 4.3 0 3 3 0 0 1 0 4.3z",
            Self::Book => {
                "M2.5 3c2-.8 4-.6 5.5.6 1.5-1.2 3.5-1.4 5.5-.6v9.5c-2-.8-4-.6-5.5.6-1.5-1.2-3.5-1.4-5.5-.6zM8 3.6v9.5"
            }
            Self::Settings => "M2.5 4.5h6M11.5 4.5h2M2.5 11.5h2M7.5 11.5h6M10 3v3M6 10v3",
            Self::Check => "M3.2 8.5l3.2 3.2 6.4-7",
            Self::Cross => "M4 4l8 8M12 4l-8 8",
            Self::Clock => "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM8 4.8V8l2.2 1.6",
            Self::Bolt => "M9 1.8 3.8 9H7.6L7 14.2 12.2 7H8.4z",
            Self::Running => "M8 2a6 6 0 1 1-6 6",
            Self::Queue => "M3 4h10M3 8h10M3 12h6",
            Self::Stop => "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM3.8 3.8l8.4 8.4",
            Self::Skip => "M3 4l5 4-5 4zM9 4l5 4-5 4z",
            Self::Warning => "M8 2.2 14.3 13.5H1.7zM8 6.3v3.4M8 11.5v.3",
            Self::Play => "M4.5 3l8 5-8 5z",
            Self::Retry => "M13 8a5 5 0 1 1-1.5-3.5M13 2.3v3h-3",
            Self::Search => "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.3 10.3l3.4 3.4",
            Self::Theme => "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM8 2v12M8 4.5h3.6M8 7h5M8 9.5h5M8 12h3",
            Self::Key => "M10.5 2.5a3 3 0 1 1-2.6 4.5L3 12v1.8h2.3V12h1.7v-1.7l1.5-1.5M11 5.3v.3",
            Self::Pause => "M5.5 3.5v9M10.5 3.5v9",
            Self::Undo => "M6 3 3 6l3 3M3 6h6.5a3.5 3.5 0 0 1 0 7H6",
            Self::Person => "M8 2.5a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6zM2.8 13.8c.6-2.8 2.5-4 5.2-4s4.6 1.2 5.2 4",
            Self::Info => "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM8 7.3v3.7M8 4.9v.3",
        }
    }
}

/// Decoration beside a word that says the same, so hidden from screen readers.
pub fn icon(which: Icon) -> Markup {
    let kind = if which == Icon::Running { "icon spin" } else { "icon" };
    html! {
        svg class=(kind) viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false" {
            path d=(which.path()) fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" {}
        }
    }
}
