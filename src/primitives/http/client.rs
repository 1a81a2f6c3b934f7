//! The service: permit, policy, time and size around every request.

use std::fmt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use reqwest::Client;
use tokio::sync::Semaphore;
use url::Url;

use super::error::{Cause, HttpError, Phase, sort};
use super::guard::Guard;
use super::redirect;
use super::request::{Plan, Prepared, Request, shown};
use super::response::Response;
use super::retry::{is_passing, retry_after};
use super::room::{Held, Room};
use super::tls;
use crate::base::clock::since;
use crate::base::{Clock, limits};
use crate::primitives::net::resolve::{Lookup, SystemLookup};
use crate::primitives::net::{Blocked, HostPattern, Policy, Target};
use crate::primitives::permit::HttpPermit;

/// As the configuration has it, in `outgoing`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Host patterns that are out of reach whatever a script was granted.
    pub deny: Vec<String>,
    /// PEM file of further root certificates.
    pub ca_file: Option<PathBuf>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Http(Arc<Shared>);

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("deny", &self.0.deny).finish_non_exhaustive()
    }
}

struct Shared {
    clock: Clock,
    deny: Arc<[HostPattern]>,
    tls: rustls::ClientConfig,
    lookup: Arc<dyn Lookup>,
    /// One for each policy, the most recently used last: a connection that one policy allowed must not serve another.
    clients: Mutex<Vec<(String, Client)>>,
    slots: Semaphore,
    room: Room,
}

/// In whose name a request goes out.
enum Reach<'a> {
    Granted {
        permit: &'a HttpPermit,
        policy: Policy,
    },
    /// To where the operator's configuration says.
    Operator,
}

impl Http {
    pub fn new(options: &Options, clock: Clock) -> Result<Self, HttpError> {
        Self::with_lookup(options, clock, Arc::new(SystemLookup))
    }

