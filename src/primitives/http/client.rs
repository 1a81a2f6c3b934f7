//! The service: permit, policy, time and size around every request.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;
use reqwest::header::HeaderMap;
use tokio::sync::Semaphore;
use url::Url;

use super::error::{Cause, HttpError, Phase, sort};
use super::guard::Guard;
use super::hosts::{Gates, HostOptions, Rules, Turn};
use super::reach::{OnBehalf, Reach};
use super::receive::{Begun, Save};
use super::redirect;
use super::request::{Plan, Prepared, Request, shown};
use super::response::Response;
use super::retry::{is_passing, retry_after};
use super::room::Room;
use super::stream::{Cut, Stream};
use super::tls;
use crate::base::clock::{later, since};
use crate::base::{Clock, limits};
use crate::primitives::net::resolve::{Lookup, SystemLookup};
use crate::primitives::net::{HostPattern, Target};
use crate::primitives::permit::HttpPermit;

/// As the configuration has it, in `outgoing`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Host patterns that are out of reach whatever a script was granted.
    pub deny: Vec<String>,
    /// PEM file of further root certificates.
    pub ca_file: Option<PathBuf>,
    /// By host pattern.
    pub hosts: BTreeMap<String, HostOptions>,
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
    rules: Rules,
    for_scripts: Places,
    /// An alert must get out however many streams scripts hold open, and however busy they keep a host.
    own: Places,
    room: Room,
}

/// How many requests may be under way, in all and to each host.
struct Places {
    slots: Arc<Semaphore>,
    gates: Gates,
}

