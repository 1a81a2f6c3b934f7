//! The audit log: who did what to which object under which permission, and the chain that holds its records together.
//!
//! Each record's hash covers its own fields, its number and the hash of the record before it. Whoever changes, removes,
//! inserts or moves a record breaks the chain at that place; [`Chain`] says where.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{JobName, RunId, Timestamp};

/// What the first record of a log continues.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Separates these hashes from every other use of BLAKE3.
const CONTEXT: &str = "aegis audit record v1";

/// Something that was done or refused, not written yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAudit {
    pub at: Timestamp,
    pub actor: String,
    /// A primitive's function, such as `aegis.docker.stop`, or an act of a person or the daemon, such as `token.create`.
    pub action: String,
    /// What it was done to; empty when there is nothing to name.
    pub object: String,
    pub job: Option<JobName>,
    pub run: Option<RunId>,
    /// The line of `permissions` that it needed.
    pub permission: Option<String>,
    /// `ok`, or the code of the fault.
    pub outcome: String,
    /// Particulars; null when there are none.
    pub data: Value,
}

/// The outcome of what went well.
pub const OK: &str = "ok";
/// The act by which retention notes up to where it has removed records.
pub const PRUNE: &str = "audit.prune";

impl NewAudit {
    pub fn new(at: Timestamp, actor: impl Into<String>, action: impl Into<String>, object: impl Into<String>) -> Self {
        Self {
            at,
            actor: actor.into(),
            action: action.into(),
            object: object.into(),
            job: None,
            run: None,
            permission: None,
            outcome: OK.to_owned(),
            data: Value::Null,
        }
    }

    #[must_use]
    pub fn job(mut self, job: &JobName) -> Self {
        self.job = Some(job.clone());
        self
    }

    #[must_use]
    pub fn run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    #[must_use]
    pub fn outcome(mut self, outcome: impl Into<String>) -> Self {
        self.outcome = outcome.into();
        self
    }

    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

/// A record as it is kept. Every field but `hash` is what the hash covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Counted from 1, without gaps.
    pub seq: i64,
    /// Kept to the microsecond.
    pub at: Timestamp,
    /// The daemon that wrote it.
    pub node: String,
    pub actor: String,
    pub action: String,
    pub object: String,
    pub job: Option<String>,
    pub run: Option<String>,
    pub permission: Option<String>,
    pub outcome: String,
    /// JSON text, to the letter as the hash covers it.
    pub data: Option<String>,
    /// Hash of the record before.
    pub prev: String,
    pub hash: String,
}

impl AuditRecord {
    /// The hash that it should have, in hexadecimal digits.
    pub fn digest(&self) -> String {
        let Self { seq, at, node, actor, action, object, job, run, permission, outcome, data, prev, hash: _ } = self;
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&seq.to_le_bytes()).update(&at.as_microsecond().to_le_bytes());
        for text in [node, actor, action, object, outcome, prev] {
            field(&mut hasher, Some(text));
        }
        for text in [job, run, permission, data] {
            field(&mut hasher, text.as_deref());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// With its length before it, so that no two lists of fields are the same bytes.
fn field(hasher: &mut blake3::Hasher, text: Option<&str>) {
    match text {
        None => hasher.update(&[0]),
        Some(text) => hasher.update(&[1]).update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes()),
    };
}

/// A place in the log: the number of a record and its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub seq: i64,
    pub hash: String,
}

/// The particulars of a [`PRUNE`] record.
pub fn removal(up_to: &Mark) -> Value {
    serde_json::json!({ "hash": up_to.hash, "up_to": up_to.seq })
}

/// The ends of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEnds {
    /// The newest record, as the log remembers it beside its records.
    pub head: Mark,
    /// The newest record that retention has removed; the oldest one that is left continues it.
    pub checkpoint: Option<Mark>,
}

