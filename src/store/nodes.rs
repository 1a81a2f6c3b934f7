//! The daemons that share the database, and how work changes hands between them.

use super::handle::Store;
use super::types::*;
use super::write::{Command, NodeCommand};
use crate::base::Timestamp;
use crate::model::Run;

type Result<T> = std::result::Result<T, StoreError>;

impl Store {
    /// Signs this daemon on until `lease_until` and returns the epoch of its registration. `node.epoch` is that of its
    /// earlier registration, or 0. Refused while another daemon of that name has a live lease, unless `force`.
    pub async fn register_node(&self, node: NodeRow, force: bool) -> Result<i64> {
        self.write(Command::Node(NodeCommand::Register(node, force))).await
    }

    /// False when another daemon has registered under the name since: this one must give up its runs.
    pub async fn renew_lease(&self, name: &str, epoch: i64, until: Timestamp) -> Result<bool> {
        self.write(Command::Node(NodeCommand::Renew { name: name.to_owned(), epoch, until })).await
    }

    /// Signs off; what it still holds is free for others. False when the registration is another's.
    pub async fn release_node(&self, name: &str, epoch: i64) -> Result<bool> {
        self.write(Command::Node(NodeCommand::Release { name: name.to_owned(), epoch })).await
    }

    /// Takes over at most `limit` queued runs of other daemons whose time has come, oldest first, and returns them with
    /// their new fences. Whoever held them is told [`Started::Lost`] when it starts them. Only what `rules` allow.
    pub async fn claim(&self, now: Timestamp, limit: usize, rules: ClaimRules) -> Result<Vec<Run>> {
        self.write(Command::Node(NodeCommand::Claim { now, limit, rules })).await
    }

    /// Asks whoever holds a running run to cancel it. False when it does not run.
    pub async fn ask_to_stop(&self, wish: StopRequest) -> Result<bool> {
        self.write(Command::Node(NodeCommand::Stop(wish))).await
    }

    /// Takes over at most `limit` queued and running runs of daemons that have no live lease, oldest first, and returns
    /// them with their new fences, in the states in which they were found. Register first, or others take them back.
    pub async fn orphans(&self, now: Timestamp, limit: usize) -> Result<Vec<Run>> {
        self.write(Command::Node(NodeCommand::Orphans { now, limit })).await
    }
}