impl Places {
    fn new(most: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(most)), gates: Gates::default() }
    }
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
            tls: tls::config(options.ca_file.as_deref(), None)?,
            rules: Rules::new(&options.hosts, |certificate, key| {
                tls::config(options.ca_file.as_deref(), Some((certificate, key)))
            })?,
            lookup,
            clients: Mutex::default(),
            for_scripts: Places::new(limits::HTTP_REQUESTS_AT_ONCE_MAX),
            own: Places::new(limits::HTTP_OWN_REQUESTS_AT_ONCE_MAX),
            room: Room::new(limits::HTTP_BODIES_BYTES_MAX),
        })))
    }

    /// What the operator keeps out of reach.
    pub(in crate::primitives) fn deny(&self) -> Arc<[HostPattern]> {
        self.0.deny.clone()
    }

    pub async fn request(&self, permit: &HttpPermit, request: &Request) -> Result<Response, HttpError> {
        self.perform(&self.granted(permit), request, None).await
    }

    /// Like [`Http::request`]; the body of an answer of success goes into a file.
    pub async fn download(
        &self,
        permit: &HttpPermit,
        request: &Request,
        save: &Save<'_>,
    ) -> Result<Response, HttpError> {
        self.perform(&self.granted(permit), request, Some(save)).await
    }

    /// Returns when the head of the response is here.
    pub async fn stream(&self, permit: &HttpPermit, request: &Request, cut: Cut) -> Result<Stream, HttpError> {
        let reach = self.granted(permit);
        let prepared = request.prepare().await?;
        let mut attempt = 1;
        loop {
            let begun = self.begin(&reach, request, prepared.clone()).await;
            let head = begun.as_ref().map(|begun| (begun.response.status().as_u16(), begun.response.headers()));
            let Some(wait) = self.wait(request, attempt, head) else {
                return begun.map(|begun| Stream::new(begun, cut));
            };
            drop(begun);
            self.0.clock.sleep(wait).await;
            attempt += 1;
        }
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
    pub(in crate::primitives) async fn request_for_operator(
        &self,
        request: &Request,
        on_behalf: OnBehalf,
    ) -> Result<Response, HttpError> {
        self.perform(&Reach::Operator(on_behalf), request, None).await
    }

    fn granted<'a>(&self, permit: &'a HttpPermit) -> Reach<'a> {
        Reach::Granted { permit, policy: permit.policy().denying(self.0.deny.clone()) }
    }

    async fn perform(
        &self,
        reach: &Reach<'_>,
        request: &Request,
        save: Option<&Save<'_>>,
    ) -> Result<Response, HttpError> {
        let prepared = request.prepare().await?;
        let clock = &self.0.clock;
        let started = clock.now();
        let mut attempt = 1;
        loop {
            let outcome = self.attempt(reach, request, prepared.clone(), save).await;
            let head = outcome.as_ref().map(|response| (response.status, &response.headers));
            let Some(wait) = self.wait(request, attempt, head) else {
                let took = since(clock.now(), started);
                return outcome.map(|response| Response { took, attempts: attempt, ..response });
            };
            drop(outcome);
            clock.sleep(wait).await;
            attempt += 1;
        }
    }

    /// How long to wait before the request is sent again; None: not again.
    fn wait(
        &self,
        request: &Request,
        attempt: u32,
        outcome: Result<(u16, &HeaderMap), &HttpError>,
    ) -> Option<Duration> {
        match outcome {
            Ok((status, headers)) if is_passing(status) => {
                request.retry.wait(attempt, retry_after(headers, self.0.clock.now()))
            }
            Err(error) if error.is_passing() => request.retry.wait(attempt, None),
            _ => None,
        }
    }

    async fn attempt(
        &self,
        reach: &Reach<'_>,
        request: &Request,
        prepared: Prepared,
        save: Option<&Save<'_>>,
    ) -> Result<Response, HttpError> {
        let begun = self.begin(reach, request, prepared).await?;
        let status = begun.response.status();
        let (version, headers) = (begun.response.version(), begun.response.headers().clone());
        let url = begun.url.clone();
        let (mut body, mut held, mut saved) = (bytes::Bytes::new(), None, None);
        match save.filter(|_| status.is_success()) {
            Some(save) => saved = Some(begun.file(save).await?),
            None => (body, held) = begun.whole(request.body_bytes_max, &self.0.room).await?,
        }
        let took = Duration::ZERO;
        let status = status.as_u16();
        Ok(Response { status, version, headers, body, saved, url, took, attempts: 1, _held: held })
    }

    /// Sends the request and waits for the head of its response.
    async fn begin(&self, reach: &Reach<'_>, request: &Request, prepared: Prepared) -> Result<Begun, HttpError> {
        let clock = self.0.clock.clone();
        let target = reach.shown(&prepared.url);
        let deadline = later(clock.now(), request.timeout);
        let late = |phase, after| HttpError::Timeout { target: target.clone(), phase, after };
        let first = reach.check(&prepared, 0)?;
        // The host's turn first: whoever waits for it takes no place that others could use.
        let slots = self.places(reach).slots.clone();
        let queued = async { (self.turn(reach, &first).await, slots.acquire_owned().await) };
        let (turn, slot) = tokio::select! {
            (turn, slot) = queued => (turn?, slot.map_err(|_| stopped())?),
            () = clock.sleep_until(deadline) => return Err(late(Phase::Queue, request.timeout)),
        };
        let first_byte = request.first_byte.filter(|first_byte| *first_byte < request.timeout);
        let answer_by = first_byte.map_or(deadline, |first_byte| later(clock.now(), first_byte));
        let (response, url, turn) = tokio::select! {
            answered = self.follow(reach, prepared, request, turn) => answered?,
            () = clock.sleep_until(answer_by.min(deadline)) => {
                return Err(late(Phase::Response, first_byte.unwrap_or(request.timeout)));
            }
        };
        let (target, url) = (reach.shown(&url), without_user(url).into());
        let (timeout, idle) = (request.timeout, request.idle);
        Ok(Begun { response, target, url, deadline, timeout, idle, clock, _slot: slot, _turn: turn })
    }

    async fn turn(&self, reach: &Reach<'_>, target: &Target) -> Result<Turn, HttpError> {
        let options = self.0.rules.of(target).map(|(_, rule)| &rule.options);
        self.places(reach).gates.pass(target, options, &self.0.clock).await.ok_or_else(stopped)
    }

    fn places(&self, reach: &Reach<'_>) -> &Places {
        if reach.is_own() { &self.0.own } else { &self.0.for_scripts }
    }

    /// Sends `request`, then what its redirects ask for, each after its own check.
    async fn follow(
        &self,
        reach: &Reach<'_>,
        mut prepared: Prepared,
        request: &Request,
        mut turn: Turn,
    ) -> Result<(reqwest::Response, Url, Turn), HttpError> {
        let first = prepared.url.clone();
        let connect = request.connect.unwrap_or(limits::HTTP_CONNECT_TIMEOUT);
        for hop in 0.. {
            let target = reach.check(&prepared, hop)?;
            if hop > 0 {
                // Given back first: two that hold a place and wait for another's would wait for ever.
                drop(turn);
                turn = self.turn(reach, &target).await?;
            }
            let client = self.client(reach, &target, connect)?;
            let response = async { client.execute(prepared.build(&client)?).await }.await;
            let response = response.map_err(|error| match sort(&error, reach.shown(&prepared.url), connect) {
                Cause::Blocked(reason) => reach.refused(&prepared.url, hop, reason),
                Cause::Failed(error) => error,
            })?;
            let next = if request.redirects_max == 0 { None } else { redirect::next(&prepared, &response)? };
            match next {
                None => return Ok((response, prepared.url, turn)),
                Some(next) if hop == request.redirects_max => {
                    let (target, last) = (reach.shown(&first), reach.shown(&next.url));
                    return Err(HttpError::Redirects { target, max: request.redirects_max, last });
                }
                Some(next) => prepared = next,
            }
        }
        Err(HttpError::BadRedirect { from: reach.shown(&first) })
    }

    /// The client whose connections were made under this policy, and in our name for this host.
    fn client(&self, reach: &Reach<'_>, target: &Target, connect: Duration) -> Result<Client, HttpError> {
        let rule = self.0.rules.of(target).filter(|(_, rule)| rule.tls.is_some());
        let (key, policy) = match reach {
            Reach::Granted { policy, .. } => (policy.fingerprint(target.port), Some(policy.clone())),
            Reach::Operator(_) => ("operator".to_owned(), None),
        };
        let own = rule.map_or_else(String::new, |(number, _)| number.to_string());
        let key = format!("{key} {own} {}", connect.as_millis());
        let tls = rule.and_then(|(_, rule)| rule.tls.as_ref()).unwrap_or(&self.0.tls);
        let port = target.port;
        let mut clients = self.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let found = clients.iter().position(|(own, _)| *own == key).map(|at| clients.remove(at));
        let entry = match found {
            Some(entry) => entry,
            None => (key, build(Guard { policy, port, lookup: self.0.lookup.clone() }, tls.clone(), connect)?),
        };
        if clients.len() >= limits::HTTP_POLICIES_MAX {
            clients.remove(0);
        }
        let client = entry.1.clone();
        clients.push(entry);
        Ok(client)
    }
}

fn build(guard: Guard, tls: rustls::ClientConfig, connect: Duration) -> Result<Client, HttpError> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(guard)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(connect)
        .pool_idle_timeout(limits::HTTP_IDLE_CONNECTION_MAX)
        .pool_max_idle_per_host(limits::HTTP_IDLE_CONNECTIONS_PER_HOST_MAX)
        .http1_max_headers(limits::HTTP_HEADERS_MAX)
        .http2_max_header_list_size(limits::HTTP_HEADER_LIST_BYTES_MAX)
        .build()
        .map_err(|problem| HttpError::Setup(problem.without_url().to_string()))
}

fn stopped() -> HttpError {
    HttpError::Setup("it is shut down".into())
}

fn without_user(mut url: Url) -> Url {
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}
