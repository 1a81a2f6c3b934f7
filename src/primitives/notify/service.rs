//! The service: routes by name, and a message to all of a route's destinations.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;
use lettre::transport::smtp::client::Certificate;

use super::deliver::{Failure, Letterhead, Means, RETRY, deliver, label, once};
use super::destination::{Destination, Rate};
use super::error::NotifyError;
use super::message::{Message, Severity};
use super::outbox::{Outbox, Parcel};
use super::route::Route;
use crate::base::{Clock, Fault, Timestamp, limits};
use crate::primitives::http::{Http, Retry};
use crate::primitives::permit::NotifyPermit;
use crate::primitives::secrets::Secrets;

/// As the configuration has it, in `notify`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub routes: BTreeMap<String, Route>,
    /// `outgoing.ca_file`.
    pub ca_file: Option<PathBuf>,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notify {
    shared: Arc<Shared>,
    /// Where messages wait; without one they are sent while the caller waits.
    outbox: Option<Arc<dyn Outbox>>,
}

struct Shared {
    routes: BTreeMap<String, Route>,
    http: Http,
    secrets: Arc<dyn Secrets>,
    clock: Clock,
    roots: Vec<Certificate>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("routes", &self.routes).finish_non_exhaustive()
    }
}

/// What became of a message at one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The provider, with its host or the name of its secret: `discord (secret:DISCORD_ALERTS)`.
    pub destination: String,
    pub outcome: Outcome,
    /// Requests that were sent.
    pub attempts: u32,
    /// By which the queue knows it.
    pub id: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The receiver has taken it.
    Delivered,
    /// It is kept until the receiver takes it.
    Queued,
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
            Self::Queued => "queued",
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
        for (route, found) in &routes {
            let count = found.to.len();
            if count > limits::NOTIFY_DESTINATIONS_PER_ROUTE_MAX {
                return Err(NotifyError::TooManyDestinations { route: route.clone(), count });
            }
        }
        let pem = options.ca_file.and_then(|path| std::fs::read(path).ok());
        // What cannot be used has been refused by the client for HTTP, which reads the same file.
        let roots = pem.and_then(|pem| Certificate::from_pem(&pem).ok()).into_iter().collect();
        Ok(Self { shared: Arc::new(Shared { routes, http, secrets, clock, roots }), outbox: None })
    }

    /// The same routes, over which nothing is lost: messages are kept in `outbox` until their receivers have them.
    #[must_use]
    pub fn kept_in(mut self, outbox: Arc<dyn Outbox>) -> Self {
        self.outbox = Some(outbox);
        self
    }

    /// Names of all routes, with their destinations as people are shown them.
    pub fn routes(&self) -> impl Iterator<Item = (&str, Vec<String>)> {
        self.shared.routes.iter().map(|(name, route)| (name.as_str(), names(&route.to)))
    }

    /// To all destinations of the permit's route that take its severity. Where there is an outbox, it is kept there when
    /// this returns, and sent by and by.
    pub async fn send(&self, permit: &NotifyPermit, message: &Message) -> Result<Vec<Delivery>, NotifyError> {
        let Some(outbox) = &self.outbox else { return self.send_now(permit, message).await };
        let (name, route) = self.checked(permit, message)?;
        let message = &message.masked(&self.shared.secrets.masker());
        let mut parcels = Vec::new();
        let mut keep = |destination: &Destination, label: String| {
            if message.severity < destination.min_severity {
                return Delivery { destination: label, outcome: Outcome::BelowSeverity, attempts: 0, id: None };
            }
            let id = fresh_id();
            parcels.push(Parcel {
                id: id.clone(),
                route: name.to_owned(),
                destination: label.clone(),
                message: message.clone(),
                key: Route::key(message),
                hold: route.group,
            });
            Delivery { destination: label, outcome: Outcome::Queued, attempts: 0, id: Some(id) }
        };
        let kept = route.to.iter().zip(names(&route.to)).map(|(one, label)| keep(one, label)).collect();
        if !parcels.is_empty() {
            outbox.keep(parcels).await.map_err(|fault| NotifyError::NotKept(Box::new(fault)))?;
        }
        Ok(kept)
    }

    /// Sends to all destinations of the permit's route at once; each is tried by itself, while the caller waits.
    pub async fn send_now(&self, permit: &NotifyPermit, message: &Message) -> Result<Vec<Delivery>, NotifyError> {
        self.sent(permit, message, RETRY).await
    }

    /// As [`Notify::send_now`], with one attempt for each.
    pub async fn try_once(&self, permit: &NotifyPermit, message: &Message) -> Result<Vec<Delivery>, NotifyError> {
        self.sent(permit, message, Retry::NONE).await
    }

    async fn sent(&self, permit: &NotifyPermit, message: &Message, retry: Retry) -> Result<Vec<Delivery>, NotifyError> {
        let (name, route) = self.checked(permit, message)?;
        let told = route.told(name, &message.masked(&self.shared.secrets.masker()), 1);
        let id = fresh_id();
        let letter = Letterhead { message: &told, route: name, id: &id };
        let one = async |(destination, label): (&Destination, String)| {
            let delivery = |outcome, attempts| Delivery { destination: label, outcome, attempts, id: None };
            if message.severity < destination.min_severity {
                return delivery(Outcome::BelowSeverity, 0);
            }
            match deliver(&self.means(retry), destination, &letter).await {
                (attempts, Ok(())) => delivery(Outcome::Delivered, attempts),
                (attempts, Err(fault)) => {
                    tracing::warn!(route = name, attempts, problem = %fault, "a notification was not delivered");
                    delivery(Outcome::Failed(fault), attempts)
                }
            }
        };
        Ok(join_all(route.to.iter().zip(names(&route.to)).map(one)).await)
    }

    /// What [`Notify::send`] would do.
    pub fn plan(&self, permit: &NotifyPermit, message: &Message) -> Result<Vec<Delivery>, NotifyError> {
        let (_, route) = self.checked(permit, message)?;
        let planned = |(destination, label): (&Destination, String)| {
            let below = message.severity < destination.min_severity;
            let outcome = if below { Outcome::BelowSeverity } else { Outcome::Planned };
            Delivery { destination: label, outcome, attempts: 0, id: None }
        };
        Ok(route.to.iter().zip(names(&route.to)).map(planned).collect())
    }

    /// One attempt with a parcel of the outbox, which came with `count` of its kind. Its permit was checked when it was
    /// put there.
    pub async fn attempt(&self, parcel: &Parcel, count: u64) -> Result<(), Failure> {
        let Some((route, destination)) = self.place(&parcel.route, &parcel.destination) else {
            let message = format!("{}: there is no {} in it any more", parcel.route, parcel.destination);
            let fault = Fault::new("notify.destination_gone", message);
            let hint = "put it back into the configuration and retry the message, or let it go";
            return Err(Failure { fault: fault.hint(hint), asked: None, is_sent: false });
        };
        let told = route.told(&parcel.route, &parcel.message, count);
        let letter = Letterhead { message: &told, route: &parcel.route, id: &parcel.id };
        once(&self.means(Retry::NONE), destination, &letter).await
    }

    /// How many messages a destination takes; the usual rate for one that is not there any more.
    pub fn rate(&self, route: &str, destination: &str) -> Rate {
        self.place(route, destination).map_or_else(Rate::default, |(_, destination)| destination.rate)
    }

    /// Until when a message of this severity has to wait.
    pub fn quiet_until(&self, route: &str, severity: Severity, now: Timestamp) -> Option<Timestamp> {
        self.shared.routes.get(route)?.quiet_until(severity, now)
    }

    fn place(&self, route: &str, destination: &str) -> Option<(&Route, &Destination)> {
        let route = self.shared.routes.get(route)?;
        let at = names(&route.to).iter().position(|name| name == destination)?;
        Some((route, route.to.get(at)?))
    }

    fn means(&self, retry: Retry) -> Means<'_> {
        let Shared { http, secrets, clock, roots, .. } = &*self.shared;
        Means { http, secrets: &**secrets, clock, roots, retry }
    }

    fn checked<'a>(&'a self, permit: &'a NotifyPermit, message: &Message) -> Result<(&'a str, &'a Route), NotifyError> {
        message.check()?;
        let route = permit.route();
        let unknown = || {
            let known = self.shared.routes.keys().cloned().collect();
            NotifyError::UnknownRoute { route: route.to_owned(), known }
        };
        Ok((route, self.shared.routes.get(route).ok_or_else(unknown)?))
    }
}

fn fresh_id() -> String {
    ulid::Ulid::generate().to_string().to_ascii_lowercase()
}

/// Labels, numbered where several of a route would be the same.
fn names(destinations: &[Destination]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for destination in destinations {
        let label = label(&destination.kind);
        let same = destinations[..names.len()].iter().filter(|other| self::label(&other.kind) == label).count();
        names.push(if same == 0 { label } else { format!("{label} #{}", same + 1) });
    }
    names
}
