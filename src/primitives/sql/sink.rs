//! Where the rows of a result go.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::cell::{Cell, Rows};
use super::error::SqlError;
use crate::base::limits;

#[derive(Debug)]
pub enum Sink {
    /// Rows are of no interest.
    Nothing,
    /// All of them, within bounds.
    Whole { rows: Rows, bytes: usize, rows_max: usize },
    /// In pages, each sent when the one before was taken.
    Pages { page: Rows, bytes: usize, to: mpsc::Sender<Result<Rows, SqlError>> },
}

/// What becomes of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    On,
    Stop,
}

impl Sink {
    pub fn whole(rows_max: usize) -> Self {
        Self::Whole { rows: Rows::default(), bytes: 0, rows_max }
    }

    pub fn pages(to: mpsc::Sender<Result<Rows, SqlError>>) -> Self {
        Self::Pages { page: Rows::default(), bytes: 0, to }
    }

    pub fn wants_rows(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// Whether the columns of this result are known already.
    pub fn has_columns(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Whole { rows, .. } | Self::Pages { page: rows, .. } => !rows.columns.is_empty(),
        }
    }

    pub fn set_columns(&mut self, columns: Vec<String>) -> Result<(), SqlError> {
        let twice = columns.iter().enumerate().find(|(index, name)| columns[..*index].contains(name));
        if let Some((_, name)) = twice {
            return Err(SqlError::Column { column: name.clone(), problem: "is there twice".into() });
        }
        if let Self::Whole { rows, .. } | Self::Pages { page: rows, .. } = self {
            rows.columns = Arc::from(columns);
        }
        Ok(())
    }

    pub async fn push(&mut self, row: Vec<Cell>, source: &str) -> Result<Go, SqlError> {
        let size = row.iter().map(Cell::bytes).sum::<usize>();
        match self {
            Self::Nothing => Ok(Go::On),
            Self::Whole { rows, bytes, rows_max } => {
                *bytes += size;
                if rows.rows.len() >= *rows_max {
                    return Err(SqlError::TooManyRows { source_name: source.to_owned(), max: *rows_max });
                }
                if *bytes > limits::SQL_RESULT_BYTES_MAX {
                    return Err(SqlError::TooLarge { source_name: source.to_owned() });
                }
                rows.rows.push(row);
                Ok(Go::On)
            }
            Self::Pages { page, bytes, .. } => {
                *bytes += size;
                page.rows.push(row);
                if page.rows.len() < limits::SQL_PAGE_ROWS && *bytes < limits::SQL_PAGE_BYTES {
                    return Ok(Go::On);
                }
                self.flush().await
            }
        }
    }

    /// Sends what is left of a page.
    pub async fn flush(&mut self) -> Result<Go, SqlError> {
        let Self::Pages { page, bytes, to } = self else { return Ok(Go::On) };
        if page.rows.is_empty() {
            return Ok(Go::On);
        }
        *bytes = 0;
        let full = Rows { columns: page.columns.clone(), rows: std::mem::take(&mut page.rows) };
        // Nobody takes it: the script is done with the stream.
        Ok(if to.send(Ok(full)).await.is_ok() { Go::On } else { Go::Stop })
    }

    pub fn into_rows(self) -> Rows {
        match self {
            Self::Whole { rows, .. } => rows,
            _ => Rows::default(),
        }
    }
}
