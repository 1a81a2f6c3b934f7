//! The service: permit, time and size around every query.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::decode::{self, Names, Parts};
use super::params;
use crate::base::quantity::show_duration;
use crate::base::{Fault, limits};
use crate::model::grants::Access;
use crate::primitives::permit::{Denied, SourcePermit};
use crate::primitives::redis::{Lease, Place, Pool, PoolOptions, Pools, Problem, RedisError, Reply, Sources};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Graph(Pools);

/// A query of one graph.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    pub graph: &'a str,
    pub cypher: &'a str,
    pub params: &'a Map<String, Value>,
    pub timeout: Duration,
    /// Carry out what only reads, and plan the rest.
    pub dry_run: bool,
}

/// What a query gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub columns: Vec<String>,
    /// Each an object by columns.
    pub rows: Vec<Value>,
    pub statistics: BTreeMap<String, f64>,
    /// Of a query that would have written, in a dry run: the server's own plan.
    pub plan: Option<Vec<String>>,
}

#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    #[error(transparent)]
    Source(#[from] RedisError),
    #[error("{place}: {problem}")]
    BadQuery { place: Place, problem: String },
    #[error("{place}: there is no graph {graph:?}")]
    UnknownGraph { place: Place, graph: String },
    #[error("{place}: the query of {graph:?} is not Cypher that the server understands: {text}")]
    Syntax { place: Place, graph: String, text: String },
    #[error("{place}: the query of {graph:?} took longer than {}", show_duration(*after))]
    Timeout { place: Place, graph: String, after: Duration },
    #[error("{place}: the query of {graph:?} failed: {text}")]
    Failed { place: Place, graph: String, text: String },
}

impl From<Denied> for GraphError {
    fn from(denied: Denied) -> Self {
        Self::Source(denied.into())
    }
}

impl From<GraphError> for Fault {
    fn from(error: GraphError) -> Self {
        let message = error.to_string();
        match error {
            GraphError::Source(error) => error.into(),
            GraphError::BadQuery { .. } => Self::new("graph.bad_query", message),
            GraphError::UnknownGraph { .. } => Self::new("graph.unknown_graph", message)
                .hint("aegis.graph.graphs lists them; the first query that writes makes one"),
            GraphError::Syntax { .. } => {
                Self::new("graph.syntax", message).hint("values belong into the parameters, as $name")
            }
            GraphError::Timeout { after, .. } => Self::new("graph.timeout", message)
                .hint("make it match less, add an index, or raise the option timeout")
                .details(serde_json::json!({ "timeout_ms": after.as_millis() as u64 })),
            GraphError::Failed { .. } => Self::new("graph.failed", message),
        }
    }
}

/// What the server says of a query that writes where it may not.
const READ_ONLY: &str = "is to be executed only on read-only queries";