    /// With a resolver of one's own.
    pub fn with_lookup(options: &Options, clock: Clock, lookup: Arc<dyn Lookup>) -> Result<Self, HttpError> {
        let parse = |text: &String| text.parse().map_err(|bad| HttpError::BadDenyPattern(format!("{bad}")));
        let deny: Vec<HostPattern> = options.deny.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Shared {
            clock,
            deny: deny.into(),
            tls: tls::config(options.ca_file.as_deref())?,
            lookup,
            clients: Mutex::default(),
            slots: Semaphore::new(limits::HTTP_REQUESTS_AT_ONCE_MAX),
            room: Room::new(limits::HTTP_BODIES_BYTES_MAX),
        })))
    }

    /// What the operator keeps out of reach.
    pub(in crate::primitives) fn deny(&self) -> Arc<[HostPattern]> {
        self.0.deny.clone()
    }

    pub async fn request(&self, permit: &HttpPermit, request: &Request) -> Result<Response, HttpError> {
        self.perform(&self.granted(permit), request).await
    }

    /// Checks everything that can be checked without the network, and sends nothing.
    pub async fn plan(&self, permit: &HttpPermit, request: &Request) -> Result<Plan, HttpError> {
        let prepared = request.prepare().await?;
        self.granted(permit).check(&prepared, 0)?;
        Ok(Plan {
            method: prepared.method.to_string(),
            url: shown(&prepared.url),
            body_bytes: prepared.body.map_or(0, |body| body.len()),
        })
    }

    /// To a destination that the operator configured: no grant and no address policy stands before it.
    pub(in crate::primitives) async fn request_for_operator(&self, request: &Request) -> Result<Response, HttpError> {
        self.perform(&Reach::Operator, request).await
    }

    fn granted<'a>(&self, permit: &'a HttpPermit) -> Reach<'a> {
        Reach::Granted { permit, policy: permit.policy().denying(self.0.deny.clone()) }
    }

    async fn perform(&self, reach: &Reach<'_>, request: &Request) -> Result<Response, HttpError> {
        let prepared = request.prepare().await?;
        let clock = &self.0.clock;
        let started = clock.now();
        let mut attempt = 1;
        loop {
            let outcome = self.attempt(reach, request, prepared.clone()).await;
            let wait = match &outcome {
                Ok(response) if is_passing(response.status) => {
                    request.retry.wait(attempt, retry_after(&response.headers, clock.now()))
                }
                Err(error) if error.is_passing() => request.retry.wait(attempt, None),
                _ => None,
            };
            let Some(wait) = wait else {
                let took = since(clock.now(), started);
                return outcome.map(|response| Response { took, attempts: attempt, ..response });
            };
            clock.sleep(wait).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, reach: &Reach<'_>, request: &Request, prepared: Prepared) -> Result<Response, HttpError> {
        let target = reach.shown(&prepared.url);
        let mut timer = pin!(self.0.clock.sleep(request.timeout));
        let late = |phase| HttpError::Timeout { target: target.clone(), phase, after: request.timeout };
        let _slot = tokio::select! {
            slot = self.0.slots.acquire() => slot.map_err(|_| HttpError::Setup("it is shut down".into()))?,
            () = &mut timer => return Err(late(Phase::Queue)),
        };
        let (response, url) = tokio::select! {
            answered = self.follow(reach, prepared, request.redirects_max) => answered?,
            () = &mut timer => return Err(late(Phase::Response)),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let (body, held) = tokio::select! {
            body = read(response, reach.shown(&url), request.body_bytes_max, &self.0.room) => body?,
            () = &mut timer => return Err(late(Phase::Body)),
        };
        let url = without_user(url).into();
        Ok(Response { status, headers, body, url, took: Duration::ZERO, attempts: 1, _held: held })
    }

    /// Sends `request`, then what its redirects ask for, each after its own check.
    async fn follow(
        &self,
        reach: &Reach<'_>,
        mut request: Prepared,
        redirects_max: usize,
    ) -> Result<(reqwest::Response, Url), HttpError> {
        let first = request.url.clone();
        for hop in 0.. {
            let port = reach.check(&request, hop)?;
            let client = self.client(reach, port)?;
            let response = async { client.execute(request.build(&client)?).await }.await;
            let response = response.map_err(|error| {
                match sort(&error, reach.shown(&request.url), limits::HTTP_CONNECT_TIMEOUT) {
                    Cause::Blocked(reason) => reach.refused(&request.url, hop, reason),
                    Cause::Failed(error) => error,
                }
            })?;
            let next = if redirects_max == 0 { None } else { redirect::next(&request, &response)? };
            match next {
                None => return Ok((response, request.url)),
                Some(next) if hop == redirects_max => {
                    let (target, last) = (reach.shown(&first), reach.shown(&next.url));
                    return Err(HttpError::Redirects { target, max: redirects_max, last });
                }
                Some(next) => request = next,
            }
        }
        Err(HttpError::BadRedirect { from: reach.shown(&first) })
    }

    /// The client whose connections were made under this policy.
    fn client(&self, reach: &Reach<'_>, port: u16) -> Result<Client, HttpError> {
        let (key, policy) = match reach {
            Reach::Granted { policy, .. } => (policy.fingerprint(port), Some(policy.clone())),
            Reach::Operator => ("operator".to_owned(), None),
        };
        let mut clients = self.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let found = clients.iter().position(|(own, _)| *own == key).map(|at| clients.remove(at));
        let entry = match found {
            Some(entry) => entry,
            None => (key, self.build(Guard { policy, port, lookup: self.0.lookup.clone() })?),
        };
        if clients.len() >= limits::HTTP_POLICIES_MAX {
            clients.remove(0);
        }
        let client = entry.1.clone();
        clients.push(entry);
        Ok(client)
    }

    fn build(&self, guard: Guard) -> Result<Client, HttpError> {
        Client::builder()
            .tls_backend_preconfigured(self.0.tls.clone())
            .dns_resolver(guard)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(limits::HTTP_CONNECT_TIMEOUT)
            .pool_idle_timeout(limits::HTTP_IDLE_CONNECTION_MAX)
            .pool_max_idle_per_host(limits::HTTP_IDLE_CONNECTIONS_PER_HOST_MAX)
            .http1_max_headers(limits::HTTP_HEADERS_MAX)
            .http2_max_header_list_size(limits::HTTP_HEADER_LIST_BYTES_MAX)
            .build()
            .map_err(|problem| HttpError::Setup(problem.without_url().to_string()))
    }
}

impl Reach<'_> {
    /// Whether the request may be sent; the port it goes to. `hop` counts the redirects before it.
    fn check(&self, request: &Prepared, hop: usize) -> Result<u16, HttpError> {
        let target = Target::of(&request.url).map_err(|reason| self.refused(&request.url, hop, reason))?;
        if let Self::Granted { policy, .. } = self {
            policy.check(&target).map_err(|reason| self.refused(&request.url, hop, reason))?;
            if let Some(pretended) = request.pretended()? {
                let checked = Target::of(&pretended).and_then(|target| policy.check(&target));
                checked.map_err(|reason| self.refused(&pretended, hop, reason))?;
            }
        }
        Ok(target.port)
    }

    fn refused(&self, url: &Url, hop: usize, reason: Blocked) -> HttpError {
        let what = match hop {
            0 => format!("the request to {}", self.shown(url)),
            _ => format!("following the redirect to {}", self.shown(url)),
        };
        let denied = |add: &str| match self {
            Self::Granted { permit, .. } => Some(permit.denied(what.clone(), add)),
            Self::Operator => None,
        };
        match &reason {
            Blocked::BadTarget(problem) => HttpError::BadUrl(format!("{what}: {problem}")),
            Blocked::NotNamed { add, .. } => match denied(add) {
                Some(denied) => HttpError::NotGranted(denied),
                None => HttpError::DeniedAddress { what, reason, denied: None },
            },
            Blocked::NotPublic { add, .. } => {
                let denied = denied(add);
                HttpError::DeniedAddress { what, reason, denied }
            }
            Blocked::Denied { .. } => HttpError::DeniedAddress { what, reason, denied: None },
        }
    }

    /// A URL in messages. Of the operator's only the origin: a webhook's path is its password.
    fn shown(&self, url: &Url) -> String {
        match self {
            Self::Granted { .. } => shown(url),
            Self::Operator => url.origin().ascii_serialization(),
        }
    }
}

