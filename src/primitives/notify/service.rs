//! The service: routes by name, and a message to all of a route's destinations.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;

use super::deliver::{Parcel, deliver, label};
use super::destination::Destination;
use super::error::NotifyError;
use super::message::Message;
use crate::base::{Clock, Fault, limits};
use crate::primitives::http::Http;
use crate::primitives::permit::NotifyPermit;
use crate::primitives::secrets::Secrets;

/// As the configuration has it, in `notify`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub routes: BTreeMap<String, Vec<Destination>>,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notify(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    routes: BTreeMap<String, Vec<Destination>>,
    http: Http,
    secrets: Arc<dyn Secrets>,
    clock: Clock,
}

/// What became of a message at one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The provider, with its host or the name of its secret: `discord (secret:DISCORD_ALERTS)`.
    pub destination: String,
    pub outcome: Outcome,
    /// Requests that were sent.
    pub attempts: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The receiver has taken it.
    Delivered,
    /// The destination takes only what is more severe.
    BelowSeverity,
    /// A dry run: it would be sent.
    Planned,
    Failed(Fault),
}

impl Outcome {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::BelowSeverity => "below_severity",
            Self::Planned => "planned",
            Self::Failed(_) => "failed",
        }
    }
}

impl Notify {
    pub fn new(options: Options, http: Http, secrets: Arc<dyn Secrets>, clock: Clock) -> Result<Self, NotifyError> {
        let routes = options.routes;
        if routes.len() > limits::NOTIFY_ROUTES_MAX {
            return Err(NotifyError::TooManyRoutes(routes.len()));
        }
        for (route, destinations) in &routes {
            let count = destinations.len();
            if count > limits::NOTIFY_DESTINATIONS_PER_ROUTE_MAX {
                return Err(NotifyError::TooManyDestinations { route: route.clone(), count });
            }
        }
        Ok(Self(Arc::new(Shared { routes, http, secrets, clock })))
    }

    /// Names of all routes, with their destinations as people are shown them.
    pub fn routes(&self) -> impl Iterator<Item = (&str, Vec<String>)> {
        let labels = |destinations: &[Destination]| destinations.iter().map(|one| label(&one.kind)).collect();
        self.0.routes.iter().map(move |(name, destinations)| (name.as_str(), labels(destinations)))
    }

    /// Sends to all destinations of the permit's route at once; each is tried by itself.
    pub async fn send(&self, permit: &NotifyPermit, message: &Message) -> Result<Vec<Delivery>, NotifyError> {
        let (route, destinations) = self.checked(permit, message)?;
        let message = &message.masked(&self.0.secrets.masker());
        let id = ulid::Ulid::generate().to_string().to_ascii_lowercase();
        let parcel = Parcel { message, route, id: &id };
        let one = async |destination: &Destination| {
            if message.severity < destination.min_severity {
                return delivery(destination, Outcome::BelowSeverity, 0);
            }
            let (attempts, sent) = deliver(&self.0.http, &*self.0.secrets, &self.0.clock, destination, &parcel).await;
            match sent {
                Ok(()) => delivery(destination, Outcome::Delivered, attempts),
                Err(fault) => {
                    tracing::warn!(route, attempts, problem = %fault, "a notification was not delivered");
                    delivery(destination, Outcome::Failed(fault), attempts)
                }
            }
        };
        Ok(join_all(destinations.iter().map(one)).await)
    }

    /// What [`Notify::send`] would do.
    pub fn plan(&self, permit: &NotifyPermit, message: &Message) -> Result<Vec<Delivery>, NotifyError> {
        let (_, destinations) = self.checked(permit, message)?;
        let planned = |destination: &Destination| {
            let below = message.severity < destination.min_severity;
            delivery(destination, if below { Outcome::BelowSeverity } else { Outcome::Planned }, 0)
        };
        Ok(destinations.iter().map(planned).collect())
    }

    fn checked<'a>(
        &'a self,
        permit: &'a NotifyPermit,
        message: &Message,
    ) -> Result<(&'a str, &'a [Destination]), NotifyError> {
        message.check()?;
        let route = permit.route();
        let unknown = || {
            let known = self.0.routes.keys().cloned().collect();
            NotifyError::UnknownRoute { route: route.to_owned(), known }
        };
        Ok((route, self.0.routes.get(route).ok_or_else(unknown)?))
    }
}

fn delivery(destination: &Destination, outcome: Outcome, attempts: u32) -> Delivery {
    Delivery { destination: label(&destination.kind), outcome, attempts }
}