impl Graph {
    /// Connects to nothing.
    pub fn new(sources: Sources, options: &PoolOptions) -> Self {
        Self(Pools::new("graph", 2, sources, options))
    }

    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.0.names()
    }

    /// Each source with what its server says to a ping.
    pub async fn ping(&self) -> Vec<(Place, Result<(), Problem>)> {
        self.0.ping().await
    }

    /// Through `GRAPH.RO_QUERY` unless the permit lets it write.
    pub async fn query(&self, permit: &SourcePermit, query: &Query<'_>) -> Result<Answer, GraphError> {
        let pool = self.0.of(permit)?;
        let text = text(pool.place(), query)?;
        let writes = permit.reaches(Access::Write) && !query.dry_run;
        let mut lease = lease(pool, query.timeout.saturating_add(limits::GRAPH_ANSWER_MARGIN)).await?;
        let mut command = redis::cmd(if writes { "GRAPH.QUERY" } else { "GRAPH.RO_QUERY" });
        let timeout_ms = u64::try_from(query.timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        command.arg(query.graph).arg(&text).arg("--compact").arg("timeout").arg(timeout_ms);
        let answer = match lease.ask(&command).await {
            Err(Problem::Refused { code, text: said, .. }) if format!("{code} {said}").contains(READ_ONLY) => {
                permit.check(Access::Write, &format!("this query of {:?} on {}", query.graph, pool.place()))?;
                let plan = explain(&mut lease, query.graph, &text).await;
                let plan = plan.map_err(|problem| refused(pool, query, problem))?;
                return Ok(Answer { columns: vec![], rows: vec![], statistics: BTreeMap::new(), plan: Some(plan) });
            }
            answer => answer.map_err(|problem| refused(pool, query, problem))?,
        };
        read(&mut lease, query.graph, &answer).await.map_err(|problem| refused(pool, query, problem))
    }

    /// How the server would carry a query out.
    pub async fn explain(&self, permit: &SourcePermit, query: &Query<'_>) -> Result<Vec<String>, GraphError> {
        let pool = self.0.of(permit)?;
        let text = text(pool.place(), query)?;
        let mut lease = lease(pool, query.timeout).await?;
        explain(&mut lease, query.graph, &text).await.map_err(|problem| refused(pool, query, problem))
    }

    /// The names of a source's graphs.
    pub async fn graphs(&self, permit: &SourcePermit, timeout: Duration) -> Result<Vec<String>, GraphError> {
        let pool = self.0.of(permit)?;
        let failed = |problem| RedisError::Failed { place: pool.place().clone(), problem };
        let answer = lease(pool, timeout).await?.ask(&redis::cmd("GRAPH.LIST")).await.map_err(failed)?;
        let names = answer.as_list().unwrap_or_default().iter().filter_map(Reply::as_text);
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// Removes a graph with all that is in it; false when there was none. A dry run only looks.
    pub async fn delete(
        &self,
        permit: &SourcePermit,
        graph: &str,
        timeout: Duration,
        dry_run: bool,
    ) -> Result<bool, GraphError> {
        let pool = self.0.of(permit)?;
        permit.check(Access::Write, &format!("deleting the graph {graph:?} of {}", pool.place()))?;
        check_name(pool.place(), graph)?;
        if dry_run {
            return Ok(self.graphs(permit, timeout).await?.iter().any(|name| name == graph));
        }
        let mut command = redis::cmd("GRAPH.DELETE");
        command.arg(graph);
        match lease(pool, timeout).await?.ask(&command).await {
            Ok(_) => Ok(true),
            Err(Problem::Refused { text, .. }) if text.contains("empty key") => Ok(false),
            Err(problem) => Err(RedisError::Failed { place: pool.place().clone(), problem }.into()),
        }
    }
}

async fn lease(pool: &Pool, timeout: Duration) -> Result<Lease, RedisError> {
    pool.lease(timeout).await.map_err(|problem| RedisError::Failed { place: pool.place().clone(), problem })
}

/// The query with its parameters before it.
fn text(place: &Place, query: &Query<'_>) -> Result<String, GraphError> {
    let bad = |problem| GraphError::BadQuery { place: place.clone(), problem };
    check_name(place, query.graph)?;
    if query.cypher.contains('\0') {
        return Err(bad("the query holds a NUL character, which the server takes for its end".into()));
    }
    let text = params::prefix(query.params).map_err(bad)? + query.cypher;
    if text.len() > limits::GRAPH_QUERY_BYTES_MAX {
        return Err(bad(format!("the query has more than {} bytes", limits::GRAPH_QUERY_BYTES_MAX)));
    }
    Ok(text)
}

fn check_name(place: &Place, graph: &str) -> Result<(), GraphError> {
    if (1..=limits::GRAPH_NAME_BYTES_MAX).contains(&graph.len()) && !graph.contains('\0') {
        return Ok(());
    }
    let problem = format!("a graph's name has 1 to {} bytes", limits::GRAPH_NAME_BYTES_MAX);
    Err(GraphError::BadQuery { place: place.clone(), problem })
}

async fn explain(lease: &mut Lease, graph: &str, text: &str) -> Result<Vec<String>, Problem> {
    let mut command = redis::cmd("GRAPH.EXPLAIN");
    command.arg(graph).arg(text);
    let answer = lease.ask(&command).await?;
    Ok(answer.as_list().unwrap_or_default().iter().filter_map(Reply::as_text).map(str::to_owned).collect())
}

async fn read(lease: &mut Lease, graph: &str, answer: &Reply) -> Result<Answer, Problem> {
    let unreadable = |problem: &str| Problem::Protocol(problem.to_owned());
    let parts = Parts::of(answer).map_err(unreadable)?;
    let names = if parts.has_entities() { names(lease, graph).await? } else { Names::default() };
    let rows = parts.rows(&names).map_err(unreadable)?;
    Ok(Answer { rows, columns: parts.columns, statistics: parts.statistics, plan: None })
}

/// What the numbers in nodes and edges stand for, asked in one go.
async fn names(lease: &mut Lease, graph: &str) -> Result<Names, Problem> {
    const PROCEDURES: [&str; 3] = ["CALL db.labels()", "CALL db.relationshipTypes()", "CALL db.propertyKeys()"];
    let mut packed = Vec::new();
    for procedure in PROCEDURES {
        redis::cmd("GRAPH.RO_QUERY").arg(graph).arg(procedure).write_packed_command(&mut packed);
    }
    let answers = lease.exchange(&packed, PROCEDURES.len(), limits::REDIS_REPLY_BYTES_MAX).await?;
    let mut lists = Vec::with_capacity(PROCEDURES.len());
    for answer in answers {
        lists.push(decode::names(&Reply::read(answer)?).map_err(|problem| Problem::Protocol(problem.to_owned()))?);
    }
    let [labels, types, properties] = <[_; 3]>::try_from(lists).unwrap_or_default();
    Ok(Names { labels, types, properties })
}

/// What the server said, sorted.
fn refused(pool: &Pool, query: &Query<'_>, problem: Problem) -> GraphError {
    let (place, graph) = (pool.place().clone(), query.graph.to_owned());
    let Problem::Refused { code, text, .. } = problem else { return RedisError::Failed { place, problem }.into() };
    let said = format!("{code} {text}").trim().to_owned();
    if said.contains("timed out") {
        return GraphError::Timeout { place, graph, after: query.timeout };
    }
    if said.contains("empty key") {
        return GraphError::UnknownGraph { place, graph };
    }
    match said.strip_prefix("errMsg:") {
        Some(text) => GraphError::Syntax { place, graph, text: text.trim().to_owned() },
        None => GraphError::Failed { place, graph, text: said },
    }
}