/// What is wrong with a log, at the first record where something is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("record {seq} was changed: its content does not have the hash that it carries")]
    Changed { seq: i64 },
    #[error("record {seq} does not continue record {before}: one of the two was replaced")]
    Unlinked { seq: i64, before: i64 },
    #[error("record {seq} is missing; the next one there is has the number {found}")]
    Missing { seq: i64, found: i64 },
    #[error("record {found} stands where record {seq} should be: it was inserted or moved")]
    Misplaced { seq: i64, found: i64 },
    #[error("the records from {seq} to {head} are missing at the end")]
    Truncated { seq: i64, head: i64 },
    #[error(
        "record {seq} is newer than the log's own note of its end ({head}): the note was put back, or it was added"
    )]
    Beyond { seq: i64, head: i64 },
    #[error("the newest record, {seq}, is not the one that the log has noted as its end")]
    OtherHead { seq: i64 },
    #[error("the records up to {seq} are gone, and no record says that retention has removed them")]
    Removed { seq: i64 },
    #[error("record {seq} is not the one that was noted elsewhere")]
    OtherAnchor { seq: i64 },
    #[error("record {seq}, which was noted elsewhere, is not in the log")]
    NoAnchor { seq: i64 },
}

impl Broken {
    /// The number of the first record that is not as it was.
    pub fn seq(&self) -> i64 {
        match self {
            Self::Changed { seq }
            | Self::Unlinked { seq, .. }
            | Self::Missing { seq, .. }
            | Self::Misplaced { seq, .. }
            | Self::Truncated { seq, .. }
            | Self::Beyond { seq, .. }
            | Self::OtherHead { seq }
            | Self::Removed { seq }
            | Self::OtherAnchor { seq }
            | Self::NoAnchor { seq } => *seq,
        }
    }
}

/// Checks records in their order, from the oldest that is kept.
#[derive(Debug, Clone)]
pub struct Chain {
    last: Mark,
    /// Up to where records were removed, until the record comes that says so.
    removed: Option<Mark>,
    /// What somebody noted elsewhere, until it was passed.
    anchor: Option<Mark>,
    pub checked: u64,
    /// Those of them whose content somebody else has vouched for.
    pub hidden: u64,
}

