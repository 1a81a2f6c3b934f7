//! Where messages wait until their receivers have them. Whoever keeps a database implements it.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::message::Message;
use crate::base::Fault;

/// One message on its way to one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Parcel {
    /// Stays the same however often it is sent, for receivers that can tell.
    pub id: String,
    pub route: String,
    /// A destination's name within its route.
    pub destination: String,
    pub message: Message,
    /// Those with the same key that come while it is held become one with it.
    pub key: String,
    pub hold: Option<Duration>,
}

pub trait Outbox: Debug + Send + Sync {
    /// Resolves when they are kept.
    fn keep(&self, parcels: Vec<Parcel>) -> BoxFuture<'_, Result<(), Fault>>;
}
