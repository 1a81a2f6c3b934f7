//! Reading the key-value store. An entry that has expired reads as absent before it is removed.

use crate::store::handle::Store;
use crate::store::sql::{Row, query};
use crate::store::text::{after_prefix, clean, limit_rows};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

fn entry_from(row: &Row) -> Result<KvEntry> {
    Ok(KvEntry { value: row.json("value")?, revision: row.int("revision")?, expires_at: row.maybe_time("expires_at")? })
}

impl Store {
    pub async fn kv_get(&self, scope: &str, key: &str) -> Result<Option<KvEntry>> {
        let select =
            query("SELECT * FROM kv WHERE scope = $1 AND key = $2 AND (expires_at IS NULL OR expires_at > $3)");
        let select = select.bind(scope).bind(clean(key).into_owned()).bind(self.clock().now());
        self.readers().fetch_first(select).await?.as_ref().map(entry_from).transpose()
    }

    /// Entries whose keys begin with `prefix`, in order of their keys.
    pub async fn kv_list(&self, scope: &str, prefix: &str, limit: usize) -> Result<Vec<(String, KvEntry)>> {
        let select = query(
            "SELECT * FROM kv WHERE scope = $1 AND key >= $2 AND key < $3 AND (expires_at IS NULL OR expires_at > $4)
             ORDER BY key LIMIT $5",
        );
        let prefix = clean(prefix).into_owned();
        let end = after_prefix(&prefix);
        let select = select.bind(scope).bind(prefix).bind(end).bind(self.clock().now()).bind(limit_rows(limit));
        let rows = self.readers().fetch(select).await?;
        rows.iter().map(|row| Ok((row.text("key")?, entry_from(row)?))).collect()
    }
}
