//! PostgreSQL's LISTEN, on a connection of its own.

use std::time::Duration;

use sqlx::postgres::PgListener;

use super::driver::Trouble;
use super::error::SqlError;
use super::service::Sql;
use crate::base::{Clock, limits};
use crate::primitives::permit::SqlPermit;

/// A channel that is listened to. What is told while nobody listens is not repeated: PostgreSQL forgets it.
#[derive(Debug)]
pub struct Listening {
    listener: PgListener,
    source: String,
    clock: Clock,
}

/// What somebody said with NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub channel: String,
    pub payload: String,
    /// The server's process that said it.
    pub process_id: u32,
}

impl Sql {
    /// Listens from when this returns.
    pub async fn listen(&self, permit: &SqlPermit, channel: &str) -> Result<Listening, SqlError> {
        let origin = self.origin(permit)?;
        let source = origin.name.clone();
        let failed = |problem: sqlx::Error| Trouble::from(problem).at::<sqlx::Postgres>(&source);
        let mut listener = PgListener::connect_with(&origin.channel()?).await.map_err(failed)?;
        listener.listen(channel).await.map_err(failed)?;
        Ok(Listening { listener, source, clock: origin.clock.clone() })
    }
}

impl Listening {
    /// The next notice.
    ///
    /// # Errors
    /// When the connection is lost, and with it whatever is told until somebody listens again.
    pub async fn next(&mut self) -> Result<Notice, SqlError> {
        let source_name = self.source.clone();
        let lost = |problem: String| SqlError::Unavailable { source_name: source_name.clone(), problem };
        loop {
            let told = tokio::select! {
                told = self.listener.try_recv() => told,
                () = self.clock.sleep(limits::SQL_LISTEN_QUIET_MAX) => {
                    // A server whose machine is gone says nothing either.
                    self.ask().await.map_err(lost)?;
                    continue;
                }
            };
            return match told {
                Ok(Some(notice)) => Ok(Notice {
                    channel: notice.channel().to_owned(),
                    payload: notice.payload().to_owned(),
                    process_id: notice.process_id(),
                }),
                Ok(None) => Err(lost("the connection was closed".to_owned())),
                Err(problem) => Err(Trouble::from(problem).at::<sqlx::Postgres>(&self.source)),
            };
        }
    }

    async fn ask(&mut self) -> Result<(), String> {
        const PATIENCE: Duration = Duration::from_secs(10);
        tokio::select! {
            answer = sqlx::query("SELECT 1").execute(&mut self.listener) => {
                answer.map(drop).map_err(|problem| problem.to_string())
            }
            () = self.clock.sleep(PATIENCE) => Err("the server does not answer any more".to_owned()),
        }
    }
}
