-- What was done and by whom, and which rights people have approved.

-- Numbered from 1 without gaps. `hash` covers the row and, by `prev`, all rows before it.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    node       TEXT NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    object     TEXT NOT NULL,
    job        TEXT,
    run        TEXT,
    permission TEXT,
    outcome    TEXT NOT NULL,
    data       TEXT,
    prev       TEXT NOT NULL,
    hash       TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_job ON audit (job, seq) WHERE job IS NOT NULL;
CREATE INDEX audit_by_time ON audit (at, seq);

-- `head` is the newest row of the log, `checkpoint` the newest that retention has removed.
CREATE TABLE audit_ends (
    name TEXT PRIMARY KEY,
    seq  INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO audit_ends (name, seq, hash)
VALUES ('head', 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit
WHEN old.seq > COALESCE((SELECT seq FROM audit_ends WHERE name = 'checkpoint'), 0)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only; only retention removes rows, up to its checkpoint');
END;
CREATE TRIGGER audit_ends_go_forward BEFORE UPDATE ON audit_ends WHEN new.seq < old.seq
BEGIN
    SELECT RAISE(ABORT, 'the ends of the audit log only go forward');
END;

-- The rights of a job that a person has approved.
CREATE TABLE rights (
    job         TEXT PRIMARY KEY,
    -- A JSON list.
    rights      TEXT NOT NULL,
    hash        TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    approved_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
