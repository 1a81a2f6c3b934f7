//! What executions are told of runs, and whom they belong to.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::base::{Fault, RunId};
use crate::model::{Run, RunState};
use crate::primitives::egress::{Owner, Runs, Standing};
use crate::store::{KvWrite, Store, StoreError};

/// How many characters of a digest tell owners apart.
const DIGEST_CHARS: usize = 16;
/// Where the database keeps its name, out of the reach of scripts.
const SCOPE: &str = "daemon:executions";
const KEY: &str = "owner";

/// Runs as the store has them.
pub struct StoredRuns(pub Store);

impl Runs for StoredRuns {
    fn standings(&self, runs: BTreeSet<RunId>) -> BoxFuture<'_, Result<BTreeMap<RunId, Standing>, Fault>> {
        async move {
            let mut standings = BTreeMap::new();
            for id in runs {
                if let Some(run) = self.0.run(id).await? {
                    standings.insert(id, standing(&run));
                }
            }
            Ok(standings)
        }
        .boxed()
    }
}

/// A queued run's VM is gone, and with it whoever would end its containers in time.
fn standing(run: &Run) -> Standing {
    match run.state {
        RunState::Running | RunState::Parked => Standing::Attempt(run.attempt),
        _ => Standing::Over,
    }
}

/// By what the database calls itself and, within it, by the daemon's name and address.
pub async fn owner(store: &Store, daemon: &str) -> Result<Owner, StoreError> {
    let store = identity(store).await?;
    let daemon = blake3::hash(format!("{store}\n{daemon}").as_bytes()).to_hex()[..DIGEST_CHARS].to_owned();
    Ok(Owner { store, daemon })
}

/// Drawn once, and kept in the database: its path may be another's in another container.
async fn identity(store: &Store) -> Result<String, StoreError> {
    let kept = || async {
        let entry = store.kv_get(SCOPE, KEY).await?;
        Ok::<_, StoreError>(entry.and_then(|entry| entry.value.as_str().map(str::to_owned)))
    };
    if let Some(kept) = kept().await? {
        return Ok(kept);
    }
    let drawn = RunId::generate().to_string();
    store
        .kv_write(KvWrite {
            scope: SCOPE.to_owned(),
            key: KEY.to_owned(),
            value: Some(drawn.clone().into()),
            expires_at: None,
            expect_revision: Some(0),
        })
        .await?;
    // Another daemon may have been first.
    Ok(kept().await?.unwrap_or(drawn))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokio::task::JoinSet;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::base::Clock;
    use crate::store::{Options, Store};

    /// With whoever writes to it.
    async fn store(path: PathBuf) -> (Store, impl Sized) {
        let options = Options { url: format!("sqlite://{}", path.display()), node: "here".into() };
        let (store, writer) = Store::open(options, Clock::system()).await.expect("opened");
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run(CancellationToken::new()));
        (store, tasks)
    }

    #[tokio::test]
    async fn a_database_is_known_by_a_name_of_its_own_and_not_by_its_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("aegis.db");
        let (first, _writer) = store(path).await;
        let (one, other) = tokio::join!(owner(&first, "a 127.0.0.1:1"), owner(&first, "b 127.0.0.1:1"));
        let (one, other) = (one.expect("an owner"), other.expect("an owner"));
        assert_eq!(one.store, other.store);
        assert_ne!(one.daemon, other.daemon);
        // The next start of the same daemon finds its name, under whatever path.
        assert_eq!(owner(&first, "a 127.0.0.1:1").await, Ok(one.clone()));
        let elsewhere = tempfile::tempdir().expect("a folder");
        let (second, _second_writer) = store(elsewhere.path().join("aegis.db")).await;
        let beside = owner(&second, "a 127.0.0.1:1").await.expect("an owner");
        assert!(beside.store != one.store && beside.daemon != one.daemon);
        // Nobody knows of a run: that is not the same as its being over.
        let id = RunId::generate();
        assert_eq!(StoredRuns(second).standings([id].into()).await, Ok(BTreeMap::new()));
    }
}
