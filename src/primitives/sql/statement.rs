//! One statement with its values and its bounds.

use std::time::Duration;

use super::cell::Cell;
use super::error::SqlError;
use crate::base::limits;
use crate::base::quantity::show_duration;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statement {
    pub text: String,
    /// In the order of `$1, $2, …` or `?, ?, …`.
    pub params: Vec<Cell>,
    pub bounds: Bounds,
}

/// What a call may take; None for the defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Of the whole statement, its rows included; of a whole transaction where one is begun.
    pub timeout: Option<Duration>,
    /// 1 to `SQL_ROWS_MAX`.
    pub rows_max: Option<usize>,
}

impl Statement {
    pub(super) fn check(&self) -> Result<(), SqlError> {
        if self.params.len() > limits::SQL_PARAMS_MAX {
            let (count, max) = (self.params.len(), limits::SQL_PARAMS_MAX);
            return Err(SqlError::Params(format!("there are {count} parameters, and at most {max} are sent")));
        }
        self.bounds.check()
    }
}

impl Bounds {
    pub(super) fn check(&self) -> Result<(), SqlError> {
        let max = limits::SQL_TIMEOUT_MAX;
        if self.timeout.is_some_and(|timeout| timeout.is_zero() || timeout > max) {
            let max = show_duration(max);
            return Err(SqlError::Params(format!("option \"timeout\" must be more than nothing and at most {max}")));
        }
        if self.rows_max.is_some_and(|rows| rows == 0 || rows > limits::SQL_ROWS_MAX) {
            let max = limits::SQL_ROWS_MAX;
            return Err(SqlError::Params(format!(
                "option \"max_rows\" must be 1 to {max}; for more, use aegis.sql.stream"
            )));
        }
        Ok(())
    }

    pub(super) fn rows(&self) -> usize {
        self.rows_max.unwrap_or(limits::SQL_ROWS_DEFAULT)
    }
}
