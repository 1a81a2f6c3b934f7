//! What can be refused before it reaches the writer.

use super::types::*;
use crate::base::limits::{
    ARTIFACT_BYTES_MAX, ARTIFACT_NAME_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX,
};
use crate::model::RunState;

type Result<T> = std::result::Result<T, StoreError>;

pub(super) fn new_run(new: &NewRun) -> Result<()> {
    if !matches!(new.run.state, RunState::Queued | RunState::Running) || new.run.finished_at.is_some() {
        let reason = format!("run {} cannot be accepted as {} or as finished", new.run.id, new.run.state);
        return Err(StoreError::Refused { reason });
    }
    let key = new.run.idempotency_key.as_ref().map_or(0, String::len);
    within("the idempotency key", key, IDEMPOTENCY_KEY_BYTES_MAX)
}

pub(super) fn transition(change: &Transition) -> Result<()> {
    if change.from.may_become(change.to) {
        return Ok(());
    }
    Err(StoreError::Refused { reason: format!("run {} cannot go from {} to {}", change.run, change.from, change.to) })
}

pub(super) fn kv(write: &KvWrite) -> Result<()> {
    within("the key", write.key.len(), KV_KEY_BYTES_MAX)?;
    let value = write.value.as_ref().map_or(0, |value| value.to_string().len());
    within(&format!("the value of {:?}", write.key), value, KV_VALUE_BYTES_MAX)
}

pub(super) fn artifact(artifact: &Artifact, content: &[u8]) -> Result<()> {
    within("the artifact's name", artifact.name.len(), ARTIFACT_NAME_BYTES_MAX)?;
    within("the artifact's media type", artifact.media_type.len(), ARTIFACT_NAME_BYTES_MAX)?;
    within(&format!("the artifact {:?}", artifact.name), content.len(), ARTIFACT_BYTES_MAX)
}

fn within(what: &str, bytes: usize, limit: usize) -> Result<()> {
    if bytes <= limit { Ok(()) } else { Err(StoreError::TooLarge { what: what.to_owned(), bytes, limit }) }
}
