//! Reading tokens and sessions.

use crate::store::handle::Store;
use crate::store::sql::{Row, query};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

fn token_from(row: &Row) -> Result<TokenRow> {
    Ok(TokenRow {
        name: row.text("name")?,
        hash: row.text("hash")?,
        role: row.text("role")?,
        jobs: row.json("jobs")?,
        created_at: row.time("created_at")?,
        expires_at: row.maybe_time("expires_at")?,
        last_used_at: row.maybe_time("last_used_at")?,
        revoked_at: row.maybe_time("revoked_at")?,
    })
}

pub fn session_from(row: &Row) -> Result<SessionRow> {
    Ok(SessionRow {
        hash: row.text("hash")?,
        kind: row.text("kind")?,
        actor: row.text("actor")?,
        role: row.text("role")?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
    })
}

impl Store {
    /// All tokens, revoked and expired ones too, in order of their creation.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>> {
        let rows = self.readers().fetch(query("SELECT * FROM tokens ORDER BY created_at, hash")).await?;
        rows.iter().map(token_from).collect()
    }

    /// Also when it is revoked or expired: the caller says which.
    pub async fn token_by_hash(&self, hash: &str) -> Result<Option<TokenRow>> {
        let era = match self.known().get(hash) {
            Ok(token) => return Ok(Some(token)),
            Err(era) => era,
        };
        let row = self.readers().fetch_first(query("SELECT * FROM tokens WHERE hash = $1").bind(hash)).await?;
        let token = row.as_ref().map(token_from).transpose()?;
        // Another daemon on the same database can take a token back at any time.
        if let (Some(token), false) = (&token, self.is_shared()) {
            self.known().keep(era, token);
        }
        Ok(token)
    }

    /// None also when it has expired.
    pub async fn session(&self, hash: &str) -> Result<Option<SessionRow>> {
        let select = query("SELECT * FROM sessions WHERE hash = $1 AND expires_at > $2");
        let row = self.readers().fetch_first(select.bind(hash).bind(self.clock().now())).await?;
        row.as_ref().map(session_from).transpose()
    }
}