impl Chain {
    /// Begins behind what retention has removed. `anchor` is a place that was noted outside the database.
    ///
    /// # Errors
    /// The anchor is the very place up to which records were removed, and another one.
    pub fn new(checkpoint: Option<&Mark>, anchor: Option<Mark>) -> Result<Self, Broken> {
        let last = checkpoint.cloned().unwrap_or(Mark { seq: 0, hash: GENESIS.to_owned() });
        let mut chain = Self { last, removed: checkpoint.cloned(), anchor, checked: 0, hidden: 0 };
        chain.pass_anchor()?;
        Ok(chain)
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// It is not the one that belongs here.
    pub fn push(&mut self, record: &AuditRecord) -> Result<(), Broken> {
        self.follow(record, record.digest() == record.hash)
    }

    /// Takes the next record, of which a part was hidden on its way here: whoever hid it says whether its content has
    /// the hash that it carries. Its place in the chain is checked all the same.
    ///
    /// # Errors
    /// It is not the one that belongs here.
    pub fn push_hidden(&mut self, record: &AuditRecord, is_intact: bool) -> Result<(), Broken> {
        self.hidden += 1;
        self.follow(record, is_intact)
    }

    fn follow(&mut self, record: &AuditRecord, is_intact: bool) -> Result<(), Broken> {
        let expected = self.last.seq + 1;
        if record.seq > expected {
            return Err(Broken::Missing { seq: expected, found: record.seq });
        }
        if record.seq < expected {
            return Err(Broken::Misplaced { seq: expected, found: record.seq });
        }
        if !is_intact {
            return Err(Broken::Changed { seq: record.seq });
        }
        if record.prev != self.last.hash {
            return Err(Broken::Unlinked { seq: record.seq, before: self.last.seq });
        }
        self.last = Mark { seq: record.seq, hash: record.hash.clone() };
        self.checked += 1;
        if record.action == PRUNE {
            self.removed.take_if(|mark| record.data.as_deref() == Some(&*removal(mark).to_string()));
        }
        self.pass_anchor()
    }

    /// All records were given.
    ///
    /// # Errors
    /// The log ends elsewhere than it should.
    pub fn end(self, head: &Mark) -> Result<Mark, Broken> {
        if self.last.seq < head.seq {
            return Err(Broken::Truncated { seq: self.last.seq + 1, head: head.seq });
        }
        if self.last.seq > head.seq {
            return Err(Broken::Beyond { seq: head.seq + 1, head: head.seq });
        }
        if self.last.hash != head.hash {
            return Err(Broken::OtherHead { seq: head.seq });
        }
        if let Some(removed) = self.removed {
            return Err(Broken::Removed { seq: removed.seq });
        }
        match self.anchor {
            Some(anchor) => Err(Broken::NoAnchor { seq: anchor.seq }),
            None => Ok(self.last),
        }
    }

    fn pass_anchor(&mut self) -> Result<(), Broken> {
        let Some(anchor) = self.anchor.take_if(|anchor| anchor.seq == self.last.seq) else { return Ok(()) };
        if anchor.hash == self.last.hash { Ok(()) } else { Err(Broken::OtherAnchor { seq: anchor.seq }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: i64, prev: &str) -> AuditRecord {
        let mut record = AuditRecord {
            seq,
            at: Timestamp::from_second(seq).expect("in range"),
            node: "n".into(),
            actor: "token:ci".into(),
            action: "aegis.kv.set".into(),
            object: "key".into(),
            job: Some("sweep".into()),
            run: None,
            permission: Some("kv".into()),
            outcome: OK.into(),
            data: None,
            prev: prev.into(),
            hash: String::new(),
        };
        record.hash = record.digest();
        record
    }

    fn log(length: i64) -> Vec<AuditRecord> {
        let mut log: Vec<AuditRecord> = Vec::new();
        for seq in 1..=length {
            let prev = log.last().map_or(GENESIS.to_owned(), |last| last.hash.clone());
            log.push(record(seq, &prev));
        }
        log
    }

    fn verify(log: &[AuditRecord], head: &Mark, anchor: Option<Mark>) -> Result<Mark, Broken> {
        let mut chain = Chain::new(None, anchor)?;
        log.iter().try_for_each(|record| chain.push(record))?;
        chain.end(head)
    }

    fn mark(record: &AuditRecord) -> Mark {
        Mark { seq: record.seq, hash: record.hash.clone() }
    }

    #[test]
    fn a_change_of_any_field_is_found_at_its_record() {
        let whole = log(5);
        let head = mark(&whole[4]);
        assert_eq!(verify(&whole, &head, None), Ok(head.clone()));
        type Change = fn(&mut AuditRecord);
        let changes: [(&str, Change); 12] = [
            ("at", |r| r.at = Timestamp::from_second(99).expect("in range")),
            ("node", |r| r.node.push('x')),
            ("actor", |r| r.actor.push('x')),
            ("action", |r| r.action.push('x')),
            ("object", |r| r.object.clear()),
            ("job", |r| r.job = None),
            ("run", |r| r.run = Some(String::new())),
            ("permission", |r| r.permission = r.run.take()),
            ("outcome", |r| r.outcome = "permission.denied".into()),
            ("data", |r| r.data = Some("{}".into())),
            ("hash", |r| r.hash = GENESIS.into()),
            ("prev", |r| r.prev = GENESIS.into()),
        ];
        for (field, change) in changes {
            let mut changed = whole.clone();
            change(&mut changed[2]);
            assert_eq!(verify(&changed, &head, None), Err(Broken::Changed { seq: 3 }), "{field}");
            // With a hash that fits, the record passes for itself; what follows does not continue it.
            changed[2].hash = changed[2].digest();
            let broken = verify(&changed, &head, None);
            let expected = match field {
                "hash" => Ok(head.clone()),
                "prev" => Err(Broken::Unlinked { seq: 3, before: 2 }),
                _ => Err(Broken::Unlinked { seq: 4, before: 3 }),
            };
            assert_eq!(broken, expected, "{field}");
        }
    }

    #[test]
    fn a_record_that_is_partly_hidden_keeps_its_place() {
        let mut whole = log(3);
        let head = mark(&whole[2]);
        whole[1].object = "***".into();
        let check = |hidden: &AuditRecord, is_intact| {
            let mut chain = Chain::new(None, None)?;
            chain.push(&whole[0])?;
            chain.push_hidden(hidden, is_intact)?;
            chain.push(&whole[2])?;
            Ok((chain.hidden, chain.checked, chain.end(&head)?))
        };
        assert_eq!(check(&whole[1], true), Ok((1, 3, head.clone())));
        assert_eq!(check(&whole[1], false), Err(Broken::Changed { seq: 2 }));
        let other = AuditRecord { prev: GENESIS.into(), ..whole[1].clone() };
        assert_eq!(check(&other, true), Err(Broken::Unlinked { seq: 2, before: 1 }));
        let other = AuditRecord { hash: GENESIS.into(), ..whole[1].clone() };
        assert_eq!(check(&other, true), Err(Broken::Unlinked { seq: 3, before: 2 }));
    }

    #[test]
    fn records_that_go_come_or_move_are_found() {
        let whole = log(5);
        let head = mark(&whole[4]);
        let mut removed = whole.clone();
        removed.remove(1);
        assert_eq!(verify(&removed, &head, None), Err(Broken::Missing { seq: 2, found: 3 }));
        let mut moved = whole.clone();
        moved.swap(1, 2);
        assert_eq!(verify(&moved, &head, None), Err(Broken::Missing { seq: 2, found: 3 }));
        let mut inserted = whole.clone();
        inserted.insert(2, record(3, &whole[1].hash));
        assert_eq!(verify(&inserted, &head, None), Err(Broken::Misplaced { seq: 4, found: 3 }));
        assert_eq!(verify(&whole[..3], &head, None), Err(Broken::Truncated { seq: 4, head: 5 }));
        assert_eq!(verify(&[], &head, None).map_err(|broken| broken.seq()), Err(1));
        assert_eq!(verify(&whole, &mark(&whole[3]), None), Err(Broken::Beyond { seq: 5, head: 4 }));
        let other = Mark { hash: GENESIS.into(), ..head };
        assert_eq!(verify(&whole, &other, None), Err(Broken::OtherHead { seq: 5 }));
    }

    /// Who can write to the whole database can write another log. A place that was noted elsewhere shows it.
    #[test]
    fn a_log_that_was_written_anew_lacks_what_was_noted_elsewhere() {
        let (whole, short) = (log(5), log(3));
        let noted = mark(&whole[3]);
        assert_eq!(verify(&whole, &mark(&whole[4]), Some(noted.clone())), Ok(mark(&whole[4])));
        assert_eq!(verify(&short, &mark(&short[2]), Some(noted.clone())), Err(Broken::NoAnchor { seq: 4 }));
        let mut forged = whole.clone();
        forged[1].actor = "nobody".into();
        for at in 1..5 {
            forged[at].prev = forged[at - 1].hash.clone();
            forged[at].hash = forged[at].digest();
        }
        assert_eq!(verify(&forged, &mark(&forged[4]), None), Ok(mark(&forged[4])), "consistent in itself");
        assert_eq!(verify(&forged, &mark(&forged[4]), Some(noted)), Err(Broken::OtherAnchor { seq: 4 }));
    }

    #[test]
    fn what_retention_removed_is_continued() {
        let mut whole = log(5);
        let checkpoint = mark(&whole[1]);
        let check = |whole: &[AuditRecord]| {
            let mut chain = Chain::new(Some(&checkpoint), None).expect("no anchor");
            whole[2..].iter().try_for_each(|record| chain.push(record)).expect("continues");
            (chain.checked, chain.end(&mark(&whole[4])))
        };
        assert_eq!(check(&whole), (3, Err(Broken::Removed { seq: 2 })), "nobody says that retention did it");
        let last = &mut whole[4];
        (last.action, last.data) = (PRUNE.into(), Some(removal(&checkpoint).to_string()));
        last.hash = last.digest();
        assert_eq!(check(&whole), (3, Ok(mark(&whole[4]))));
        let forged = Mark { seq: 2, hash: GENESIS.into() };
        let mut chain = Chain::new(Some(&forged), None).expect("no anchor");
        assert_eq!(chain.push(&whole[2]), Err(Broken::Unlinked { seq: 3, before: 2 }));
        assert!(Chain::new(Some(&forged), Some(mark(&whole[1]))).is_err());
    }
}
