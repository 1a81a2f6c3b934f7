//! A database of the configuration that answers a query, which reads only.

use std::time::Duration;

use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::permit;
use crate::primitives::sql::{Bounds, Cell, Sql, Statement};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlProbe {
    /// Of the configuration's `sql`.
    pub source: String,
    /// Its first value must be there, and be neither false nor 0.
    pub query: String,
}

impl SqlProbe {
    pub(super) async fn probe(&self, sql: &Sql, timeout: Duration) -> Result<(), String> {
        let grants = Grants { sql: [(self.source.clone(), Access::Read)].into(), ..Grants::default() };
        let permit = permit::sql(&grants, &self.source).map_err(|denied| denied.to_string())?;
        let bounds = Bounds { timeout: Some(timeout), rows_max: None };
        let statement = Statement { text: self.query.clone(), params: Vec::new(), bounds };
        let found = sql.query(&permit, &statement, false).await.map_err(|error| error.to_string())?;
        match found.rows.first().and_then(|row| row.first()) {
            None => Err("the query gives no row".to_owned()),
            Some(Cell::Null) => Err("the query gives null".to_owned()),
            Some(Cell::Bool(false)) => Err("the query gives false".to_owned()),
            Some(Cell::Integer(0)) => Err("the query gives 0".to_owned()),
            Some(_) => Ok(()),
        }
    }
}
