//! The pools of one area, by the names that the configuration gives to its sources.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{Place, Problem, RedisError};
use super::pool::{Pool, PoolOptions};
use super::source::Sources;
use crate::primitives::permit::SourcePermit;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pools {
    area: &'static str,
    by_name: Arc<BTreeMap<String, Pool>>,
}

impl Pools {
    /// Connects to nothing. `protocol` is 2 or 3.
    pub fn new(area: &'static str, protocol: u8, sources: Sources, options: &PoolOptions) -> Self {
        let pool = |(name, source): (String, _)| {
            let place = Place { area, source: name.clone() };
            (name, Pool::new(place, source, protocol, options.clone()))
        };
        Self { area, by_name: Arc::new(sources.into_iter().map(pool).collect()) }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Each source with what its server says to a ping.
    pub async fn ping(&self) -> Vec<(Place, Result<(), Problem>)> {
        let one = async |pool: &Pool| (pool.place().clone(), pool.ping().await);
        futures_util::future::join_all(self.by_name.values().map(one)).await
    }

    /// # Errors
    /// The configuration has no source of the permit's name.
    pub fn of(&self, permit: &SourcePermit) -> Result<&Pool, RedisError> {
        self.by_name.get(permit.source()).ok_or_else(|| RedisError::UnknownSource {
            place: Place { area: self.area, source: permit.source().to_owned() },
            known: self.by_name.keys().cloned().collect(),
        })
    }
}
