-- Durable runs, what they wait for, and the daemons that share the work.

-- Grows whenever a daemon takes the run up; changes by an earlier holder are refused.
ALTER TABLE runs ADD COLUMN fence BIGINT NOT NULL DEFAULT 0;
-- When a parked run goes on by itself.
ALTER TABLE runs ADD COLUMN wake_at BIGINT;
ALTER TABLE runs ADD COLUMN deadline_at BIGINT;
ALTER TABLE runs ADD COLUMN concurrency_key TEXT COLLATE "C";
CREATE INDEX runs_to_wake ON runs (wake_at) WHERE state = 'parked';
CREATE INDEX runs_to_expire ON runs (deadline_at) WHERE state = 'parked';
CREATE INDEX runs_live_by_job ON runs (job, state) WHERE finished_at IS NULL;
CREATE INDEX runs_live_by_key ON runs (concurrency_key, state)
    WHERE finished_at IS NULL AND concurrency_key IS NOT NULL;

-- A run's journal. `place` sorts as the entries were recorded.
CREATE TABLE steps (
    run         TEXT COLLATE "C" NOT NULL,
    key         TEXT COLLATE "C" NOT NULL,
    place       BIGINT NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    result      TEXT,
    error       TEXT,
    show        TEXT,
    match_key   TEXT COLLATE "C",
    actor       TEXT,
    undo        BIGINT NOT NULL,
    tries       BIGINT NOT NULL,
    attempt     BIGINT NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT,
    wake_at     BIGINT,
    -- The event that answered it, so that the run's next wait takes a later one.
    signal_seq  BIGINT,
    -- The run's fence when an event or a decision answered it: a run that parks at that fence may not have seen it.
    answered    BIGINT,
    PRIMARY KEY (run, key)
);
CREATE INDEX steps_by_place ON steps (run, place);
CREATE INDEX steps_waiting ON steps (kind, name, run) WHERE state = 'waiting';

CREATE TABLE signals (
    seq     BIGINT PRIMARY KEY,
    at      BIGINT NOT NULL,
    name    TEXT COLLATE "C" NOT NULL,
    key     TEXT COLLATE "C",
    run     TEXT COLLATE "C",
    payload TEXT,
    actor   TEXT NOT NULL
);
CREATE INDEX signals_by_name ON signals (name, at, seq);
INSERT INTO counters (name, value) VALUES ('signal_seq', 0);

-- What runs keep for people: reports, screenshots. `content` is base64.
CREATE TABLE artifacts (
    run        TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    media_type TEXT NOT NULL,
    bytes      BIGINT NOT NULL,
    content    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (run, name)
);

-- The daemons that share this database.
CREATE TABLE nodes (
    name        TEXT COLLATE "C" PRIMARY KEY,
    -- Of this registration, so that a daemon which lost its lease knows it.
    epoch       BIGINT NOT NULL,
    address     TEXT NOT NULL,
    labels      TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    lease_until BIGINT NOT NULL
);

INSERT INTO counters (name, value) VALUES ('node_epoch', 0);

-- Ended runs by the hour in which they ended, so that counts need not read the history. Hours are microseconds of their
-- beginning. The rows of the job '' count those of all jobs together.
CREATE TABLE run_hours (
    job   TEXT COLLATE "C" NOT NULL,
    hour  BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (job, hour, state)
);
CREATE INDEX run_hours_by_hour ON run_hours (hour);
INSERT INTO run_hours (job, hour, state, count)
    SELECT job, finished_at - finished_at % 3600000000, state, COUNT(*) FROM runs
    WHERE finished_at IS NOT NULL GROUP BY 1, 2, 3;
INSERT INTO run_hours (job, hour, state, count)
    SELECT '', hour, state, CAST(SUM(count) AS BIGINT) FROM run_hours GROUP BY hour, state;
