//! What executions are told of runs, and whom they belong to.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::base::{Fault, RunId};
use crate::primitives::egress::{Owner, Runs};
use crate::store::Store;

/// How many characters of a digest tell owners apart.
const DIGEST_CHARS: usize = 16;
const SQLITE: &str = "sqlite://";

/// Runs as the store has them.
pub struct StoredRuns(pub Store);

impl Runs for StoredRuns {
    fn over(&self, runs: BTreeSet<RunId>) -> BoxFuture<'_, Result<BTreeSet<RunId>, Fault>> {
        async move {
            let mut over = BTreeSet::new();
            for run in runs {
                if self.0.run_state(run).await?.is_none_or(|state| state.is_final()) {
                    over.insert(run);
                }
            }
            Ok(over)
        }
        .boxed()
    }
}

/// By the database and, within it, by the daemon's name and address.
pub fn owner(store_url: &str, daemon: &str) -> Owner {
    let place = store_url.strip_prefix(SQLITE).and_then(|path| std::path::absolute(path).ok());
    let store = place.map_or_else(|| store_url.to_owned(), |path| path.to_string_lossy().into_owned());
    let digest = |text: &str| blake3::hash(text.as_bytes()).to_hex()[..DIGEST_CHARS].to_owned();
    Owner { daemon: digest(&format!("{store}\n{daemon}")), store: digest(&store) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemons_of_one_database_have_one_store_and_names_of_their_own() {
        let (one, other) =
            (owner("postgres://db/aegis", "a 127.0.0.1:1"), owner("postgres://db/aegis", "b 127.0.0.1:1"));
        assert_eq!(one.store, other.store);
        assert_ne!(one.daemon, other.daemon);
        assert_ne!(owner("sqlite://data/aegis.db", "a").store, one.store);
        let here = std::env::current_dir().expect("a folder");
        let absolute = format!("sqlite://{}/data/aegis.db", here.display());
        assert_eq!(owner("sqlite://data/aegis.db", "a"), owner(&absolute, "a"));
    }
}