async fn read(
    mut response: reqwest::Response,
    target: String,
    max: usize,
    room: &Room,
) -> Result<(bytes::Bytes, Option<Held>), HttpError> {
    let too_large = || HttpError::BodyTooLarge { target: target.clone(), max };
    let announced = response.content_length();
    if announced.is_some_and(|length| length > max as u64) {
        return Err(too_large());
    }
    let expected = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(max);
    let mut body = BytesMut::new();
    let mut held = None;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > max => return Err(too_large()),
            Ok(Some(chunk)) => {
                if held.is_none() && body.len() + chunk.len() > limits::HTTP_BODY_SMALL_BYTES {
                    // For all of it at once: two that wait for each other's second half would wait for ever.
                    held = room.take(expected.max(body.len() + chunk.len())).await;
                }
                body.extend_from_slice(&chunk);
            }
            Ok(None) => return Ok((body.freeze(), held)),
            Err(error) => {
                let failed = match sort(&error, target.clone(), limits::HTTP_CONNECT_TIMEOUT) {
                    Cause::Failed(failed) => failed,
                    Cause::Blocked(reason) => HttpError::Protocol { target, problem: reason.to_string() },
                };
                return Err(failed);
            }
        }
    }
}

fn without_user(mut url: Url) -> Url {
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}
