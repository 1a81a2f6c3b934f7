-- Durable runs, what they wait for, and the daemons that share the work.

-- Grows whenever a daemon takes the run up; changes by an earlier holder are refused.
ALTER TABLE runs ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
-- When a parked run goes on by itself.
ALTER TABLE runs ADD COLUMN wake_at INTEGER;
ALTER TABLE runs ADD COLUMN deadline_at INTEGER;
ALTER TABLE runs ADD COLUMN concurrency_key TEXT;
CREATE INDEX runs_to_wake ON runs (wake_at) WHERE state = 'parked';
CREATE INDEX runs_to_expire ON runs (deadline_at) WHERE state = 'parked';
CREATE INDEX runs_live_by_job ON runs (job, state) WHERE finished_at IS NULL;
CREATE INDEX runs_live_by_key ON runs (concurrency_key, state)
    WHERE finished_at IS NULL AND concurrency_key IS NOT NULL;

-- A run's journal. `place` sorts as the entries were recorded.
CREATE TABLE steps (
    run         TEXT NOT NULL,
    key         TEXT NOT NULL,
    place       INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,
    state       TEXT NOT NULL,
    result      TEXT,
    error       TEXT,
    show        TEXT,
    match_key   TEXT,
    actor       TEXT,
    undo        INTEGER NOT NULL,
    tries       INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    wake_at     INTEGER,
    -- The event that answered it, so that the run's next wait takes a later one.
    signal_seq  INTEGER,
    -- The run's fence when an event or a decision answered it: a run that parks at that fence may not have seen it.
    answered    INTEGER,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX steps_by_place ON steps (run, place);
CREATE INDEX steps_waiting ON steps (kind, name, run) WHERE state = 'waiting';

CREATE TABLE signals (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    name    TEXT NOT NULL,
    key     TEXT,
    run     TEXT,
    payload TEXT,
    actor   TEXT NOT NULL
) STRICT;
CREATE INDEX signals_by_name ON signals (name, at, seq);
INSERT INTO counters (name, value) VALUES ('signal_seq', 0);

-- What runs keep for people: reports, screenshots. `content` is base64.
CREATE TABLE artifacts (
    run        TEXT NOT NULL,
    name       TEXT NOT NULL,
    media_type TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    content    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

-- The daemons that share this database.
CREATE TABLE nodes (
    name        TEXT PRIMARY KEY,
    -- Of this registration, so that a daemon which lost its lease knows it.
    epoch       INTEGER NOT NULL,
    address     TEXT NOT NULL,
    labels      TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('node_epoch', 0);

-- Ended runs by the hour in which they ended, so that counts need not read the history. Hours are microseconds of their
-- beginning. The rows of the job '' count those of all jobs together.
CREATE TABLE run_hours (
    job   TEXT NOT NULL,
    hour  INTEGER NOT NULL,
    state TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (job, hour, state)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_hours_by_hour ON run_hours (hour);
INSERT INTO run_hours (job, hour, state, count)
    SELECT job, finished_at - finished_at % 3600000000, state, COUNT(*) FROM runs
    WHERE finished_at IS NOT NULL GROUP BY 1, 2, 3;
INSERT INTO run_hours (job, hour, state, count)
    SELECT '', hour, state, CAST(SUM(count) AS BIGINT) FROM run_hours GROUP BY hour, state;
