-- Times are microseconds since the Unix epoch. Columns that hold JSON are TEXT. Runs are named by ULIDs in lower case.
-- The PostgreSQL schema beside this one has the same tables and columns; change both together.

-- Sequences that never step back, also after a prune: event_seq, kv_revision, pings.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('event_seq', 0), ('kv_revision', 0), ('pings', 0);

CREATE TABLE versions (
    hash          TEXT PRIMARY KEY,
    job           TEXT NOT NULL,
    spec          TEXT NOT NULL,
    files         TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    -- Since when another version is the job's current one.
    superseded_at INTEGER
) STRICT;
CREATE INDEX versions_by_job ON versions (job, created_at);

CREATE TABLE jobs (
    name            TEXT PRIMARY KEY,
    version         TEXT NOT NULL REFERENCES versions (hash),
    enabled         INTEGER,
    first_seen      INTEGER NOT NULL,
    scheduled_until INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_by_version ON jobs (version);

CREATE TABLE runs (
    id              TEXT PRIMARY KEY,
    job             TEXT NOT NULL,
    version         TEXT,
    state           TEXT NOT NULL,
    params          TEXT NOT NULL,
    trigger_kind    TEXT NOT NULL,
    actor           TEXT NOT NULL,
    scheduled_for   INTEGER,
    payload         TEXT,
    priority        INTEGER NOT NULL,
    attempt         INTEGER NOT NULL,
    dry_run         INTEGER NOT NULL,
    queued_at       INTEGER NOT NULL,
    not_before      INTEGER,
    started_at      INTEGER,
    finished_at     INTEGER,
    result          TEXT,
    error           TEXT,
    reason          TEXT,
    parent          TEXT,
    idempotency_key TEXT,
    progress        TEXT,
    -- The daemon that accepted it or began its latest attempt.
    node            TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_job ON runs (job, queued_at, id);
-- Few runs are live at a time, so a change of state touches one small index and then, at the end, each large one once.
CREATE INDEX runs_live ON runs (state, queued_at, id) WHERE finished_at IS NULL;
CREATE INDEX runs_ended ON runs (state, queued_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX runs_ended_by_job ON runs (job, state, queued_at, id) WHERE finished_at IS NOT NULL;
CREATE UNIQUE INDEX runs_by_idempotency_key ON runs (job, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- No foreign key to runs: the writer adds lines only to runs that it has just found, and retention removes lines in
-- small pieces before their run, where a cascade would hold up the writer.
CREATE TABLE logs (
    run     TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    level   TEXT NOT NULL,
    text    TEXT NOT NULL,
    fields  TEXT,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    seq  INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    kind TEXT NOT NULL,
    job  TEXT,
    run  TEXT,
    data TEXT
) STRICT;
-- Runs make nearly all events; what else happened must be found without reading through theirs.
CREATE INDEX events_besides_runs ON events (seq) WHERE substr(kind, 1, 4) <> 'run.';
-- The history of one run.
CREATE INDEX events_of_run ON events (run, seq) WHERE run IS NOT NULL;

CREATE TABLE occurrences (
    job           TEXT NOT NULL,
    scheduled_for INTEGER NOT NULL,
    state         TEXT NOT NULL,
    reason        TEXT,
    run           TEXT,
    decided_at    INTEGER NOT NULL,
    PRIMARY KEY (job, scheduled_for)
) STRICT, WITHOUT ROWID;
CREATE INDEX occurrences_by_time ON occurrences (scheduled_for, job);

CREATE TABLE kv (
    scope      TEXT NOT NULL,
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX kv_by_expiry ON kv (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE tokens (
    hash         TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL,
    jobs         TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;
CREATE UNIQUE INDEX tokens_live ON tokens (name) WHERE revoked_at IS NULL;

CREATE TABLE sessions (
    hash       TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    actor      TEXT NOT NULL,
    role       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
