-- Times are microseconds since the Unix epoch. Columns that hold JSON are TEXT. Runs are named by ULIDs in lower case.
-- The SQLite schema beside this one has the same tables and columns; change both together. COLLATE "C" orders text by
-- its bytes, as SQLite does, so that prefix ranges and cursors mean the same on both.

-- Sequences that never step back, also after a prune: event_seq, kv_revision, pings.
CREATE TABLE counters (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('event_seq', 0), ('kv_revision', 0), ('pings', 0);

CREATE TABLE versions (
    hash          TEXT COLLATE "C" PRIMARY KEY,
    job           TEXT COLLATE "C" NOT NULL,
    spec          TEXT NOT NULL,
    files         TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    -- Since when another version is the job's current one.
    superseded_at BIGINT
);
CREATE INDEX versions_by_job ON versions (job, created_at);

CREATE TABLE jobs (
    name            TEXT COLLATE "C" PRIMARY KEY,
    version         TEXT COLLATE "C" NOT NULL REFERENCES versions (hash),
    enabled         BIGINT,
    first_seen      BIGINT NOT NULL,
    scheduled_until BIGINT
);
CREATE INDEX jobs_by_version ON jobs (version);

CREATE TABLE runs (
    id              TEXT COLLATE "C" PRIMARY KEY,
    job             TEXT COLLATE "C" NOT NULL,
    version         TEXT COLLATE "C",
    state           TEXT COLLATE "C" NOT NULL,
    params          TEXT NOT NULL,
    trigger_kind    TEXT NOT NULL,
    actor           TEXT NOT NULL,
    scheduled_for   BIGINT,
    payload         TEXT,
    priority        BIGINT NOT NULL,
    attempt         BIGINT NOT NULL,
    dry_run         BIGINT NOT NULL,
    queued_at       BIGINT NOT NULL,
    not_before      BIGINT,
    started_at      BIGINT,
    finished_at     BIGINT,
    result          TEXT,
    error           TEXT,
    reason          TEXT,
    parent          TEXT,
    idempotency_key TEXT COLLATE "C",
    progress        TEXT,
    -- The daemon that accepted it or began its latest attempt.
    node            TEXT NOT NULL
);
CREATE INDEX runs_by_job ON runs (job, queued_at, id);
-- Few runs are live at a time, so a change of state touches one small index and then, at the end, each large one once.
CREATE INDEX runs_live ON runs (state, queued_at, id) WHERE finished_at IS NULL;
CREATE INDEX runs_ended ON runs (state, queued_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX runs_ended_by_job ON runs (job, state, queued_at, id) WHERE finished_at IS NOT NULL;
CREATE UNIQUE INDEX runs_by_idempotency_key ON runs (job, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- No foreign key to runs: the writer adds lines only to runs that it has just found, and retention removes lines in
-- small pieces before their run, where a cascade would hold up the writer.
CREATE TABLE logs (
    run     TEXT COLLATE "C" NOT NULL,
    seq     BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    level   TEXT NOT NULL,
    text    TEXT NOT NULL,
    fields  TEXT,
    PRIMARY KEY (run, seq)
);

CREATE TABLE events (
    seq  BIGINT PRIMARY KEY,
    at   BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    job  TEXT COLLATE "C",
    run  TEXT COLLATE "C",
    data TEXT
);
-- Runs make nearly all events; what else happened must be found without reading through theirs.
CREATE INDEX events_besides_runs ON events (seq) WHERE substr(kind, 1, 4) <> 'run.';
-- The history of one run.
CREATE INDEX events_of_run ON events (run, seq) WHERE run IS NOT NULL;

CREATE TABLE occurrences (
    job           TEXT COLLATE "C" NOT NULL,
    scheduled_for BIGINT NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    reason        TEXT,
    run           TEXT COLLATE "C",
    decided_at    BIGINT NOT NULL,
    PRIMARY KEY (job, scheduled_for)
);
CREATE INDEX occurrences_by_time ON occurrences (scheduled_for, job);

CREATE TABLE kv (
    scope      TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    value      TEXT NOT NULL,
    revision   BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (scope, key)
);
CREATE INDEX kv_by_expiry ON kv (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE tokens (
    hash         TEXT COLLATE "C" PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL,
    role         TEXT NOT NULL,
    jobs         TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT
);
CREATE UNIQUE INDEX tokens_live ON tokens (name) WHERE revoked_at IS NULL;

CREATE TABLE sessions (
    hash       TEXT COLLATE "C" PRIMARY KEY,
    kind       TEXT COLLATE "C" NOT NULL,
    actor      TEXT NOT NULL,
    role       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
