//! Liveness and readiness: each dependency, its state and since when.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::future::{BoxFuture, join_all};
use serde::Serialize;
use tokio::sync::Mutex as AsyncMutex;
use utoipa::ToSchema;

use super::parts::{Parts, Web};
use crate::base::clock::since;
use crate::base::{Clock, Timestamp, limits};
use crate::model::Identity;

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// One dependency and how to ask whether it works.
#[derive(Clone)]
pub struct Probe {
    name: &'static str,
    check: Check,
}

impl Probe {
    /// `check` answers with what is wrong and what to do, in a sentence. It is given `HEALTH_PROBE_TIMEOUT`.
    pub fn new<F>(name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { name, check: Arc::new(move || Box::pin(check())) }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe({})", self.name)
    }
}

/// A dependency's state.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Dependency {
    #[schema(example = "docker")]
    pub name: String,
    pub ok: bool,
    /// Since when it has been in this state, as far as this daemon has seen.
    pub since: Timestamp,
    /// What is wrong; only shown to callers who may read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready` or `not_ready`.
    pub status: String,
    pub dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Liveness {
    /// `ok`.
    pub status: String,
}

/// The latest reading of each probe.
#[derive(Debug)]
pub struct Board {
    clock: Clock,
    probes: Vec<Probe>,
    readings: Mutex<BTreeMap<&'static str, Reading>>,
    /// The last answer to whoever asked, and when it was found. Held while it is: who asks meanwhile waits for it.
    told: AsyncMutex<Option<(Timestamp, Vec<Dependency>)>>,
}

#[derive(Debug, Clone)]
struct Reading {
    problem: Option<String>,
    since: Timestamp,
}

impl Board {
    pub fn new(clock: Clock, probes: Vec<Probe>) -> Self {
        Self { clock, probes, readings: Mutex::default(), told: AsyncMutex::default() }
    }

    /// The state of every dependency, asked for a moment ago at most.
    pub async fn recent(&self) -> Vec<Dependency> {
        let mut told = self.told.lock().await;
        if let Some((at, dependencies)) = &*told
            && since(self.clock.now(), *at) < limits::HEALTH_FRESH
        {
            return dependencies.clone();
        }
        let dependencies = self.refresh().await;
        *told = Some((self.clock.now(), dependencies.clone()));
        dependencies
    }

    /// Asks every dependency now.
    pub async fn refresh(&self) -> Vec<Dependency> {
        let results = join_all(self.probes.iter().map(|probe| async move {
            let answer = tokio::time::timeout(limits::HEALTH_PROBE_TIMEOUT, (probe.check)()).await;
            let late = || Err(format!("no answer within {} s", limits::HEALTH_PROBE_TIMEOUT.as_secs()));
            (probe.name, answer.unwrap_or_else(|_| late()).err())
        }))
        .await;
        let now = self.clock.now();
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, problem) in results {
            let reading = readings.entry(name).or_insert_with(|| Reading { problem: problem.clone(), since: now });
            if reading.problem.is_some() != problem.is_some() {
                reading.since = now;
                match &problem {
                    Some(problem) => tracing::warn!(dependency = name, %problem, "not ready"),
                    None => tracing::info!(dependency = name, "ready again"),
                }
            }
            reading.problem = problem;
        }
        let listed = self.probes.iter().filter_map(|probe| Some((probe.name, readings.get(probe.name)?)));
        listed
            .map(|(name, reading)| Dependency {
                name: name.to_owned(),
                ok: reading.problem.is_none(),
                since: reading.since,
                problem: reading.problem.clone(),
            })
            .collect()
    }

    /// Keeps the readings fresh until cancelled by being dropped, so that "since" is true without anybody asking.
    pub async fn watch(&self) {
        loop {
            self.refresh().await;
            self.clock.sleep(limits::HEALTH_PROBE_INTERVAL).await;
        }
    }
}

/// The dependencies that the web part holds itself.
pub fn own_probes(parts: &Parts) -> Vec<Probe> {
    let (store, docker) = (parts.store.clone(), parts.docker.clone());
    vec![
        Probe::new("database", move || {
            let store = store.clone();
            async move { store.ping().await.map_err(|failure| failure.to_string()) }
        }),
        Probe::new("docker", move || {
            let docker = docker.clone();
            async move { super::read::containers::ping(&docker).await }
        }),
    ]
}

/// The process answers. Says nothing more, so that anybody may ask.
#[utoipa::path(get, path = "/health/live", tag = "health", operation_id = "health_live", security(()),
    responses((status = 200, description = "The process is alive", body = Liveness)))]
pub async fn live() -> Json<Liveness> {
    Json(Liveness { status: "ok".to_owned() })
}

/// The same as `/health/live`, under the name that simple monitors ask for.
#[utoipa::path(get, path = "/health", tag = "health", operation_id = "health", security(()),
    responses((status = 200, description = "The process is alive", body = Liveness)))]
pub async fn health() -> Json<Liveness> {
    live().await
}

/// Whether every dependency can be used now. What is wrong is told to callers who may read.
#[utoipa::path(get, path = "/health/ready", tag = "health", operation_id = "health_ready", security((), ("bearer" = [])),
    responses((status = 200, description = "All dependencies work", body = Readiness),
              (status = 503, description = "At least one does not", body = Readiness)))]
pub async fn ready(State(web): State<Web>, identity: Option<axum::Extension<Identity>>) -> Response {
    let mut dependencies = web.health.recent().await;
    let all = dependencies.iter().all(|dependency| dependency.ok);
    if identity.is_none() {
        dependencies.iter_mut().for_each(|dependency| dependency.problem = None);
    }
    let status = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = if all { "ready" } else { "not_ready" };
    (status, Json(Readiness { status: word.to_owned(), dependencies })).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_state_keeps_the_time_of_its_beginning() {
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let up = Arc::new(AtomicBool::new(false));
        let probe = Probe::new("docker", {
            let up = up.clone();
            move || {
                let up = up.load(Ordering::Relaxed);
                async move { if up { Ok(()) } else { Err("no socket".to_owned()) } }
            }
        });
        let board = Board::new(clock, vec![probe]);
        board.refresh().await;
        hand.advance(Duration::from_secs(10));
        let down = board.refresh().await;
        assert_eq!(
            (down[0].ok, down[0].since, down[0].problem.as_deref()),
            (false, Timestamp::UNIX_EPOCH, Some("no socket"))
        );
        up.store(true, Ordering::Relaxed);
        let back = board.refresh().await;
        assert_eq!((back[0].ok, back[0].since.as_second(), back[0].problem.clone()), (true, 10, None));
    }

    #[tokio::test]
    async fn many_who_ask_are_told_the_same_reading() {
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let asked = Arc::new(AtomicUsize::new(0));
        let probe = Probe::new("database", {
            let asked = asked.clone();
            move || {
                asked.fetch_add(1, Ordering::Relaxed);
                async {
                    tokio::task::yield_now().await;
                    Ok(())
                }
            }
        });
        let board = Board::new(clock, vec![probe]);
        join_all((0..50).map(|_| board.recent())).await;
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        hand.advance(limits::HEALTH_FRESH);
        assert!(board.recent().await[0].ok);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
