//! How sending can fail before anything is sent. What happens at a destination is its delivery's outcome.

use crate::base::suggest::did_you_mean;
use crate::base::{Fault, limits};

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NotifyError {
    #[error("notify.routes: there are {0} routes, and at most {max} are kept", max = limits::NOTIFY_ROUTES_MAX)]
    TooManyRoutes(usize),
    #[error(
        "notify.routes.{route}: there are {count} destinations, and at most {max} are kept",
        max = limits::NOTIFY_DESTINATIONS_PER_ROUTE_MAX
    )]
    TooManyDestinations { route: String, count: usize },
    #[error("there is no notification route {route:?}{}", did_you_mean(route, known.iter().map(String::as_str)))]
    UnknownRoute { route: String, known: Vec<String> },
    #[error("the message cannot be sent: {0}")]
    BadMessage(String),
    #[error("{}", .0.message)]
    NotKept(Box<Fault>),
}

impl From<NotifyError> for Fault {
    fn from(error: NotifyError) -> Self {
        let message = error.to_string();
        match error {
            NotifyError::TooManyRoutes(_) | NotifyError::TooManyDestinations { .. } => {
                Self::new("notify.setup", message).hint("take some out of the configuration")
            }
            NotifyError::UnknownRoute { route, known } => {
                let hint = match known.as_slice() {
                    [] => format!("no route is configured: add notify.routes.{route} to the configuration"),
                    known => format!("configured are: {}", known.join(", ")),
                };
                let details = serde_json::json!({ "routes": known });
                Self::new("notify.unknown_route", message).hint(hint).details(details)
            }
            NotifyError::NotKept(fault) => *fault,
            NotifyError::BadMessage(_) => Self::new("notify.bad_message", message),
        }
    }
}
