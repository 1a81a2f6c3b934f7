//! A Redis of the configuration that answers a ping.

use crate::base::Fault;
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::permit;
use crate::primitives::redis::Redis;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisProbe {
    /// Of the configuration's `redis`.
    pub source: String,
}

impl RedisProbe {
    pub(super) async fn probe(&self, redis: &Redis) -> Result<(), String> {
        let grants = Grants { redis: [(self.source.clone(), Access::Read)].into(), ..Grants::default() };
        let permit = permit::redis(&grants, &self.source).map_err(|denied| denied.to_string())?;
        redis.ping_source(&permit).await.map_err(|error| Fault::from(error).message)
    }
}
