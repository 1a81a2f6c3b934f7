//! Messages that wait until their receivers have them.

use super::command::Answer;
use super::sheet::Sheet;
use crate::base::limits::OUTBOX_DEAD_KEPT;
use crate::store::outbox::{OutboxWrite, ParcelChange, ParcelRow};
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::{clean, json};
use crate::store::types::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

pub async fn write<'a>(conn: &mut Conn, list: &[(usize, &'a OutboxWrite)], sheet: &mut Sheet<'a>) -> Result<()> {
    for (index, write) in list {
        add(conn, &write.add).await?;
        let mut changed = write.add.len() as u64;
        for (id, change) in &write.changes {
            changed += apply(conn, id, change).await?;
        }
        if write.changes.iter().any(|(_, change)| matches!(change, ParcelChange::Dead { .. })) {
            forget(conn).await?;
        }
        sheet.events(*index, &write.events);
        sheet.answer(*index, Answer::Count(changed));
    }
    Ok(())
}

/// One by one where they gather: two of the same key in one statement would be refused.
async fn add(conn: &mut Conn, parcels: &[ParcelRow]) -> Result<()> {
    for parcel in parcels {
        let rows = Rows::of([(
            clean(&parcel.id),
            clean(&parcel.route),
            clean(&parcel.destination),
            parcel.state.as_str(),
            clean(&parcel.group_key),
            parcel.count,
            parcel.created_at.as_microsecond(),
            parcel.due_at.as_microsecond(),
            json(&parcel.body),
        )])?;
        // SQLite takes ON for the condition of a join unless a WHERE stands before it.
        let insert = query(
            "INSERT INTO outbox (id, route, destination, state, group_key, count, attempts, created_at, due_at, body)
             SELECT value->>0, value->>1, value->>2, value->>3, value->>4, CAST(value->>5 AS BIGINT), 0,
                 CAST(value->>6 AS BIGINT), CAST(value->>7 AS BIGINT), value->>8
             FROM {rows} WHERE true
             ON CONFLICT (route, destination, group_key) WHERE state = 'gathering'
             DO UPDATE SET count = outbox.count + excluded.count, body = excluded.body",
        );
        conn.execute(insert.bind(rows)).await?;
    }
    Ok(())
}

async fn apply(conn: &mut Conn, id: &str, change: &ParcelChange) -> Result<u64> {
    let error = |fault: &crate::base::Fault| serde_json::to_string(fault).ok();
    let statement = match change {
        ParcelChange::Close => query("UPDATE outbox SET state = 'waiting' WHERE id = $1 AND state = 'gathering'"),
        ParcelChange::Delivered => query("DELETE FROM outbox WHERE id = $1"),
        ParcelChange::Later { .. } => query(
            "UPDATE outbox SET due_at = $2, attempts = $3, error = coalesce($4, error)
             WHERE id = $1 AND state <> 'dead'",
        ),
        ParcelChange::Dead { .. } => {
            query("UPDATE outbox SET state = 'dead', attempts = $2, error = $3 WHERE id = $1 AND state <> 'dead'")
        }
        ParcelChange::Again { .. } => query(
            "UPDATE outbox SET state = 'waiting', attempts = 0, due_at = $2, created_at = $3
             WHERE id = $1 AND state = 'dead'",
        ),
    };
    let statement = statement.bind(id.to_owned());
    let statement = match change {
        ParcelChange::Close | ParcelChange::Delivered => statement,
        ParcelChange::Later { due_at, attempts, error: fault } => {
            statement.bind(*due_at).bind(i64::from(*attempts)).bind(fault.as_ref().and_then(error))
        }
        ParcelChange::Dead { attempts, error: fault } => statement.bind(i64::from(*attempts)).bind(error(fault)),
        ParcelChange::Again { at } => statement.bind(*at).bind(*at),
    };
    conn.execute(statement).await
}

/// Of those that are dead the newest are kept.
async fn forget(conn: &mut Conn) -> Result<()> {
    let delete = query(
        "DELETE FROM outbox WHERE state = 'dead' AND id NOT IN
             (SELECT id FROM outbox WHERE state = 'dead' ORDER BY created_at DESC, id LIMIT $1)",
    );
    conn.execute(delete.bind(OUTBOX_DEAD_KEPT)).await.map(drop)
}
