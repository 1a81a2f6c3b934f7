//! Tokens and sessions. They are few, so each is a statement of its own.

use super::command::{Answer, Command};
use crate::base::Timestamp;
use crate::store::read::session_from;
use crate::store::sql::{Conn, query};
use crate::store::text::json_of;
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

/// The inner error is the command's own refusal; the outer one ends the transaction.
pub async fn write(conn: &mut Conn, command: &Command, now: Timestamp) -> Result<Result<Answer>> {
    match command {
        Command::PutToken(token) => put_token(conn, token).await,
        Command::RevokeToken(name, at) => {
            let update = query("UPDATE tokens SET revoked_at = $1 WHERE name = $2 AND revoked_at IS NULL");
            let changed = conn.execute(update.bind(*at).bind(name.as_str())).await?;
            Ok(Ok(Answer::Flag(changed > 0)))
        }
        Command::PutSession(session) => put_session(conn, session).await.map(|()| Ok(Answer::Done)),
        Command::TakeSession(hash) => {
            let delete = query("DELETE FROM sessions WHERE hash = $1 RETURNING *");
            let rows = conn.fetch(delete.bind(hash.as_str())).await?;
            let session = rows.first().map(session_from).transpose()?;
            Ok(Ok(Answer::Session(session.filter(|session| session.expires_at > now))))
        }
        _ => Ok(Ok(Answer::Done)),
    }
}

/// What is revoked stays so, also when a writer had read the token before it was.
async fn put_token(conn: &mut Conn, token: &TokenRow) -> Result<Result<Answer>> {
    let taken = query("SELECT 1 AS found FROM tokens WHERE name = $1 AND hash <> $2 AND revoked_at IS NULL");
    let taken = conn.fetch(taken.bind(token.name.as_str()).bind(token.hash.as_str())).await?;
    if !taken.is_empty() && token.revoked_at.is_none() {
        let reason = format!("a live token is called {:?} already; revoke it first or choose another name", token.name);
        return Ok(Err(StoreError::Refused { reason }));
    }
    let upsert = query(
        "INSERT INTO tokens (hash, name, role, jobs, created_at, expires_at, last_used_at, revoked_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (hash) DO UPDATE
         SET name = excluded.name, role = excluded.role, jobs = excluded.jobs, expires_at = excluded.expires_at,
             last_used_at = excluded.last_used_at, revoked_at = COALESCE(tokens.revoked_at, excluded.revoked_at)",
    );
    let upsert = upsert.bind(token.hash.as_str()).bind(token.name.as_str()).bind(token.role.as_str());
    let upsert = upsert.bind(json_of(&token.jobs)?).bind(token.created_at).bind(token.expires_at);
    conn.execute(upsert.bind(token.last_used_at).bind(token.revoked_at)).await?;
    Ok(Ok(Answer::Done))
}

async fn put_session(conn: &mut Conn, session: &SessionRow) -> Result<()> {
    let upsert = query(
        "INSERT INTO sessions (hash, kind, actor, role, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (hash) DO UPDATE
         SET kind = excluded.kind, actor = excluded.actor, role = excluded.role, expires_at = excluded.expires_at",
    );
    let upsert = upsert.bind(session.hash.as_str()).bind(session.kind.as_str()).bind(session.actor.as_str());
    let upsert = upsert.bind(session.role.as_str()).bind(session.created_at).bind(session.expires_at);
    conn.execute(upsert).await.map(drop)
}
