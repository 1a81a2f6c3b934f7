//! The service on real databases.

mod attacks;
mod types;
mod work;

use std::sync::Arc;

use serde_json::Value;

use super::{Bounds, Cell, Options, Rows, Sql, SqlError, Statement};
use crate::base::{Clock, Fault};
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::notify::{ProcessSecrets, Secrets};
use crate::primitives::permit::{self, SqlPermit};

pub fn service(url: &str, clock: &Clock) -> Sql {
    let secrets: Arc<dyn Secrets> = Arc::new(ProcessSecrets);
    Sql::new(Options { sources: super::testing::main_source(url) }, &secrets, clock).expect("a service")
}

pub fn permit(access: Access) -> SqlPermit {
    let grants = Grants { sql: [("main".to_owned(), access)].into(), ..Grants::default() };
    permit::sql(&grants, "main").expect("a permit")
}

pub fn statement(text: &str, params: &[Cell]) -> Statement {
    Statement { text: text.to_owned(), params: params.to_vec(), bounds: Bounds::default() }
}

/// A service with what a test needs of it.
pub struct Bench {
    pub sql: Sql,
    pub clock: Clock,
}

impl Bench {
    pub fn new(url: &str) -> Self {
        let clock = Clock::system();
        Self { sql: service(url, &clock), clock }
    }

    pub async fn query(&self, access: Access, text: &str, params: &[Cell]) -> Result<Rows, SqlError> {
        self.sql.query(&permit(access), &statement(text, params), false).await
    }

    pub async fn execute(&self, text: &str, params: &[Cell]) -> u64 {
        let done = self.sql.execute(&permit(Access::Write), &statement(text, params), false).await;
        done.unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The only cell of a reading query.
    pub async fn cell(&self, text: &str) -> Cell {
        let mut rows = self.query(Access::Read, text, &[]).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        rows.rows.remove(0).remove(0)
    }

    pub async fn code(&self, access: Access, text: &str, params: &[Cell]) -> String {
        match self.query(access, text, params).await {
            Ok(rows) => format!("{} rows", rows.rows.len()),
            Err(error) => Fault::from(error).code.into_owned(),
        }
    }
}

pub fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

pub fn json(value: Value) -> Cell {
    Cell::Json(value)
}
