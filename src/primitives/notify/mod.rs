//! Messages to people, by named routes of the configuration.

mod deliver;
mod destination;
mod discord;
mod message;
mod ntfy;
mod secrets;
mod slack;
#[cfg(test)]
mod tests;
mod text;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;

pub use destination::{Destination, Kind, Reference};
pub use message::{Delivery, DeliveryState, Message, Report, Severity};
pub use secrets::{EnvironmentSecrets, Secrets};

use super::http::{Http, HttpError};
use super::permit::NotifyPermit;
use crate::base::{Clock, Fault, limits};

/// As the configuration has it.
#[derive(Debug, Clone)]
pub struct Options {
    pub routes: BTreeMap<String, Vec<Destination>>,
    pub clock: Clock,
    pub secrets: Arc<dyn Secrets>,
    pub http: Http,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notify {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    routes: BTreeMap<String, Vec<Destination>>,
    clock: Clock,
    secrets: Arc<dyn Secrets>,
    client: reqwest::Client,
}

#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    #[error("there is no notification route {route:?}{hint}")]
    NoRoute { route: String, hint: String },
    #[error("the notification route {route:?} has more than {} destinations", limits::NOTIFY_DESTINATIONS_MAX)]
    TooMany { route: String },
    #[error("{field}: {problem}")]
    Invalid { field: &'static str, problem: String },
    #[error("no destination of the notification route {:?} took the message: {}", report.route, problems(report))]
    Failed { report: Report },
    #[error(transparent)]
    Http(#[from] HttpError),
}

fn problems(report: &Report) -> String {
    let failed = report.deliveries.iter().filter_map(|delivery| Some((delivery, delivery.problem.as_ref()?)));
    failed.map(|(delivery, problem)| format!("{}: {problem}", delivery.destination)).collect::<Vec<_>>().join("; ")
}

impl From<NotifyError> for Fault {
    fn from(error: NotifyError) -> Self {
        let message = error.to_string();
        match error {
            NotifyError::NoRoute { .. } => {
                Self::new("notify.no_route", message).hint("name it in the configuration, under notify.routes")
            }
            NotifyError::TooMany { .. } | NotifyError::Invalid { .. } => Self::new("notify.invalid", message),
            NotifyError::Failed { report } => {
                let details = serde_json::to_value(&report).unwrap_or_default();
                Self::new("notify.failed", message).retryable().details(details)
            }
            NotifyError::Http(error) => error.into(),
        }
    }
}

impl Notify {
    pub fn new(options: Options) -> Result<Self, NotifyError> {
        let full = options.routes.iter().find(|(_, list)| list.len() > limits::NOTIFY_DESTINATIONS_MAX);
        if let Some((route, _)) = full {
            return Err(NotifyError::TooMany { route: route.clone() });
        }
        let client = options.http.operator_client()?;
        let Options { routes, clock, secrets, .. } = options;
        Ok(Self { shared: Arc::new(Shared { routes, clock, secrets, client }) })
    }

    /// Names of the routes.
    pub fn routes(&self) -> impl Iterator<Item = &str> {
        self.shared.routes.keys().map(String::as_str)
    }

    /// Secrets that the routes name and that are not there, as `route: NAME`.
    pub fn missing_secrets(&self) -> Vec<String> {
        let secrets = &self.shared.secrets;
        let of = |(route, list): (&String, &Vec<Destination>)| {
            let names =
                list.iter().flat_map(|destination| destination.kind.references()).filter_map(Reference::secret_name);
            names.filter(|name| secrets.get(name).is_none()).map(|name| format!("{route}: {name}")).collect::<Vec<_>>()
        };
        self.shared.routes.iter().flat_map(of).collect()
    }

    /// Sends to every destination of the permit's route at once. Fails only when none of those that should take the
    /// message did; the report says how each fared.
    pub async fn send(&self, permit: &NotifyPermit, message: Message) -> Result<Report, NotifyError> {
        let route = permit.route();
        let Some(destinations) = self.shared.routes.get(route) else {
            let hint = crate::base::suggest::did_you_mean(route, self.routes());
            return Err(NotifyError::NoRoute { route: route.to_owned(), hint });
        };
        message.check()?;
        let now = self.shared.clock.now();
        let deliveries = join_all(destinations.iter().map(|destination| async {
            if message.severity < destination.min_severity {
                return Delivery::skipped(destination);
            }
            self.shared.deliver(destination, &message, now).await
        }));
        let report = Report { route: route.to_owned(), dry_run: message.dry_run, deliveries: deliveries.await };
        let count = |state| report.deliveries.iter().filter(|delivery| delivery.state == state).count();
        if count(DeliveryState::Failed) > 0 && count(DeliveryState::Sent) == 0 {
            return Err(NotifyError::Failed { report });
        }
        Ok(report)
    }
}
