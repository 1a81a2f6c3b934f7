//! A real FalkorDB in a container, and a look into it that does not go through the daemon.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisResult, Value};

use super::docker::docker;
use super::settles;

/// See `tests/falkordb_image`.
const IMAGE: &str = "falkordb/falkordb:latest";

/// Runs until it is dropped; keeps nothing on disk.
pub struct FalkorDb {
    container: String,
    client: redis::Client,
    pub url: String,
}

impl FalkorDb {
    pub async fn start() -> Self {
        let container = docker(&["run", "-d", "--rm", "--label", "aegis-test", "-p", "127.0.0.1::6379", IMAGE])
            .unwrap_or_else(|error| {
                panic!("these tests need the image {IMAGE}, which tests/falkordb_image makes: {error}")
            });
        let published = docker(&["port", &container, "6379/tcp"]).expect("a published port");
        let port = published.lines().next().and_then(|line| line.rsplit(':').next()).expect("a port").to_owned();
        let url = format!("redis://127.0.0.1:{port}");
        let made = Self { container, client: redis::Client::open(url.as_str()).expect("an address"), url };
        settles(Duration::from_secs(30), "FalkorDB answers", || async {
            let mut connection = made.connection().await.ok()?;
            redis::cmd("PING").query_async::<String>(&mut connection).await.ok()
        })
        .await;
        made
    }

    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let patient = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(30)));
        self.client.get_multiplexed_async_connection_with_config(&patient).await
    }

    /// The rows of a query, each as the texts of its columns.
    pub async fn rows(&self, graph: &str, cypher: &str) -> Vec<Vec<String>> {
        let mut connection = self.connection().await.expect("FalkorDB answers");
        let asked = redis::cmd("GRAPH.QUERY").arg(graph).arg(cypher).query_async::<Value>(&mut connection).await;
        let Value::Array(parts) = asked.unwrap_or_else(|error| panic!("{cypher}: {error}")) else {
            panic!("{cypher}: no answer")
        };
        let Some(Value::Array(rows)) = parts.get(1) else { panic!("{cypher}: no rows") };
        let cells = |row: &Value| match row {
            Value::Array(cells) => cells.iter().map(text).collect(),
            other => panic!("{cypher}: {other:?} is no row"),
        };
        rows.iter().map(cells).collect()
    }
}

fn text(cell: &Value) -> String {
    match cell {
        Value::Nil => "null".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

impl Drop for FalkorDb {
    fn drop(&mut self) {
        let _ = docker(&["kill", &self.container]);
    }
}
