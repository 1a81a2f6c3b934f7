//! A key-value store that lasts as long as the run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;

use crate::base::{Clock, Fault};
use crate::lua::KvPort;
use crate::primitives::permit::KvPermit;
use crate::store::{KvEntry, KvOutcome, KvWrite};

type Entries = BTreeMap<(String, String), KvEntry>;

#[derive(Debug)]
pub(super) struct Memory {
    clock: Clock,
    /// The entries, and the last revision that was given out.
    held: Mutex<(Entries, i64)>,
}

impl Memory {
    pub fn new(clock: Clock) -> Self {
        Self { clock, held: Mutex::default() }
    }

    /// `work` on what has not expired.
    fn with<T>(&self, work: impl FnOnce(&mut Entries, &mut i64) -> T) -> T {
        let now = self.clock.now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (entries, revision) = &mut *held;
        entries.retain(|_, entry| entry.expires_at.is_none_or(|end| end > now));
        work(entries, revision)
    }

    fn apply(&self, write: KvWrite) -> KvOutcome {
        let key = (write.scope, write.key);
        self.with(|entries, last| {
            let current = entries.get(&key).map_or(0, |entry| entry.revision);
            if write.expect_revision.is_some_and(|expected| expected != current) {
                return KvOutcome::Conflict { revision: current };
            }
            *last += 1;
            let revision = *last;
            match write.value {
                Some(value) => drop(entries.insert(key, KvEntry { value, revision, expires_at: write.expires_at })),
                None => drop(entries.remove(&key)),
            }
            KvOutcome::Written { revision }
        })
    }
}

impl KvPort for Memory {
    fn get(&self, scope: KvPermit, key: String) -> BoxFuture<'_, Result<Option<KvEntry>, Fault>> {
        let found = self.with(|entries, _| entries.get(&(scope.scope().to_owned(), key)).cloned());
        Box::pin(async { Ok(found) })
    }

    fn list(
        &self,
        scope: KvPermit,
        prefix: String,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(String, KvEntry)>, Fault>> {
        let found = self.with(|entries, _| {
            let scope = scope.scope();
            let from = (scope.to_owned(), prefix.clone());
            let within =
                entries.range(from..).take_while(|((in_scope, key), _)| in_scope == scope && key.starts_with(&prefix));
            within.take(limit).map(|((_, key), entry)| (key.clone(), entry.clone())).collect()
        });
        Box::pin(async { Ok(found) })
    }

    fn write(&self, scope: KvPermit, write: KvWrite) -> BoxFuture<'_, Result<KvOutcome, Fault>> {
        let outcome = self.apply(KvWrite { scope: scope.scope().to_owned(), ..write });
        Box::pin(async move { Ok(outcome) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::base::{Timestamp, clock};
    use crate::model::Grants;
    use crate::primitives::permit;

    fn write(key: &str, expect_revision: Option<i64>) -> KvWrite {
        let (scope, value) = ("job:x".to_owned(), Some(json!(key)));
        KvWrite { scope, key: key.to_owned(), value, expires_at: None, expect_revision }
    }

    fn own() -> KvPermit {
        permit::kv(&Grants::default(), "x", "job").expect("a job has its own scope")
    }

    #[tokio::test]
    async fn it_behaves_as_the_stores_does() {
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let memory = Memory::new(clock);
        assert_eq!(memory.apply(write("a", Some(0))), KvOutcome::Written { revision: 1 });
        assert_eq!(memory.apply(write("a", Some(0))), KvOutcome::Conflict { revision: 1 });
        memory.apply(write("ab", None));
        let soon = clock::later(Timestamp::UNIX_EPOCH, Duration::from_secs(5));
        memory.apply(KvWrite { expires_at: Some(soon), ..write("b", None) });
        let keys = |prefix: &'static str| async {
            let found = memory.list(own(), prefix.into(), 10).await.expect("it lists");
            found.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!((keys("a").await, keys("").await.len()), (vec!["a".to_owned(), "ab".to_owned()], 3));
        hand.advance(Duration::from_secs(5));
        assert_eq!(keys("b").await, Vec::<String>::new());
        memory.apply(KvWrite { value: None, ..write("a", None) });
        assert_eq!(memory.get(own(), "a".into()).await, Ok(None));
    }
}
