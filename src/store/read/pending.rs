//! Placeholder until the reads of durable runs are here.

use crate::base::{JobName, RunId, Timestamp};
use crate::model::{Entry, Run};
use crate::store::handle::Store;
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

impl Store {
    pub async fn journal(&self, _: RunId) -> Result<Vec<Entry>> {
        Ok(vec![])
    }
    pub async fn next_wake(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }
    pub async fn parked_counts(&self) -> Result<Vec<(JobName, usize)>> {
        Ok(vec![])
    }
    pub async fn parked_keys(&self) -> Result<Vec<(String, u32)>> {
        Ok(vec![])
    }
    pub async fn parked_of_job(&self, _: &JobName, _: usize) -> Result<Vec<Run>> {
        Ok(vec![])
    }
}
